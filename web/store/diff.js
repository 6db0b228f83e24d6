/** What differs between two workflows: what they do, and apart from it how they are drawn. */

import { equal } from "./json.js";

/** @import {Graph, Json, Node} from "./types.js" */

/**
 * What a name stands for, before and after; undefined where it was not, or is not, there.
 * @typedef {{readonly name: string, readonly before: Json | undefined, readonly after: Json | undefined}} Change
 */
/**
 * @typedef {Object} NodeChange
 * @property {string} id with `/` after the names of the subgraphs that it is in
 * @property {readonly Change[]} params
 * @property {readonly Change[]} links
 * @property {Change | null} type
 * @property {Change | null} mode
 */
/**
 * @typedef {Object} Diff
 * @property {{added: string[], removed: string[], changed: NodeChange[]}} nodes
 * @property {readonly Change[]} inputs
 * @property {readonly Change[]} outputs
 * @property {{added: string[], removed: string[]}} subgraphs
 * @property {string[]} layout what was moved, titled, coloured, framed or noted: nodes by id, the rest as items
 * @property {boolean} same whether nothing differs, layout apart
 */

/**
 * @param {Graph} before
 * @param {Graph} after
 * @returns {Diff}
 */
export function diff(before, after) {
  /** @type {Diff} */
  const found = {
    nodes: { added: [], removed: [], changed: [] },
    inputs: [],
    outputs: [],
    subgraphs: { added: [], removed: [] },
    layout: [],
    same: false,
  };
  compare(before, after, "", found);
  const { nodes, inputs, outputs, subgraphs } = found;
  const lists = [nodes.added, nodes.removed, nodes.changed, inputs, outputs, subgraphs.added, subgraphs.removed];
  return { ...found, same: lists.every((list) => !list.length) };
}

/**
 * @param {Graph} before
 * @param {Graph} after
 * @param {string} prefix
 * @param {Diff} found
 */
function compare(before, after, prefix, found) {
  if (before === after) {
    return;
  }
  compareNodes(before, after, prefix, found);
  found.inputs = [...found.inputs, ...changes(before.inputs, after.inputs, prefix, (places) => [...places])];
  found.outputs = [...found.outputs, ...changes(before.outputs, after.outputs, prefix, (place) => place)];
  compareDrawn(before, after, prefix, found);
  for (const name of after.subgraphs.keys()) {
    if (!before.subgraphs.has(name)) {
      found.subgraphs.added.push(prefix + name);
    }
  }
  for (const [name, graph] of before.subgraphs) {
    const other = after.subgraphs.get(name);
    if (other) {
      compare(graph, other, `${prefix}${name}/`, found);
    } else {
      found.subgraphs.removed.push(prefix + name);
    }
  }
}

/**
 * @param {Graph} before
 * @param {Graph} after
 * @param {string} prefix
 * @param {Diff} found
 */
function compareNodes(before, after, prefix, found) {
  for (const [id, node] of before.nodes) {
    const other = after.nodes.get(id);
    if (!other) {
      found.nodes.removed.push(prefix + id);
      continue;
    }
    const change = changeOf(prefix + id, node, other);
    if (change) {
      found.nodes.changed.push(change);
    }
    if (!sameJson(node.view, other.view)) {
      found.layout.push(prefix + id);
    }
  }
  for (const id of after.nodes.keys()) {
    if (!before.nodes.has(id)) {
      found.nodes.added.push(prefix + id);
    }
  }
}

/**
 * @param {string} id
 * @param {Node} before
 * @param {Node} after
 * @returns {NodeChange | null}
 */
function changeOf(id, before, after) {
  if (before === after) {
    return null;
  }
  const params = changes(given(before), given(after), "", (value) => value);
  const links = changes(before.links, after.links, "", (link) => link);
  const type = single("type", kindOf(before), kindOf(after));
  const mode = single("mode", before.mode, after.mode);
  return params.length || links.length || type || mode ? { id, params, links, type, mode } : null;
}

/**
 * @param {Node} node
 * @returns {ReadonlyMap<string, Json>} what was typed where nothing is wired
 */
const given = (node) => new Map([...node.params].filter(([name]) => !node.links.has(name)));

/** @param {Node} node */
const kindOf = (node) => (node.graph === null ? node.type : `graph:${node.graph}`);

/**
 * @param {string} name
 * @param {Json} before
 * @param {Json} after
 * @returns {Change | null}
 */
const single = (name, before, after) => (before === after ? null : { name, before, after });

/**
 * @template T
 * @param {ReadonlyMap<string, T>} before
 * @param {ReadonlyMap<string, T>} after
 * @param {string} prefix
 * @param {(value: T) => Json} json
 * @returns {Change[]}
 */
function changes(before, after, prefix, json) {
  if (before === after) {
    return [];
  }
  /** @param {T | undefined} value */
  const told = (value) => (value === undefined ? undefined : json(value));
  const names = new Set([...before.keys(), ...after.keys()]);
  const all = [...names].map((name) => ({
    name: prefix + name,
    before: told(before.get(name)),
    after: told(after.get(name)),
  }));
  return all.filter((change) => !equal(change.before, change.after));
}

/**
 * @param {Graph} before
 * @param {Graph} after
 * @param {string} prefix
 * @param {Diff} found
 */
function compareDrawn(before, after, prefix, found) {
  for (const [kind, map, other] of /** @type {const} */ ([
    ["frame", before.frames, after.frames],
    ["note", before.notes, after.notes],
    ["route", before.routes, after.routes],
  ])) {
    for (const id of new Set([...map.keys(), ...other.keys()])) {
      if (!sameJson(map.get(id), other.get(id))) {
        found.layout.push(`${prefix}${kind}:${id}`);
      }
    }
  }
}

/**
 * What is drawn holds nothing but JSON.
 * @param {unknown} a
 * @param {unknown} b
 */
const sameJson = (a, b) => equal(/** @type {Json | undefined} */ (a), /** @type {Json | undefined} */ (b));

/** Copying and pasting as JSON, within a document, between tabs, and through a message to somebody else. */

import { cornerOf } from "../geometry/transform.js";
import { readGraph, writeGraph, emptyGraph } from "./document.js";
import { equal, isObject } from "./json.js";
import { Namer, idsOf, item, split } from "./names.js";
import { findGraph, inReach, scopeOf } from "./scopes.js";
import { withFramed } from "./items.js";

/** @import {Graph, Item, Json, JsonObject, Node, Point} from "./types.js" */

export const CLIPBOARD = "clipboard";

/** @typedef {{graph: Graph, items: Set<Item>}} Pasted */

/**
 * Takes things of a graph out as a graph of their own, with the subgraphs that they use.
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @returns {Graph}
 */
export function part(graph, items) {
  const all = withFramed(graph, items);
  const nodes = only(graph.nodes, idsOf(all, "node"));
  const routes = [...graph.routes].filter(([target]) => {
    const [id, input] = split(target);
    return nodes.has(id) && nodes.has(split(nodes.get(id)?.links.get(input) ?? "")[0]);
  });
  return {
    ...emptyGraph(),
    nodes,
    frames: only(graph.frames, idsOf(all, "frame")),
    notes: only(graph.notes, idsOf(all, "note")),
    routes: new Map(routes),
    subgraphs: usedGraphs(graph, nodes.values()),
  };
}

/**
 * @template T
 * @param {ReadonlyMap<string, T>} map
 * @param {ReadonlySet<string>} keys
 * @returns {Map<string, T>} in the map's order
 */
function only(map, keys) {
  return new Map([...map].filter(([key]) => keys.has(key)));
}

/**
 * Finds the subgraphs that nodes use, and those that these use.
 * @param {Graph} graph that the nodes are in
 * @param {Iterable<Node>} nodes
 * @returns {Map<string, Graph>}
 */
export function usedGraphs(graph, nodes) {
  /** @type {Map<string, Graph>} */
  const found = new Map();
  const reach = inReach(graph);
  const stack = [...nodes];
  for (let node = stack.pop(); node; node = stack.pop()) {
    for (const name of namedBy(node)) {
      const scope = !found.has(name) && reach.has(name) ? findGraph(scopeOf(graph), name) : null;
      if (scope) {
        found.set(name, scope.graph);
        stack.push(...allNodes(scope.graph));
      }
    }
  }
  return found;
}

/**
 * @param {Graph} graph
 * @returns {Node[]} also those of its subgraphs
 */
function allNodes(graph) {
  return [...graph.nodes.values(), ...[...graph.subgraphs.values()].flatMap(allNodes)];
}

/**
 * @param {Node} node
 * @returns {string[]} names that may be those of subgraphs: its own, and bodies among what was typed
 */
export function namedBy(node) {
  const typed = [...node.params.values()].filter((value) => typeof value === "string");
  return node.graph === null ? typed : [node.graph, ...typed];
}

/**
 * Copies things as JSON.
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @returns {JsonObject}
 */
export function copy(graph, items) {
  return { nodegraph: CLIPBOARD, ...writeGraph(part(graph, items)) };
}

/**
 * @param {Json} json
 * @returns {boolean} whether it can be pasted: something copied, or a workflow
 */
export function isPasteable(json) {
  return isObject(json) && isObject(json.nodes) && (json.nodegraph === CLIPBOARD || json.format === 1);
}

/**
 * Pastes what was copied, or a whole workflow; throws `DocumentError` for anything else.
 * @param {Graph} graph
 * @param {Json} json
 * @param {Point | null} at where its upper left corner comes; null for a little beside where it was
 * @param {{keepInputs?: boolean}} [options] `keepInputs`: links from nodes that were not copied are kept
 * @returns {Pasted}
 */
export function paste(graph, json, at, { keepInputs = false } = {}) {
  const { nodegraph: _, ...file } = isObject(json) ? json : { nodes: null };
  return insert(graph, readGraph(file), at, keepInputs);
}

/**
 * Makes things a second time.
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @param {{keepInputs?: boolean, at?: Point | null}} [options]
 * @returns {Pasted}
 */
export function duplicate(graph, items, { keepInputs = false, at = null } = {}) {
  return insert(graph, part(graph, items), at, keepInputs);
}

const BESIDE = 40;

/**
 * @param {Graph} graph
 * @param {Graph} added
 * @param {Point | null} at
 * @param {boolean} keepInputs
 * @returns {Pasted}
 */
function insert(graph, added, at, keepInputs) {
  const { dx, dy } = shift(added, at);
  /** @template {Point} T @param {T} thing */
  const moved = (thing) => ({ ...thing, x: thing.x + dx, y: thing.y + dy });
  const graphs = takeGraphs(graph, added);
  const names = namesFor(graph.nodes, added.nodes);
  const nodes = new Map(graph.nodes);
  /** @param {string} place */
  const renamed = (place) => {
    const [id, port] = split(place);
    const name = names.get(id);
    return name === undefined ? place : `${name}.${port}`;
  };
  for (const [id, node] of added.nodes) {
    const kept = [...node.links].filter(([, link]) => {
      const source = split(link)[0];
      return names.has(source) || (keepInputs && graph.nodes.has(source));
    });
    const links = new Map(kept.map(([name, link]) => [name, renamed(link)]));
    nodes.set(names.get(id) ?? id, { ...calling(node, graphs.names), links, view: moved(node.view) });
  }
  const frames = merged(graph.frames, added.frames, moved);
  const notes = merged(graph.notes, added.notes, moved);
  const routes = new Map(graph.routes);
  added.routes.forEach((points, target) => routes.set(renamed(target), points.map(moved)));
  const items = new Set([
    ...[...names.values()].map((id) => item("node", id)),
    ...frames.added.map((id) => item("frame", id)),
    ...notes.added.map((id) => item("note", id)),
  ]);
  const whole = graph.nodes.size === 0 && graph.inputs.size === 0 && graph.outputs.size === 0;
  const ports = whole ? { inputs: added.inputs, outputs: added.outputs } : {};
  const subgraphs = graphs.subgraphs;
  return { graph: { ...graph, nodes, subgraphs, frames: frames.map, notes: notes.map, routes, ...ports }, items };
}

/**
 * @param {ReadonlyMap<string, Node>} taken
 * @param {ReadonlyMap<string, Node>} added
 * @returns {Map<string, string>} new ids by the old ones
 */
function namesFor(taken, added) {
  const namer = new Namer(taken);
  return new Map([...added.keys()].map((id) => [id, namer.name(id)]));
}

/**
 * @param {Graph} added
 * @param {Point | null} at
 * @returns {{dx: number, dy: number}}
 */
function shift(added, at) {
  if (!at) {
    return { dx: BESIDE, dy: BESIDE };
  }
  const views = [...added.nodes.values()].map((node) => node.view);
  const corner = cornerOf([...views, ...added.frames.values(), ...added.notes.values()]);
  return { dx: at.x - corner.x, dy: at.y - corner.y };
}

/**
 * @template {Point} T
 * @param {ReadonlyMap<string, T>} map
 * @param {ReadonlyMap<string, T>} added
 * @param {(thing: T) => T} moved
 * @returns {{map: ReadonlyMap<string, T>, added: string[]}}
 */
function merged(map, added, moved) {
  const namer = new Namer(map);
  const result = new Map(map);
  const names = [...added].map(([id, thing]) => {
    const name = namer.name(id);
    result.set(name, moved(thing));
    return name;
  });
  return { map: names.length ? result : map, added: names };
}

/**
 * Takes subgraphs in; one that is here already by that name is used, one that differs gets another name.
 * @param {Graph} graph
 * @param {Graph} added
 * @returns {{subgraphs: ReadonlyMap<string, Graph>, names: Map<string, string>}}
 */
export function takeGraphs(graph, added) {
  const reach = inReach(graph);
  const taken = differing(reach, added.subgraphs);
  if (!taken.size) {
    return { subgraphs: graph.subgraphs, names: new Map() };
  }
  const namer = new Namer(reach);
  const all = [...taken].map((name) => /** @type {const} */ ([name, namer.name(name)]));
  const names = new Map(all.filter(([name, other]) => name !== other));
  const subgraphs = new Map(graph.subgraphs);
  for (const [name, other] of all) {
    const subgraph = added.subgraphs.get(name);
    if (subgraph) {
      subgraphs.set(other, callingAll(subgraph, names));
    }
  }
  return { subgraphs, names };
}

/**
 * @param {ReadonlyMap<string, Graph>} here
 * @param {ReadonlyMap<string, Graph>} added
 * @returns {Set<string>} those of the added that are not here as they are, or use one that is not
 */
function differing(here, added) {
  const found = new Set();
  for (const [name, subgraph] of added) {
    const known = here.get(name);
    if (!known || !sameGraph(known, subgraph)) {
      found.add(name);
    }
  }
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const [name, subgraph] of added) {
      if (!found.has(name) && allNodes(subgraph).some((node) => namedBy(node).some((used) => found.has(used)))) {
        found.add(name);
      }
    }
  }
  return found;
}

/**
 * @param {Graph} a
 * @param {Graph} b
 */
const sameGraph = (a, b) => a === b || equal(writeGraph(a), writeGraph(b));

/**
 * @param {Graph} graph
 * @param {ReadonlyMap<string, string>} names
 * @returns {Graph} one whose nodes use other names for subgraphs
 */
function callingAll(graph, names) {
  const outside = [...names].filter(([name]) => !graph.subgraphs.has(name));
  if (!outside.length) {
    return graph;
  }
  const rest = new Map(outside);
  return {
    ...graph,
    nodes: new Map([...graph.nodes].map(([id, node]) => [id, calling(node, rest)])),
    subgraphs: new Map([...graph.subgraphs].map(([name, inner]) => [name, callingAll(inner, rest)])),
  };
}

/**
 * Has a node use other names for subgraphs; that it is run on one, as `ForEach` is, its input `body` tells.
 * @param {Node} node
 * @param {ReadonlyMap<string, string>} names
 * @returns {Node}
 */
export function calling(node, names) {
  const name = node.graph === null ? undefined : names.get(node.graph);
  const body = node.params.get("body");
  const other = typeof body === "string" ? names.get(body) : undefined;
  if (name === undefined && other === undefined) {
    return node;
  }
  const params = other === undefined ? node.params : new Map(node.params).set("body", other);
  return { ...node, graph: name ?? node.graph, params };
}

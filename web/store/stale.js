/** Which nodes would run, judged by the document that the last job ran: for servers that cannot tell themselves. */

import { readersOf } from "./flow.js";
import { equal } from "./json.js";
import { findGraph, follow } from "./scopes.js";

/** @typedef {import("./types.js").Graph} Graph */
/** @typedef {import("./scopes.js").Scope} Scope */
/** @typedef {import("./types.js").Node} Node */
/**
 * Whether subgraphs differ, by the one and the other; of those that are being looked at, that they do not: a subgraph
 * may be in many others, or in itself.
 * @typedef {Map<Graph, Map<Graph, boolean>>} Compared
 */

/**
 * Return why each node of a graph would run again; nodes that are as they were, with all that leads to them, are not in
 * it.
 * @param {Graph} document
 * @param {Graph | null} submitted what the last job ran; null: there was none
 * @param {readonly string[]} [path] to which subgraph's nodes to look
 * @returns {Map<string, string>}
 */
export function staleNodes(document, submitted, path = []) {
  /** @type {Map<string, string>} */
  const why = new Map();
  const [inner, before] = [follow(document, path), submitted && follow(submitted, path)];
  if (inner === null || before === null || document === submitted) return why;
  const [now, then] = [inner.graph, before.graph];
  /** @type {Compared} */
  const compared = new Map();
  for (const [id, node] of now.nodes) {
    const reason = changeOf(node, then.nodes.get(id), [inner, before], compared);
    if (reason !== null) why.set(id, reason);
  }
  if (why.size > 0) spread(now, why);
  return why;
}

/** Add all nodes that read what runs again. @param {Graph} graph @param {Map<string, string>} why */
function spread(graph, why) {
  const readers = readersOf(graph);
  const queue = [...why.keys()];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const { node } of readers.get(id) ?? []) {
      if (why.has(node)) continue;
      why.set(node, `${id} runs again`);
      queue.push(node);
    }
  }
}

/**
 * @param {Node} node
 * @param {Node | undefined} before
 * @param {readonly [now: Scope, then: Scope]} scopes
 * @param {Compared} compared
 * @returns {string | null}
 */
function changeOf(node, before, scopes, compared) {
  if (before === undefined) return "it is new";
  if (node === before && node.graph === null) return null;
  if (node.type !== before.type || node.graph !== before.graph) return "its type has changed";
  if (node.mode !== before.mode) return node.mode === null ? "it is on again" : `its mode is ${node.mode} now`;
  const params = changed(node.params, before.params, equal);
  if (params !== null) return `${params} has changed`;
  const links = changed(node.links, before.links, (a, b) => a === b);
  if (links !== null) return `${links} is wired differently`;
  return node.graph !== null && insideChanged(node.graph, scopes, compared) ? "its inside has changed" : null;
}

/**
 * Tell whether what a subgraph gives may differ, whatever its nodes are drawn like.
 * @param {string} name
 * @param {readonly [now: Scope, then: Scope]} scopes
 * @param {Compared} compared
 * @returns {boolean}
 */
function insideChanged(name, [now, then], compared) {
  const [inner, outer] = [findGraph(now, name), findGraph(then, name)];
  if (inner === null || outer === null) return inner !== outer;
  const known = compared.get(inner.graph) ?? new Map();
  compared.set(inner.graph, known);
  if (!known.has(outer.graph)) {
    known.set(outer.graph, false);
    known.set(outer.graph, differ(inner, outer, compared));
  }
  return known.get(outer.graph) ?? false;
}

/**
 * @param {Scope} inner
 * @param {Scope} outer
 * @param {Compared} compared
 * @returns {boolean}
 */
function differ(inner, outer, compared) {
  const [graph, before] = [inner.graph, outer.graph];
  if (graph.nodes.size !== before.nodes.size) return true;
  if (changed(graph.outputs, before.outputs, (a, b) => a === b) !== null) return true;
  if (changed(graph.inputs, before.inputs, (a, b) => a.join("\n") === b.join("\n")) !== null) return true;
  const scopes = /** @type {const} */ ([inner, outer]);
  return [...graph.nodes].some(([id, node]) => changeOf(node, before.nodes.get(id), scopes, compared) !== null);
}

/**
 * Return a key whose value differs.
 * @template T
 * @param {ReadonlyMap<string, T>} a
 * @param {ReadonlyMap<string, T>} b
 * @param {(a: T, b: T) => boolean} same
 * @returns {string | null}
 */
function changed(a, b, same) {
  if (a === b) return null;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined || !same(value, other)) return key;
  }
  for (const key of b.keys()) if (!a.has(key)) return key;
  return null;
}

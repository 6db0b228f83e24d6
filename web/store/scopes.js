/**
 * Which subgraphs are in reach of a graph: its own, and those of the graphs that it is defined in.
 *
 * A graph alone does not tell where it is defined, since an edit would have to copy all that is in it. Whoever goes
 * into a subgraph tells it here; a graph of which nothing was told is a whole document.
 */

/** @import {Graph} from "./types.js" */

/**
 * A graph, the graph that it is defined in, and by which name.
 * @typedef {{readonly graph: Graph, readonly outer: Scope | null, readonly name: string | null}} Scope
 */

/** @type {WeakMap<Graph, Scope>} */
const known = new WeakMap();

/**
 * @param {Graph} graph
 * @returns {Scope}
 */
export function scopeOf(graph) {
  return known.get(graph) ?? { graph, outer: null, name: null };
}

/**
 * Remembers where a graph is defined.
 * @param {Graph} graph
 * @param {Scope | null} outer
 * @param {string | null} name
 * @returns {Scope}
 */
function openScope(graph, outer, name) {
  const before = known.get(graph);
  if (before && before.outer === outer && before.name === name) {
    return before;
  }
  const scope = { graph, outer, name };
  known.set(graph, scope);
  return scope;
}

/**
 * Finds a subgraph in reach, innermost first.
 * @param {Scope} scope
 * @param {string} name
 * @returns {Scope | null}
 */
export function findGraph(scope, name) {
  for (let at = /** @type {Scope | null} */ (scope); at; at = at.outer) {
    const found = at.graph.subgraphs.get(name);
    if (found) {
      return openScope(found, at, name);
    }
  }
  return null;
}

/**
 * @param {Graph} graph
 * @returns {Map<string, Graph>} the subgraphs in reach by name
 */
export function inReach(graph) {
  /** @type {Map<string, Graph>} */
  const found = new Map();
  for (let at = /** @type {Scope | null} */ (scopeOf(graph)); at; at = at.outer) {
    for (const [name, subgraph] of at.graph.subgraphs) {
      if (!found.has(name)) {
        found.set(name, subgraph);
      }
    }
  }
  return found;
}

/**
 * Follows instances inwards.
 * @param {Graph} document
 * @param {readonly string[]} path ids of instances, outermost first
 * @returns {Scope | null} null where the path leads nowhere
 */
export function follow(document, path) {
  let scope = openScope(document, null, null);
  for (const id of path) {
    const name = scope.graph.nodes.get(id)?.graph;
    const inner = name == null ? null : findGraph(scope, name);
    if (!inner) {
      return null;
    }
    scope = inner;
  }
  return scope;
}

/**
 * Puts a changed graph in the place of the one that a scope is of.
 * @param {Scope} scope
 * @param {Graph} graph
 * @returns {Graph} the whole document
 */
export function putGraph(scope, graph) {
  if (!scope.outer || scope.name === null) {
    return graph;
  }
  const subgraphs = new Map(scope.outer.graph.subgraphs).set(scope.name, graph);
  return putGraph(scope.outer, { ...scope.outer.graph, subgraphs });
}

/** What flows where in a graph: who reads whom, what comes before and after, what a node really gives. */

import { listOf } from "./fits.js";
import { split } from "./names.js";

/** @import {Graph, Node} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

/** @typedef {ReadonlyMap<string, Node>} Nodes */
/** @typedef {{readonly node: string, readonly input: string, readonly output: string}} Reader */

/** @type {WeakMap<Nodes, Map<string, Reader[]>>} */
const readerMemo = new WeakMap();

/**
 * @param {Graph} graph
 * @returns {ReadonlyMap<string, readonly Reader[]>} who reads a node's outputs, by the node's id
 */
export function readersOf(graph) {
  const known = readerMemo.get(graph.nodes);
  if (known) {
    return known;
  }
  /** @type {Map<string, Reader[]>} */
  const found = new Map();
  for (const [id, node] of graph.nodes) {
    for (const [input, link] of node.links) {
      const [source, output] = split(link);
      const readers = found.get(source);
      if (readers) {
        readers.push({ node: id, input, output });
      } else {
        found.set(source, [{ node: id, input, output }]);
      }
    }
  }
  readerMemo.set(graph.nodes, found);
  return found;
}

/** @type {WeakMap<Nodes, Map<string, Set<string>>>} */
const beforeMemo = new WeakMap();

/**
 * @param {Graph} graph
 * @param {string} id
 * @returns {ReadonlySet<string>} the nodes that have to come before a node, and it
 */
export function before(graph, id) {
  return remembered(beforeMemo, graph.nodes, id, () =>
    reach(id, (at) => [...(graph.nodes.get(at)?.links.values() ?? [])].map((link) => split(link)[0])),
  );
}

/** @type {WeakMap<Nodes, Map<string, Set<string>>>} */
const afterMemo = new WeakMap();

/**
 * @param {Graph} graph
 * @param {string} id
 * @returns {ReadonlySet<string>} the nodes that come after a node, and it
 */
export function after(graph, id) {
  const readers = readersOf(graph);
  return remembered(afterMemo, graph.nodes, id, () =>
    reach(id, (at) => (readers.get(at) ?? []).map((reader) => reader.node)),
  );
}

/**
 * @template {object} K
 * @template V
 * @param {WeakMap<K, Map<string, V>>} memo
 * @param {K} key
 * @param {string} name
 * @param {() => V} make
 * @returns {V}
 */
function remembered(memo, key, name, make) {
  let inner = memo.get(key);
  if (!inner) {
    inner = new Map();
    memo.set(key, inner);
  }
  const known = inner.get(name);
  if (known !== undefined) {
    return known;
  }
  const made = make();
  inner.set(name, made);
  return made;
}

/**
 * @param {string} start
 * @param {(id: string) => Iterable<string>} next
 * @returns {Set<string>}
 */
function reach(start, next) {
  const found = new Set([start]);
  const stack = [start];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    for (const other of next(id)) {
      if (!found.has(other)) {
        found.add(other);
        stack.push(other);
      }
    }
  }
  return found;
}

/** @type {WeakMap<Catalogue, WeakMap<Graph, Map<string, boolean>>>} */
const mappedMemo = new WeakMap();

/**
 * Tells the type that an output really has: a list where its node runs once an item of one.
 * @param {Graph} graph
 * @param {string} place `"node.output"`
 * @param {Catalogue} catalogue
 * @returns {string | null} null where there is no such output
 */
export function outputType(graph, place, catalogue) {
  const [id, output] = split(place);
  const node = graph.nodes.get(id);
  const port = node && catalogue.type(node, graph).outputs.get(output);
  if (!port) {
    return null;
  }
  return isMapped(graph, id, catalogue) ? listOf(port.type) : port.type;
}

/**
 * @param {Graph} graph
 * @param {string} id
 * @param {Catalogue} catalogue
 * @returns {boolean} whether a node runs once an item of a list
 */
export function isMapped(graph, id, catalogue) {
  const graphs = mappedMemo.get(catalogue) ?? new WeakMap();
  mappedMemo.set(catalogue, graphs);
  /** @type {Map<string, boolean>} */
  const known = graphs.get(graph) ?? new Map();
  graphs.set(graph, known);
  const stack = [id];
  const open = new Set();
  while (stack.length) {
    const at = stack[stack.length - 1];
    const isNew = !known.has(at) && !open.has(at);
    const sources = isNew ? sourcesOf(graph, at).filter((source) => !known.has(source) && !open.has(source)) : [];
    open.add(at);
    if (sources.length) {
      stack.push(...sources);
      continue;
    }
    stack.pop();
    known.set(at, known.get(at) ?? mappedByLinks(graph, at, catalogue, known));
  }
  return known.get(id) ?? false;
}

/**
 * @param {Graph} graph
 * @param {string} id
 */
function sourcesOf(graph, id) {
  const links = graph.nodes.get(id)?.links.values() ?? [];
  return [...links].map((link) => split(link)[0]).filter((source) => graph.nodes.has(source));
}

/**
 * @param {Graph} graph
 * @param {string} id
 * @param {Catalogue} catalogue
 * @param {ReadonlyMap<string, boolean>} known
 * @returns {boolean}
 */
function mappedByLinks(graph, id, catalogue, known) {
  const node = graph.nodes.get(id);
  const inputs = node && catalogue.type(node, graph).inputs;
  for (const [name, link] of node?.links ?? []) {
    const [source, output] = split(link);
    const from = graph.nodes.get(source);
    const given = from && catalogue.type(from, graph).outputs.get(output);
    const wanted = inputs?.get(name);
    if (given && wanted && wanted.type && given.type) {
      const type = known.get(source) ? listOf(given.type) : given.type;
      if (catalogue.fit(type, wanted.type) === "each") {
        return true;
      }
    }
  }
  return false;
}

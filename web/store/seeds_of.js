/** The seeds that a result came from. */

import { split } from "./names.js";
import { follow } from "./scopes.js";

/** @typedef {import("./types.js").Graph} Graph */

/** A subgraph that is in itself has no bottom. */
const DEEPEST = 16;
const SEED = /^(noise_)?seed$/;

/**
 * Return the seeds of a node and of all that leads to it, the nearest first.
 * @param {Graph} document
 * @param {string} node its id in jobs, with the instances that it is in
 * @returns {(number | bigint)[]}
 */
export function seedsOf(document, node) {
  const path = node.split("/");
  for (let depth = path.length; depth > 0; depth -= 1) {
    const outer = path.slice(0, depth - 1);
    const scope = follow(document, outer);
    const found = scope === null ? [] : collect(document, scope.graph, outer, [path[depth - 1] ?? ""]);
    if (found.length > 0) return found;
  }
  return [];
}

/**
 * @param {Graph} document
 * @param {Graph} graph
 * @param {readonly string[]} path of the graph
 * @param {string[]} queue
 * @returns {(number | bigint)[]}
 */
function collect(document, graph, path, queue) {
  /** @type {(number | bigint)[]} */
  const seeds = [];
  const seen = new Set(queue);
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    const node = graph.nodes.get(id);
    if (node === undefined) continue;
    for (const [name, value] of node.params) {
      if (SEED.test(name) && (typeof value === "number" || typeof value === "bigint")) seeds.push(value);
    }
    const inner = node.graph === null || path.length >= DEEPEST ? null : follow(document, [...path, id]);
    if (inner) seeds.push(...collect(document, inner.graph, [...path, id], [...inner.graph.nodes.keys()]));
    for (const source of node.links.values()) {
      const [from] = split(source);
      if (seen.has(from)) continue;
      seen.add(from);
      queue.push(from);
    }
  }
  return seeds;
}

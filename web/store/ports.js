/** The ports of subgraphs, and who uses them. */

import { namedBy } from "./clipboard.js";
import { join, split } from "./names.js";

/** @import {Graph, Node} from "./types.js" */
/** @import {Scope} from "./scopes.js" */

/**
 * New names by the old ones.
 * @typedef {{inputs: ReadonlyMap<string, string>, outputs: ReadonlyMap<string, string>}} Renamed
 */

/**
 * Counts the nodes that use a subgraph of a graph, as instances or as bodies, in it and in its subgraphs.
 * @param {Graph} graph
 * @param {string} name
 * @returns {number}
 */
export function usesOf(graph, name) {
  let count = 0;
  for (const node of graph.nodes.values()) {
    count += namedBy(node).includes(name) ? 1 : 0;
  }
  for (const part of graph.subgraphs.values()) {
    count += part.subgraphs.has(name) ? 0 : usesOf(part, name);
  }
  return count;
}

/**
 * Finds ports that were given another name: those that lead where one led that is no more.
 * @param {Graph} before
 * @param {Graph} after
 * @returns {Renamed | null} null where there are none
 */
export function renamedPorts(before, after) {
  const inputs = renames(before.inputs, after.inputs, (places) => places.join(" "));
  const outputs = renames(before.outputs, after.outputs, (place) => place);
  return inputs.size || outputs.size ? { inputs, outputs } : null;
}

/**
 * @template T
 * @param {ReadonlyMap<string, T>} before
 * @param {ReadonlyMap<string, T>} after
 * @param {(value: T) => string} text
 * @returns {Map<string, string>}
 */
function renames(before, after, text) {
  /** @type {Map<string, string>} */
  const found = new Map();
  if (before === after) {
    return found;
  }
  const fresh = new Map([...after].filter(([name]) => !before.has(name)).map(([name, value]) => [text(value), name]));
  for (const [name, value] of before) {
    const other = fresh.get(text(value));
    if (!after.has(name) && other !== undefined) {
      found.set(name, other);
    }
  }
  return found;
}

/**
 * Has all instances of a subgraph, wherever in the document, use the new names of its ports.
 * @param {Graph} document
 * @param {Scope} scope of the subgraph, before the change
 * @param {Renamed} renamed
 * @returns {Graph}
 */
export function followPorts(document, scope, renamed) {
  /** @type {string[]} */
  const place = [];
  for (let at = /** @type {Scope | null} */ (scope); at?.name != null; at = at.outer) {
    place.unshift(at.name);
  }
  return visit(document, [], place, renamed, false);
}

/**
 * @param {Graph} graph
 * @param {readonly string[]} here where the graph is defined
 * @param {readonly string[]} place where the subgraph is defined, its own name last
 * @param {Renamed} renamed
 * @param {boolean} visible whether the name means the subgraph in the graph around
 * @returns {Graph}
 */
function visit(graph, here, place, renamed, visible) {
  const name = place.at(-1) ?? "";
  const isHome = here.length === place.length - 1 && here.every((part, index) => part === place[index]);
  const inReach = isHome || (visible && !graph.subgraphs.has(name));
  /** @type {[string, Graph][]} */
  const parts = [...graph.subgraphs].map(([key, part]) => [key, visit(part, [...here, key], place, renamed, inReach)]);
  const changed = parts.some(([key, part]) => part !== graph.subgraphs.get(key));
  const inner = changed ? { ...graph, subgraphs: new Map(parts) } : graph;
  const users = new Set([...graph.nodes].filter(([, node]) => node.graph === name).map(([id]) => id));
  return inReach && users.size ? renamedGraph(inner, users, renamed) : inner;
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} users the instances of the subgraph
 * @param {Renamed} renamed
 * @returns {Graph}
 */
function renamedGraph(graph, users, { inputs, outputs }) {
  /** @param {string} place @param {ReadonlyMap<string, string>} names */
  const moved = (place, names) => {
    const [id, port] = split(place);
    const other = users.has(id) ? names.get(port) : undefined;
    return other === undefined ? place : join(id, other);
  };
  const nodes = new Map();
  for (const [id, node] of graph.nodes) {
    const touched = users.has(id) || [...node.links.values()].some((link) => moved(link, outputs) !== link);
    const names = users.has(id) ? inputs : new Map();
    nodes.set(id, touched ? renamedNode(node, names, (link) => moved(link, outputs)) : node);
  }
  return {
    ...graph,
    nodes,
    inputs: new Map([...graph.inputs].map(([name, places]) => [name, places.map((place) => moved(place, inputs))])),
    outputs: new Map([...graph.outputs].map(([name, place]) => [name, moved(place, outputs)])),
    routes: new Map([...graph.routes].map(([target, points]) => [moved(target, inputs), points])),
  };
}

/**
 * @param {Node} node
 * @param {ReadonlyMap<string, string>} inputs
 * @param {(link: string) => string} moved
 * @returns {Node}
 */
function renamedNode(node, inputs, moved) {
  return {
    ...node,
    params: new Map([...node.params].map(([name, value]) => [inputs.get(name) ?? name, value])),
    links: new Map([...node.links].map(([name, link]) => [inputs.get(name) ?? name, moved(link)])),
  };
}

/** Taking the nodes of a subgraph out, in the place of an instance of it. */

import { cornerOf } from "../geometry/transform.js";
import { emptyGraph } from "./document.js";
import { calling, takeGraphs, usedGraphs } from "./clipboard.js";
import { Namer, item, join, split } from "./names.js";
import { usesOf } from "./ports.js";
import { findGraph, scopeOf } from "./scopes.js";

/** @import {Graph, Item, Node, Point} from "./types.js" */

/**
 * What is known while an instance is taken apart.
 * @typedef {Object} Work
 * @property {Graph} graph
 * @property {string} id the instance's
 * @property {Node} node the instance
 * @property {Graph} inner its subgraph
 * @property {ReadonlyMap<string, string>} names new ids of the inner nodes by their own
 * @property {ReadonlyMap<string, string>} graphs new names of subgraphs that the inner nodes use
 * @property {number} dx
 * @property {number} dy
 */

/**
 * Puts the nodes of an instance's subgraph in its place. The subgraph goes with its last instance.
 * @param {Graph} graph
 * @param {string} id
 * @returns {{graph: Graph, items: Set<Item>} | null} null for what is no instance
 */
export function unpack(graph, id) {
  const node = graph.nodes.get(id);
  const scope = node?.graph == null ? null : findGraph(scopeOf(graph), node.graph);
  if (!node || !scope) {
    return null;
  }
  const inner = scope.graph;
  const used = new Map([...usedGraphs(inner, inner.nodes.values()), ...inner.subgraphs]);
  const { subgraphs, names: graphs } = takeGraphs(graph, { ...emptyGraph(), subgraphs: used });
  const namer = new Namer({ has: (other) => other !== id && graph.nodes.has(other) });
  const names = new Map([...inner.nodes.keys()].map((key) => [key, namer.name(key)]));
  const { x, y } = cornerOf([...inner.nodes.values()].map((part) => part.view));
  /** @type {Work} */
  const work = { graph, id, node, inner, names, graphs, dx: node.view.x - x, dy: node.view.y - y };
  const drawn = drawnOf(work);
  const result = { ...graph, nodes: nodesOf(work), ...portsOf(work), ...drawn.parts, subgraphs };
  const items = new Set([...[...names.values()].map((name) => item("node", name)), ...drawn.items]);
  return { graph: scope.outer?.graph === graph ? withoutUnused(result, node.graph ?? "") : result, items };
}

/**
 * @param {Graph} graph
 * @param {string} name
 * @returns {Graph} without the subgraph if nothing uses it
 */
function withoutUnused(graph, name) {
  if (usesOf(graph, name)) {
    return graph;
  }
  const subgraphs = new Map(graph.subgraphs);
  subgraphs.delete(name);
  return { ...graph, subgraphs };
}

/**
 * @param {Work} work
 * @returns {Map<string, Node>}
 */
function nodesOf(work) {
  const fed = fedOf(work);
  const nodes = new Map();
  for (const [key, node] of work.graph.nodes) {
    if (key !== work.id) {
      nodes.set(key, readingInner(work, node));
      continue;
    }
    for (const [inner, part] of work.inner.nodes) {
      nodes.set(work.names.get(inner) ?? inner, outside(work, part, fed.get(inner) ?? []));
    }
  }
  return nodes;
}

/**
 * @param {Work} work
 * @returns {Map<string, {input: string, port: string}[]>} what the instance gives, by the inner node
 */
function fedOf(work) {
  /** @type {Map<string, {input: string, port: string}[]>} */
  const fed = new Map();
  for (const [port, places] of work.inner.inputs) {
    for (const place of places) {
      const [id, input] = split(place);
      const list = fed.get(id) ?? [];
      fed.set(id, [...list, { input, port }]);
    }
  }
  return fed;
}

/**
 * @param {Work} work
 * @param {Node} part an inner node
 * @param {readonly {input: string, port: string}[]} fed
 * @returns {Node}
 */
function outside(work, part, fed) {
  const links = new Map([...part.links].map(([input, link]) => [input, innerPlace(work, link)]));
  const params = new Map(part.params);
  for (const { input, port } of fed) {
    const link = work.node.links.get(port);
    const typed = work.node.params.get(port);
    if (typed !== undefined) {
      params.set(input, typed);
      links.delete(input);
    }
    if (link !== undefined) {
      links.set(input, link);
    }
  }
  const view = { ...part.view, x: part.view.x + work.dx, y: part.view.y + work.dy };
  return { ...calling(part, work.graphs), params, links, mode: work.node.mode ?? part.mode, view };
}

/**
 * @param {Work} work
 * @param {string} place in the subgraph
 * @returns {string} in the graph around
 */
function innerPlace(work, place) {
  const [id, port] = split(place);
  return join(work.names.get(id) ?? id, port);
}

/**
 * @param {Work} work
 * @param {string} place
 * @returns {string | null} what an output of the instance stood for; other places as they are
 */
function source(work, place) {
  const [id, port] = split(place);
  if (id !== work.id) {
    return place;
  }
  const inner = work.inner.outputs.get(port);
  return inner === undefined ? null : innerPlace(work, inner);
}

/**
 * @param {Work} work
 * @param {Node} node beside the instance
 * @returns {Node}
 */
function readingInner(work, node) {
  if (![...node.links.values()].some((link) => split(link)[0] === work.id)) {
    return node;
  }
  const links = new Map();
  for (const [input, link] of node.links) {
    const place = source(work, link);
    if (place !== null) {
      links.set(input, place);
    }
  }
  return { ...node, links };
}

/**
 * @param {Work} work
 * @returns {Pick<Graph, "inputs" | "outputs">}
 */
function portsOf(work) {
  const inputs = new Map();
  for (const [name, places] of work.graph.inputs) {
    const all = places.flatMap((place) => {
      const [id, port] = split(place);
      return id === work.id ? (work.inner.inputs.get(port) ?? []).map((at) => innerPlace(work, at)) : [place];
    });
    if (all.length || !places.length) {
      inputs.set(name, all);
    }
  }
  const outputs = new Map();
  for (const [name, place] of work.graph.outputs) {
    const at = source(work, place);
    if (at !== null) {
      outputs.set(name, at);
    }
  }
  return { inputs, outputs };
}

/**
 * @param {Work} work
 * @returns {{parts: Pick<Graph, "frames" | "notes" | "routes">, items: Item[]}}
 */
function drawnOf(work) {
  /** @template {Point} T @param {T} thing */
  const moved = (thing) => ({ ...thing, x: thing.x + work.dx, y: thing.y + work.dy });
  /** @type {Item[]} */
  const items = [];
  const frames = new Map(work.graph.frames);
  const frameNames = new Namer(work.graph.frames);
  for (const [key, frame] of work.inner.frames) {
    const name = frameNames.name(key);
    frames.set(name, moved(frame));
    items.push(item("frame", name));
  }
  const notes = new Map(work.graph.notes);
  const noteNames = new Namer(work.graph.notes);
  for (const [key, note] of work.inner.notes) {
    const name = noteNames.name(key);
    notes.set(name, moved(note));
    items.push(item("note", name));
  }
  const routes = new Map([...work.graph.routes].filter(([target]) => split(target)[0] !== work.id));
  work.inner.routes.forEach((points, target) => routes.set(innerPlace(work, target), points.map(moved)));
  return { parts: { frames, notes, routes }, items };
}

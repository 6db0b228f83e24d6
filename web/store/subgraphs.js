/** Making a subgraph of nodes, and nodes of a subgraph again. */

import { cornerOf } from "../geometry/transform.js";
import { emptyGraph } from "./document.js";
import { before, readersOf } from "./flow.js";
import { inFrame } from "./items.js";
import { Namer, idOfType, idsOf, isId, join, portName, split } from "./names.js";
import { inReach } from "./scopes.js";

/** @import {Frame, Graph, Node, Note} from "./types.js" */

export { unpack } from "./unpack.js";

/** @typedef {{graph: Graph, id: string, name: string} | {reason: string}} Made `id` is the instance's */

/**
 * What crosses the edge of a subgraph that is being made.
 * @typedef {Object} Edge
 * @property {Map<string, string[]>} inputs inner places by the subgraph's names
 * @property {Map<string, string>} outputs
 * @property {Map<string, string>} links what the instance is wired to
 * @property {Map<string, string>} given the instance's output by the inner place that it stands for
 * @property {Map<string, string>} set the instance's input by the name that the graph exposes
 */

/**
 * Makes a subgraph of nodes and puts an instance of it in their place. Links from one output to several of the nodes
 * become one input; what the graph exposes of the nodes, it exposes of the instance. Frames around these nodes alone go
 * along.
 * @param {Graph} graph
 * @param {Iterable<string>} ids
 * @param {string} name what it is to be called
 * @returns {Made} why not, where it cannot be made
 */
export function makeSubgraph(graph, ids, name) {
  const inside = new Set([...graph.nodes.keys()].filter(isIn(new Set(ids))));
  const between = betweenNodes(graph, inside);
  if (!inside.size) {
    return { reason: "Select the nodes that the subgraph is to be made of." };
  }
  if (between) {
    return { reason: `${between} lies between the selected nodes: select it too, or fewer of the others.` };
  }
  const called = new Namer(inReach(graph)).name(isId(name) ? name : idOfType(name));
  const id = new Namer({ has: (other) => graph.nodes.has(other) && !inside.has(other) }).name(called);
  const edge = edgeOf(graph, inside);
  const frames = framesOf(graph, inside);
  const subgraph = innerGraph(graph, inside, edge, frames);
  const outer = outerGraph(graph, inside, edge, id, called);
  return {
    graph: {
      ...outer,
      frames: new Map([...graph.frames].filter(([key]) => !frames.frames.has(key))),
      notes: new Map([...graph.notes].filter(([key]) => !frames.notes.has(key))),
      subgraphs: new Map(graph.subgraphs).set(called, subgraph),
    },
    id,
    name: called,
  };
}

/** @param {ReadonlySet<string>} set */
const isIn = (set) => (/** @type {string} */ id) => set.has(id);

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @returns {string | null} a node that waits for some of the nodes, and is waited for by others
 */
function betweenNodes(graph, inside) {
  for (const id of inside) {
    for (const link of graph.nodes.get(id)?.links.values() ?? []) {
      const source = split(link)[0];
      const waits = !inside.has(source) && graph.nodes.has(source) ? before(graph, source) : new Set();
      if ([...inside].some((other) => waits.has(other))) {
        return source;
      }
    }
  }
  return null;
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @returns {Edge}
 */
function edgeOf(graph, inside) {
  /** @type {Edge} */
  const edge = { inputs: new Map(), outputs: new Map(), links: new Map(), given: new Map(), set: new Map() };
  const inputs = new Namer(edge.inputs);
  const outputs = new Namer(edge.outputs);
  exposedInputs(graph, inside, edge, inputs);
  /** @type {Map<string, string[]>} */
  const bySource = new Map();
  for (const id of inside) {
    for (const [input, link] of graph.nodes.get(id)?.links ?? []) {
      if (!inside.has(split(link)[0])) {
        const targets = bySource.get(link) ?? [];
        bySource.set(link, [...targets, join(id, input)]);
      }
    }
  }
  for (const [source, targets] of bySource) {
    const name = inputs.name(portName(split(targets[0] ?? "")[1]));
    edge.inputs.set(name, targets);
    edge.links.set(name, source);
  }
  for (const place of readPlaces(graph, inside)) {
    const name = outputs.name(portName(split(place)[1]));
    edge.outputs.set(name, place);
    edge.given.set(place, name);
  }
  return edge;
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @param {Edge} edge
 * @param {Namer} namer
 */
function exposedInputs(graph, inside, edge, namer) {
  for (const [exposed, places] of graph.inputs) {
    const inner = places.filter((place) => inside.has(split(place)[0]));
    if (inner.length) {
      const name = namer.name(exposed);
      edge.inputs.set(name, inner);
      edge.set.set(exposed, name);
    }
  }
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @returns {Set<string>} places of the nodes that are read from without
 */
function readPlaces(graph, inside) {
  const readers = readersOf(graph);
  const found = new Set();
  for (const id of inside) {
    for (const reader of readers.get(id) ?? []) {
      if (!inside.has(reader.node)) {
        found.add(join(id, reader.output));
      }
    }
  }
  for (const place of graph.outputs.values()) {
    if (inside.has(split(place)[0])) {
      found.add(place);
    }
  }
  return found;
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @returns {{frames: Map<string, Frame>, notes: Map<string, Note>}} frames around such nodes alone, and notes in them
 */
function framesOf(graph, inside) {
  const frames = new Map();
  const notes = new Map();
  for (const [key, frame] of graph.frames) {
    const items = inFrame(graph, key);
    const ids = idsOf(items, "node");
    if (ids.size && [...ids].every(isIn(inside))) {
      frames.set(key, frame);
      idsOf(items, "note").forEach((note) => notes.set(note, graph.notes.get(note)));
    }
  }
  return { frames, notes };
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @param {Edge} edge
 * @param {{frames: Map<string, Frame>, notes: Map<string, Note>}} drawn
 * @returns {Graph}
 */
function innerGraph(graph, inside, edge, drawn) {
  const nodes = new Map();
  for (const [id, node] of graph.nodes) {
    if (inside.has(id)) {
      const links = new Map([...node.links].filter(([, link]) => inside.has(split(link)[0])));
      nodes.set(id, links.size === node.links.size ? node : { ...node, links });
    }
  }
  return {
    ...emptyGraph(),
    nodes,
    inputs: edge.inputs,
    outputs: edge.outputs,
    frames: drawn.frames,
    notes: drawn.notes,
    // Bends of links from without are kept for when the nodes are taken out again.
    routes: new Map([...graph.routes].filter(([target]) => inside.has(split(target)[0]))),
  };
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @param {Edge} edge
 * @param {string} id
 * @param {string} name
 * @returns {Graph}
 */
function outerGraph(graph, inside, edge, id, name) {
  /** @type {Map<string, Node>} */
  const nodes = new Map();
  for (const [key, node] of graph.nodes) {
    if (!inside.has(key)) {
      nodes.set(key, relinked(node, edge.given, id));
    } else if (!nodes.has(id)) {
      const view = cornerOf([...inside].map((inner) => graph.nodes.get(inner)?.view ?? { x: 0, y: 0 }));
      nodes.set(id, { type: null, graph: name, params: new Map(), links: edge.links, mode: null, view });
    }
  }
  return { ...graph, nodes, ...exposures(graph, inside, edge, id) };
}

/**
 * @param {Node} node
 * @param {ReadonlyMap<string, string>} given
 * @param {string} id
 * @returns {Node}
 */
function relinked(node, given, id) {
  if (![...node.links.values()].some((link) => given.has(link))) {
    return node;
  }
  /** @param {string} link */
  const moved = (link) => {
    const name = given.get(link);
    return name === undefined ? link : join(id, name);
  };
  return { ...node, links: new Map([...node.links].map(([input, link]) => [input, moved(link)])) };
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} inside
 * @param {Edge} edge
 * @param {string} id
 * @returns {Pick<Graph, "inputs" | "outputs" | "routes">}
 */
function exposures(graph, inside, edge, id) {
  /** @type {Map<string, string[]>} */
  const inputs = new Map();
  for (const [name, places] of graph.inputs) {
    const port = edge.set.get(name);
    const all = places.map((place) => (inside.has(split(place)[0]) && port !== undefined ? join(id, port) : place));
    inputs.set(name, [...new Set(all)]);
  }
  /** @type {[string, string][]} */
  const outputs = [...graph.outputs].map(([name, place]) => {
    const port = edge.given.get(place);
    return [name, port === undefined ? place : join(id, port)];
  });
  const routes = [...graph.routes].filter(([target]) => !inside.has(split(target)[0]));
  return { inputs, outputs: new Map(outputs), routes: new Map(routes) };
}

/** Edits of what is wired: links, their bends, and what a graph exposes of its nodes. */

import { before, outputType } from "./flow.js";
import { Namer, isPortName, join, portName, split } from "./names.js";

/** @import {Graph, Node, Point} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

/**
 * @param {Graph} graph
 * @param {string} id
 * @param {Node} node
 * @returns {Graph}
 */
export function withNode(graph, id, node) {
  return { ...graph, nodes: new Map(graph.nodes).set(id, node) };
}

/**
 * Wires an output to an input, in place of what was wired there; what was typed there is kept for when it is unwired.
 * @param {Graph} graph
 * @param {string} source `"node.output"`
 * @param {string} target `"node.input"`
 * @returns {Graph}
 */
export function connect(graph, source, target) {
  const [id, input] = split(target);
  const node = graph.nodes.get(id);
  if (!node || node.links.get(input) === source) {
    return graph;
  }
  const wired = withNode(graph, id, { ...node, links: new Map(node.links).set(input, source) });
  return setRoute(wired, target, []);
}

/**
 * Takes a link away, with its bends.
 * @param {Graph} graph
 * @param {string} target `"node.input"`
 * @returns {Graph}
 */
export function disconnect(graph, target) {
  const [id, input] = split(target);
  const node = graph.nodes.get(id);
  if (!node?.links.has(input)) {
    return graph;
  }
  const links = new Map(node.links);
  links.delete(input);
  return setRoute(withNode(graph, id, { ...node, links }), target, []);
}

/**
 * Takes many links away at once.
 * @param {Graph} graph
 * @param {Iterable<string>} targets
 * @returns {Graph}
 */
export function disconnectAll(graph, targets) {
  const nodes = new Map(graph.nodes);
  const routes = new Map(graph.routes);
  for (const target of targets) {
    const [id, input] = split(target);
    const node = nodes.get(id);
    if (node?.links.has(input)) {
      const links = new Map(node.links);
      links.delete(input);
      nodes.set(id, { ...node, links });
      routes.delete(target);
    }
  }
  return { ...graph, nodes, routes };
}

/**
 * Moves all links of an output to another output.
 * @param {Graph} graph
 * @param {string} from `"node.output"`
 * @param {string} to
 * @returns {Graph}
 */
export function moveLinks(graph, from, to) {
  const nodes = new Map(graph.nodes);
  for (const [id, node] of graph.nodes) {
    if ([...node.links.values()].includes(from)) {
      nodes.set(id, { ...node, links: new Map([...node.links].map(([name, s]) => [name, s === from ? to : s])) });
    }
  }
  return { ...graph, nodes };
}

/**
 * Sets the bends of a link.
 * @param {Graph} graph
 * @param {string} target `"node.input"` that the link leads to
 * @param {readonly Point[]} points none for a link without bends
 * @returns {Graph}
 */
export function setRoute(graph, target, points) {
  if (!points.length && !graph.routes.has(target)) {
    return graph;
  }
  const routes = new Map(graph.routes);
  if (points.length) {
    routes.set(target, points);
  } else {
    routes.delete(target);
  }
  return { ...graph, routes };
}

/**
 * Lets an input of a node be set from outside, by a name; one name may set several.
 * @param {Graph} graph
 * @param {string} place `"node.input"`
 * @param {string} [name]
 * @returns {Graph}
 */
export function expose(graph, place, name = split(place)[1]) {
  const clear = unexpose(graph, place);
  const wanted = isPortName(name) ? name : portName(name);
  const inputs = new Map(clear.inputs).set(wanted, [...(clear.inputs.get(wanted) ?? []), place]);
  return { ...clear, inputs };
}

/**
 * Gives a name that no input of the graph has, for one to expose.
 * @param {Graph} graph
 * @param {string} wanted
 * @returns {string}
 */
export const freeInputName = (graph, wanted) => new Namer(graph.inputs).name(portName(wanted));

/**
 * @param {Graph} graph
 * @param {string} place `"node.input"`
 * @param {string} [name] all names that lead there where it is not told
 * @returns {Graph}
 */
export function unexpose(graph, place, name) {
  const inputs = new Map();
  let changed = false;
  for (const [other, places] of graph.inputs) {
    const rest = name === undefined || name === other ? places.filter((at) => at !== place) : places;
    changed ||= rest.length < places.length;
    if (rest.length || !places.length) {
      inputs.set(other, rest.length < places.length ? rest : places);
    }
  }
  return changed ? { ...graph, inputs } : graph;
}

/**
 * @param {Graph} graph
 * @param {string} place `"node.input"`
 * @returns {string | null} the name by which it is set from outside
 */
export function exposedAs(graph, place) {
  for (const [name, places] of graph.inputs) {
    if (places.includes(place)) {
      return name;
    }
  }
  return null;
}

/**
 * Gives an exposed input another name; the order stays.
 * @param {Graph} graph
 * @param {string} name
 * @param {string} other
 * @returns {Graph}
 */
export function renameInput(graph, name, other) {
  const wanted = isPortName(other) ? other : portName(other);
  if (!graph.inputs.has(name) || graph.inputs.has(wanted)) {
    return graph;
  }
  const inputs = new Map([...graph.inputs].map(([key, places]) => [key === name ? wanted : key, places]));
  return { ...graph, inputs };
}

/**
 * Puts exposed inputs in an order; those that are not named come last.
 * @param {Graph} graph
 * @param {readonly string[]} names
 * @returns {Graph}
 */
export function orderInputs(graph, names) {
  const inputs = new Map();
  for (const name of [...names, ...graph.inputs.keys()]) {
    const places = graph.inputs.get(name);
    if (places && !inputs.has(name)) {
      inputs.set(name, places);
    }
  }
  return { ...graph, inputs };
}

/**
 * Finds by which of its ports a node could go into a link.
 * @param {Graph} graph
 * @param {string} id
 * @param {string} target `"node.input"` that the link leads to
 * @param {Catalogue} catalogue
 * @returns {{input: string, output: string} | null} null where it does not fit
 */
export function insertable(graph, id, target, catalogue) {
  const [reader, name] = split(target);
  const node = graph.nodes.get(id);
  const end = graph.nodes.get(reader);
  const link = end?.links.get(name);
  if (!node || !end || !link || id === reader || split(link)[0] === id) {
    return null;
  }
  if (before(graph, split(link)[0]).has(id) || before(graph, id).has(reader)) {
    return null;
  }
  const type = catalogue.type(node, graph);
  const source = outputType(graph, link, catalogue);
  const wanted = catalogue.type(end, graph).inputs.get(name)?.type;
  const free = [...type.inputs.values()].filter((port) => port.wired && !node.links.has(port.name));
  const fitting = source === null ? [] : free.filter((port) => catalogue.fit(source, port.type));
  const input = best(fitting, source);
  const output = best([...type.outputs.values()].filter((port) => wanted && catalogue.fit(port.type, wanted)), wanted);
  return input && output ? { input: input.name, output: output.name } : null;
}

/**
 * @param {readonly import("./types.js").Port[]} ports
 * @param {string | null | undefined} type
 * @returns {import("./types.js").Port | undefined} one of the very type, else one that can only be wired
 */
function best(ports, type) {
  return (
    ports.find((port) => port.type === type && !port.field) ??
    ports.find((port) => port.type === type) ??
    ports.find((port) => !port.field) ??
    ports[0]
  );
}

/**
 * Puts a node into a link; where it does not fit, nothing changes.
 * @param {Graph} graph
 * @param {string} id
 * @param {string} target `"node.input"` that the link leads to
 * @param {Catalogue} catalogue
 * @returns {Graph}
 */
export function insertOnLink(graph, id, target, catalogue) {
  const ports = insertable(graph, id, target, catalogue);
  const [reader, name] = split(target);
  const link = graph.nodes.get(reader)?.links.get(name);
  if (!ports || !link) {
    return graph;
  }
  return connect(connect(graph, link, join(id, ports.input)), join(id, ports.output), target);
}

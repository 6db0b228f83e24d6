/** Subgraphs seen from outside, and what can be told of nodes of missing types from the links to them. */

import { missingType, output } from "./catalogue.js";
import { outputType } from "./flow.js";
import { split } from "./names.js";

/** @import {Field, Graph, Node, NodeType, Port} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */
/** @import {Scope} from "./scopes.js" */

/** Subgraphs whose outsides are being found, so that one that holds itself is noticed. @type {Set<Graph>} */
const open = new Set();

/**
 * Where each way from one map of subgraphs to the one around it leads.
 * @type {WeakMap<object, WeakMap<object, object>>}
 */
const steps = new WeakMap();
const OUTSIDE = {};

/**
 * @param {Scope | null} scope
 * @returns {object} the same for as long as the subgraphs in reach are the same
 */
function surroundingsOf(scope) {
  /** @type {object} */
  let key = OUTSIDE;
  for (let at = scope; at; at = at.outer) {
    key = step(key, at.graph.subgraphs);
  }
  return key;
}

/**
 * @param {object} from
 * @param {object} to
 * @returns {object}
 */
function step(from, to) {
  const next = steps.get(from) ?? new WeakMap();
  steps.set(from, next);
  const key = next.get(to) ?? {};
  next.set(to, key);
  return key;
}

/**
 * Tells the outside of a subgraph as a node type; what it exposes has the types and fields of what is inside.
 * @param {Catalogue} catalogue
 * @param {Scope} scope of the subgraph
 * @param {string} name
 * @returns {NodeType}
 */
export function instanceType(catalogue, scope, name) {
  const key = surroundingsOf(scope.outer);
  const known = catalogue.instances.get(key) ?? new Map();
  catalogue.instances.set(key, known);
  let type = known.get(name);
  if (!type) {
    if (open.has(scope.graph)) {
      return missingType(`graph:${name}`, `the subgraph ${name} holds itself`);
    }
    open.add(scope.graph);
    try {
      type = outside(catalogue, scope.graph, name);
    } finally {
      open.delete(scope.graph);
    }
    known.set(name, type);
  }
  return type;
}

/**
 * @param {Catalogue} catalogue
 * @param {Graph} graph
 * @param {string} name
 * @returns {NodeType}
 */
function outside(catalogue, graph, name) {
  const { title, doc } = graph.meta;
  /** @type {Map<string, Port>} */
  const inputs = new Map();
  for (const [input, places] of graph.inputs) {
    inputs.set(input, inputPort(catalogue, graph, input, places));
  }
  /** @type {Map<string, Port>} */
  const outputs = new Map();
  for (const [given, place] of graph.outputs) {
    outputs.set(given, output(given, outputType(graph, place, catalogue) ?? "any"));
  }
  return {
    id: `graph:${name}`,
    title: typeof title === "string" && title ? title : name,
    doc: typeof doc === "string" ? doc : "",
    category: "subgraphs",
    plugin: "",
    inputs,
    outputs,
    sink: [...graph.nodes.values()].some((node) => node.mode === null && catalogue.type(node, graph).sink),
    deprecated: null,
    missing: null,
  };
}

/**
 * @param {Catalogue} catalogue
 * @param {Graph} graph
 * @param {string} name
 * @param {readonly string[]} places
 * @returns {Port}
 */
function inputPort(catalogue, graph, name, places) {
  /** @type {{node: Node, port: Port}[]} */
  const found = [];
  for (const place of places) {
    const [id, input] = split(place);
    const node = graph.nodes.get(id);
    const port = node && catalogue.type(node, graph).inputs.get(input);
    if (node && port) {
      found.push({ node, port });
    }
  }
  const [first] = found;
  if (!first) {
    return output(name, "any");
  }
  const typed = found.find(({ port }) => port.field) ?? first;
  // What fits one of them must fit all: a number that goes to an `int` and a `float` is an `int`.
  const narrow = found.find(({ port }) => found.every((one) => catalogue.fit(port.type, one.port.type) === "whole"));
  return {
    name,
    type: (narrow ?? first).port.type,
    required: found.some(isOpen),
    lazy: first.port.lazy,
    field: typed.port.field && withDefault(typed.port.field, typed.node, typed.port.name),
    wired: found.every(({ port }) => port.wired),
  };
}

/**
 * @param {{node: Node, port: Port}} place
 * @returns {boolean} whether something must be given there, and is not
 */
const isOpen = ({ node, port }) => port.required && !node.params.has(port.name) && !node.links.has(port.name);

/**
 * What was typed inside is what an instance has until something else is typed there.
 * @param {Field} field
 * @param {Node} node
 * @param {string} name
 * @returns {Field}
 */
function withDefault(field, node, name) {
  const typed = node.params.get(name);
  return typed === undefined ? field : { ...field, default: typed };
}

/** @type {WeakMap<ReadonlyMap<string, Node>, Map<Node, string[]>>} */
const used = new WeakMap();

/** @type {readonly string[]} */
const NONE = [];

/**
 * @param {Graph} graph
 * @param {Node} node
 * @returns {readonly string[]} the outputs of a node that others read
 */
export function usedOutputs(graph, node) {
  let found = used.get(graph.nodes);
  if (!found) {
    found = new Map();
    for (const other of graph.nodes.values()) {
      for (const link of other.links.values()) {
        note(found, graph, link);
      }
    }
    for (const link of graph.outputs.values()) {
      note(found, graph, link);
    }
    used.set(graph.nodes, found);
  }
  return found.get(node) ?? NONE;
}

/**
 * @param {Map<Node, string[]>} found
 * @param {Graph} graph
 * @param {string} link
 */
function note(found, graph, link) {
  const [id, name] = split(link);
  const source = graph.nodes.get(id);
  if (source) {
    const names = found.get(source) ?? [];
    found.set(source, names.includes(name) ? names : [...names, name]);
  }
}

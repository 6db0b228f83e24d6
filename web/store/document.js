/**
 * Workflow files, format 1, and the values that they are in the editor.
 *
 * Reading is lenient: what is not known here is kept and written again. Only what is no workflow at all is refused.
 */

import { isObject, isShallow } from "./json.js";
import { isId } from "./names.js";
import { placeNodes } from "./placing.js";
import { readView, writeView } from "./drawn.js";

/** @import {Graph, Json, JsonObject, Node, NodeView} from "./types.js" */

/**
 * A node with what of its entry in the file is not known here.
 * @typedef {Node & {readonly rest?: JsonObject}} NodeWithRest
 */

const FORMAT = 1;
const DEEPEST = 64;
const NODE_KEYS = new Set(["type", "graph", "params", "links", "mode"]);
const GRAPH_KEYS = new Set(["format", "nodes", "inputs", "outputs", "subgraphs", "view", "meta"]);

/** Why something is no workflow, in words. */
export class DocumentError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "DocumentError";
  }
}

/** @returns {Graph} */
export function emptyGraph() {
  return {
    nodes: new Map(),
    inputs: new Map(),
    outputs: new Map(),
    subgraphs: new Map(),
    frames: new Map(),
    notes: new Map(),
    routes: new Map(),
    meta: {},
    rest: {},
  };
}

/**
 * @param {string} type a node type's id, or `graph:name` for an instance of a subgraph
 * @param {NodeView} view
 * @returns {Node}
 */
export function newNode(type, view) {
  const isInstance = type.startsWith("graph:");
  return {
    type: isInstance ? null : type,
    graph: isInstance ? type.slice("graph:".length) : null,
    params: new Map(),
    links: new Map(),
    mode: null,
    view,
  };
}

/**
 * Reads a workflow; throws `DocumentError` for what is none.
 * @param {Json} json
 * @returns {Graph}
 */
export function readGraph(json) {
  if (!isObject(json)) {
    throw new DocumentError("This is no workflow: a workflow is a JSON object with nodes.");
  }
  if (json.format !== undefined && json.format !== FORMAT) {
    throw new DocumentError(`The file has format ${shown(json.format)}; this editor reads format ${FORMAT}.`);
  }
  if (!isShallow(json)) {
    throw new DocumentError("Lists and objects are nested too deep in this file to be written again.");
  }
  return readPart(json, "", 0);
}

/**
 * @param {JsonObject} json
 * @param {string} where
 * @param {number} depth
 * @returns {Graph}
 */
function readPart(json, where, depth) {
  if (depth > DEEPEST) {
    throw new DocumentError(`Subgraphs are nested more than ${DEEPEST} deep.`);
  }
  const entries = object(json.nodes, `${where}nodes`, "an object of nodes by id");
  if (json.nodes === undefined) {
    throw new DocumentError(`This is no workflow: ${where ? where.slice(0, -1) : "it"} has no nodes.`);
  }
  const drawn = readView(isObject(json.view) ? json.view : {}, entries);
  /** @type {Map<string, Node>} */
  const nodes = new Map();
  for (const [id, entry] of Object.entries(entries)) {
    nodes.set(checkedId(id, `${where}nodes`), readNode(entry, `${where}nodes.${id}`, drawn.nodes.get(id)));
  }
  /** @type {Map<string, Graph>} */
  const subgraphs = new Map();
  for (const [name, part] of Object.entries(object(json.subgraphs, `${where}subgraphs`, "an object of subgraphs"))) {
    const inside = `${where}subgraphs.${checkedId(name, `${where}subgraphs`)}`;
    subgraphs.set(name, readPart(object(part, inside, "an object with nodes"), `${inside}.`, depth + 1));
  }
  return {
    nodes: placeNodes(nodes, drawn.placed),
    inputs: readInputs(object(json.inputs, `${where}inputs`, "an object of places by name"), `${where}inputs`),
    outputs: texts(object(json.outputs, `${where}outputs`, "an object of places by name"), `${where}outputs`),
    subgraphs,
    frames: drawn.frames,
    notes: drawn.notes,
    routes: drawn.routes,
    meta: isObject(json.meta) ? json.meta : {},
    rest: restOf(json, GRAPH_KEYS, drawn.rest),
  };
}

/**
 * @param {Json | undefined} entry
 * @param {string} where
 * @param {NodeView | undefined} view
 * @returns {NodeWithRest}
 */
function readNode(entry, where, view) {
  const { type, graph, params, links, mode, ...rest } = object(entry, where, "an object with a type");
  const known = mode === "mute" || mode === "bypass" ? mode : null;
  if (mode !== undefined && mode !== null && known === null) {
    rest.mode = mode;
  }
  const isInstance = typeof graph === "string";
  if (!isInstance && typeof type !== "string") {
    throw new DocumentError(`${where} is no node: it has neither a type nor, for a subgraph, a graph.`);
  }
  if (isInstance && type !== undefined && type !== null) {
    rest.type = type;
  }
  return {
    type: isInstance ? null : String(type),
    graph: isInstance ? graph : null,
    params: new Map([...keptOf(view), ...Object.entries(object(params, `${where}.params`, "an object of values"))]),
    links: texts(object(links, `${where}.links`, "an object of 'node.output' by input"), `${where}.links`),
    mode: known,
    view: withoutKept(view),
    ...(Object.keys(rest).length ? { rest } : {}),
  };
}

/**
 * What was typed for inputs that are wired now stands in the view, since a file may give an input only once.
 * @param {NodeView | undefined} view
 * @returns {[string, Json][]}
 */
function keptOf(view) {
  const kept = view && /** @type {JsonObject} */ (/** @type {unknown} */ (view)).kept;
  return isObject(kept) ? Object.entries(kept) : [];
}

/**
 * @param {NodeView | undefined} view
 * @returns {NodeView}
 */
function withoutKept(view) {
  if (!view) {
    return { x: 0, y: 0 };
  }
  if (!("kept" in view)) {
    return view;
  }
  const { kept: _, ...others } = /** @type {NodeView & {kept: Json}} */ (view);
  return others;
}

/**
 * @param {JsonObject} json
 * @param {string} where
 * @returns {Map<string, readonly string[]>}
 */
function readInputs(json, where) {
  /** @type {Map<string, readonly string[]>} */
  const inputs = new Map();
  for (const [name, value] of Object.entries(json)) {
    const places = Array.isArray(value) ? value : [value];
    inputs.set(name, places.map((place) => text(place, `${where}.${name}`)));
  }
  return inputs;
}

/**
 * @param {JsonObject} json
 * @param {string} where
 * @returns {Map<string, string>}
 */
function texts(json, where) {
  return new Map(Object.entries(json).map(([name, value]) => [name, text(value, `${where}.${name}`)]));
}

/**
 * @param {Json} value
 * @param {string} where
 * @returns {string}
 */
function text(value, where) {
  if (typeof value !== "string") {
    throw new DocumentError(`${where} is ${shown(value)}; what stands there is text such as "node.output".`);
  }
  return value;
}

/**
 * @param {Json | undefined} value
 * @param {string} where
 * @param {string} what
 * @returns {JsonObject} an empty one where there is nothing
 */
function object(value, where, what) {
  if (value === undefined) {
    return {};
  }
  if (!isObject(value)) {
    throw new DocumentError(`${where} is ${shown(value)}; what stands there is ${what}.`);
  }
  return value;
}

/**
 * @param {string} id
 * @param {string} where
 */
function checkedId(id, where) {
  if (!isId(id)) {
    throw new DocumentError(`${where} has the name ${JSON.stringify(id)}; letters, digits, "_", "-" and ":" make one.`);
  }
  return id;
}

/** @param {Json | undefined} value */
function shown(value) {
  const told = isObject(value) ? "an object" : Array.isArray(value) ? "a list" : String(value);
  return told.length > 60 ? `${told.slice(0, 60)}...` : told;
}

/**
 * @param {JsonObject} json
 * @param {ReadonlySet<string>} known
 * @param {JsonObject} view what of the view is not known here
 * @returns {JsonObject}
 */
function restOf(json, known, view) {
  const rest = Object.fromEntries(Object.entries(json).filter(([key]) => !known.has(key)));
  return Object.keys(view).length ? { ...rest, view } : rest;
}

/**
 * Writes a workflow, or with `root: false` a subgraph; what is empty is left out.
 * @param {Graph} graph
 * @param {{root?: boolean}} [options]
 * @returns {JsonObject}
 */
export function writeGraph(graph, { root = true } = {}) {
  /** @type {JsonObject} */
  const json = root ? { format: FORMAT } : {};
  json.nodes = objectOf(graph.nodes, writeNode);
  put(json, "inputs", objectOf(graph.inputs, (places) => (places.length === 1 ? places[0] : [...places])));
  put(json, "outputs", objectOf(graph.outputs, (place) => place));
  put(json, "subgraphs", objectOf(graph.subgraphs, (part) => writeGraph(part, { root: false })));
  put(json, "view", writeView(graph, isObject(graph.rest.view) ? graph.rest.view : {}));
  put(json, "meta", graph.meta);
  for (const [key, value] of Object.entries(graph.rest)) {
    if (!GRAPH_KEYS.has(key)) {
      define(json, key, value);
    }
  }
  return json;
}

/**
 * @param {Node} node
 * @returns {JsonObject}
 */
function writeNode(node) {
  /** @type {JsonObject} */
  const json = node.graph === null ? { type: node.type } : { graph: node.graph };
  const typed = [...node.params].filter(([name]) => !node.links.has(name));
  put(json, "params", Object.fromEntries(typed));
  put(json, "links", Object.fromEntries(node.links));
  if (node.mode) {
    json.mode = node.mode;
  }
  const { rest } = /** @type {NodeWithRest} */ (node);
  return rest ? { ...rest, ...json } : json;
}

/**
 * @template T
 * @param {ReadonlyMap<string, T>} map
 * @param {(value: T) => Json} write
 * @returns {JsonObject}
 */
function objectOf(map, write) {
  return Object.fromEntries([...map].map(([name, value]) => [name, write(value)]));
}

/**
 * @param {JsonObject} json
 * @param {string} key
 * @param {JsonObject} part
 */
function put(json, key, part) {
  if (Object.keys(part).length) {
    json[key] = part;
  }
}

/**
 * Sets a key of any name, `__proto__` too.
 * @param {JsonObject} json
 * @param {string} key
 * @param {Json} value
 */
function define(json, key, value) {
  Object.defineProperty(json, key, { value, enumerable: true, configurable: true, writable: true });
}

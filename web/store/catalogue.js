/** The node types that there are, and what is to be said of nodes of types that there are not. */

import { fitOf, itemOf, readFits } from "./fits.js";
import { fieldOf } from "./fields.js";
import { instanceType, usedOutputs } from "./instances.js";
import { isObject } from "./json.js";
import { lookOf } from "./looks.js";
import { findGraph, scopeOf } from "./scopes.js";

/** @import {Fit, Graph, Json, JsonObject, Node, NodeType, Port} from "./types.js" */
/** @import {Look} from "./looks.js" */

export class Catalogue {
  /** @param {Json} json what the server answers to GET /nodes */
  constructor(json) {
    const answer = isObject(json) ? json : {};
    /** @type {Map<string, NodeType>} */
    this.types = new Map();
    /** Older names, and the ids that they stand for. @type {Map<string, string>} */
    this.aliases = new Map();
    this.fits = readFits(answer.fits);
    for (const [id, schema] of Object.entries(isObject(answer.nodes) ? answer.nodes : {})) {
      if (isObject(schema)) {
        this.#add(id, schema);
      }
    }
    /** @type {WeakMap<Node, {base: NodeType, outputs: readonly string[], type: NodeType}>} */
    this.extended = new WeakMap();
    /** @type {WeakMap<object, Map<string, NodeType>>} */
    this.instances = new WeakMap();
    /** @type {Map<string, Map<string, Fit>>} */
    this.fitMemo = new Map();
    /** @type {Map<string, Look>} */
    this.looks = new Map();
    /** @type {Map<string, NodeType>} */
    this.gone = new Map();
  }

  /**
   * @param {string} id
   * @param {JsonObject} schema
   */
  #add(id, schema) {
    this.types.set(id, readType(id, schema));
    const { type } = parts(parts(schema).properties);
    const names = isObject(type) && Array.isArray(type.enum) ? type.enum : [];
    for (const name of names) {
      if (typeof name === "string" && name !== id) {
        this.aliases.set(name, id);
      }
    }
  }

  /**
   * @param {string} id also an older name
   * @returns {NodeType | undefined}
   */
  find(id) {
    return this.types.get(id) ?? this.types.get(this.aliases.get(id) ?? "");
  }

  /**
   * Tells the type of a node: of the catalogue, the outside of its subgraph, or what is known of one that is missing.
   * Inputs that are typed or wired without being the type's stand at its end, so that nothing of a file is
   * hidden. The same node in the same surroundings gives the same object.
   * @param {Node} node
   * @param {Graph} graph that it is in
   * @returns {NodeType}
   */
  type(node, graph) {
    const base = this.#base(node, graph);
    const outputs = base.missing === null ? NONE : usedOutputs(graph, node);
    if (base.missing === null && !hasStrays(base, node)) {
      return base;
    }
    const known = this.extended.get(node);
    if (known && known.base === base && sameList(known.outputs, outputs)) {
      return known.type;
    }
    const type = withStrays(base, node, outputs);
    this.extended.set(node, { base, outputs, type });
    return type;
  }

  /**
   * @param {Node} node
   * @param {Graph} graph
   * @returns {NodeType}
   */
  #base(node, graph) {
    if (node.graph === null) {
      const id = node.type ?? "";
      return this.find(id) ?? this.#missing(id, `the node type ${id} is not there`);
    }
    const scope = findGraph(scopeOf(graph), node.graph);
    if (!scope) {
      return this.#missing(`graph:${node.graph}`, `there is no subgraph ${node.graph} here`);
    }
    return instanceType(this, scope, node.graph);
  }

  /**
   * @param {string} id
   * @param {string} why
   * @returns {NodeType}
   */
  #missing(id, why) {
    const known = this.gone.get(id) ?? missingType(id, why);
    this.gone.set(id, known);
    return known;
  }

  /**
   * Tells whether an output fits an input, by their types' names.
   * @param {string} source
   * @param {string} target
   * @returns {Fit}
   */
  fit(source, target) {
    let row = this.fitMemo.get(source);
    if (!row) {
      row = new Map();
      this.fitMemo.set(source, row);
    }
    let fit = row.get(target);
    if (fit === undefined) {
      fit = fitOf(this.fits, source, target);
      row.set(target, fit);
    }
    return fit;
  }

  /**
   * Tells how a type of wires is drawn; a list as its items are, marked as one.
   * @param {string} type
   * @returns {Look}
   */
  look(type) {
    let look = this.looks.get(type);
    if (!look) {
      const item = itemOf(type);
      look = lookOf(item ?? type, item !== null);
      this.looks.set(type, look);
    }
    return look;
  }
}

/** An id that is its own title, in words: `ImageFlip` as "Image Flip". @param {string} id */
const spaced = (id) => (id.includes(".") ? id : id.replace(/(?<=[a-z])(?=[A-Z][a-z])/g, " "));

/** @type {readonly string[]} */
const NONE = [];

/**
 * @param {string} id
 * @param {JsonObject} schema
 * @returns {NodeType}
 */
function readType(id, schema) {
  const properties = parts(schema.properties);
  const params = parts(parts(properties.params).properties);
  const links = parts(parts(properties.links).properties);
  const given = Object.entries(parts(schema["x-outputs"]));
  /** @type {Map<string, Port>} */
  const inputs = new Map();
  for (const [name, port] of Object.entries(parts(schema["x-inputs"]))) {
    const { type, required } = parts(port);
    const typed = Object.hasOwn(params, name) ? params[name] : undefined;
    const link = Object.hasOwn(links, name) ? links[name] : undefined;
    inputs.set(name, {
      name,
      type: text(type, "any"),
      required: required === true,
      lazy: parts(link)["x-lazy"] === true,
      field: isObject(typed) ? fieldOf(name, withDefinitions(typed, schema.$defs)) : null,
      wired: link !== undefined,
    });
  }
  return {
    id,
    title: schema.title === id ? spaced(id) : text(schema.title, id),
    doc: text(schema.description, ""),
    category: text(schema["x-category"], ""),
    plugin: text(schema["x-plugin"], ""),
    inputs,
    outputs: new Map(given.map(([name, type]) => [name, output(name, text(type, "any"))])),
    sink: schema["x-sink"] === true,
    deprecated: typeof schema["x-deprecated"] === "string" ? schema["x-deprecated"] : null,
    missing: null,
  };
}

/**
 * References of an input's schema lead to the definitions of the whole.
 * @param {JsonObject} schema
 * @param {Json | undefined} definitions
 * @returns {JsonObject}
 */
const withDefinitions = (schema, definitions) => (isObject(definitions) ? { ...schema, $defs: definitions } : schema);

/**
 * @param {string} name
 * @param {string} type
 * @returns {Port}
 */
export const output = (name, type) => ({ name, type, required: false, lazy: false, field: null, wired: true });

/**
 * @param {string} id
 * @param {string} why
 * @returns {NodeType}
 */
export function missingType(id, why) {
  return {
    id,
    title: id.replace(/^graph:/, ""),
    doc: "",
    category: "",
    plugin: id.includes(".") ? id.slice(0, id.lastIndexOf(".")) : "",
    inputs: new Map(),
    outputs: new Map(),
    sink: false,
    deprecated: null,
    missing: why,
  };
}

/**
 * @param {NodeType} type
 * @param {Node} node
 * @returns {boolean} whether the node has inputs that are not its type's
 */
function hasStrays(type, node) {
  for (const name of node.links.keys()) {
    if (!type.inputs.has(name)) {
      return true;
    }
  }
  for (const name of node.params.keys()) {
    if (!type.inputs.has(name)) {
      return true;
    }
  }
  return false;
}

/**
 * @param {NodeType} type
 * @param {Node} node
 * @param {readonly string[]} outputs
 * @returns {NodeType}
 */
function withStrays(type, node, outputs) {
  const inputs = new Map(type.inputs);
  for (const name of node.links.keys()) {
    if (!inputs.has(name)) {
      inputs.set(name, { ...output(name, "any"), field: node.params.has(name) ? fieldOf(name, {}) : null });
    }
  }
  for (const [name, value] of node.params) {
    if (!inputs.has(name)) {
      inputs.set(name, { ...output(name, "any"), field: fieldOf(name, schemaOf(value)) });
    }
  }
  const gives = new Map(type.outputs);
  outputs.forEach((name) => gives.set(name, gives.get(name) ?? output(name, "any")));
  return { ...type, inputs, outputs: gives };
}

/**
 * Guesses how a value may be typed, from what is typed.
 * @param {Json} value
 * @returns {JsonObject}
 */
function schemaOf(value) {
  switch (typeof value) {
    case "boolean":
      return { type: "boolean" };
    case "bigint":
      return { type: "integer" };
    case "number":
      return { type: Number.isInteger(value) ? "integer" : "number" };
    case "string":
      return { type: "string", "x-multiline": value.length > 40 || value.includes("\n") };
    default:
      return {};
  }
}

/**
 * @param {readonly string[]} a
 * @param {readonly string[]} b
 */
const sameList = (a, b) => a.length === b.length && a.every((name, index) => name === b[index]);

/**
 * @param {Json | undefined} json
 * @returns {JsonObject}
 */
const parts = (json) => (isObject(json) ? json : {});

/**
 * @param {Json | undefined} value
 * @param {string} otherwise
 * @returns {string}
 */
const text = (value, otherwise) => (typeof value === "string" && value ? value : otherwise);

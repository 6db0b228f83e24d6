/** The names in a workflow: places (`node.port`), items on the canvas, and new names that are not taken. */

/** @import {Item, ItemKind} from "./types.js" */

const ID = /^[A-Za-z0-9_:-]+$/;
const PORT = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/**
 * @param {string} id
 * @returns {boolean} whether a node or a subgraph may be called that
 */
export const isId = (id) => ID.test(id);

/**
 * @param {string} name
 * @returns {boolean} whether an input or output of a workflow or subgraph may be called that
 */
export const isPortName = (name) => PORT.test(name);

/**
 * Splits `"node.port"`.
 * @param {string} place
 * @returns {[node: string, port: string]}
 */
export function split(place) {
  const dot = place.indexOf(".");
  return dot < 0 ? [place, ""] : [place.slice(0, dot), place.slice(dot + 1)];
}

/**
 * @param {string} node
 * @param {string} port
 * @returns {string}
 */
export const join = (node, port) => `${node}.${port}`;

/**
 * @param {ItemKind} kind
 * @param {string} id
 * @returns {Item}
 */
export const item = (kind, id) => `${kind}:${id}`;

/**
 * Splits an item into its kind and id; a bend has its number behind: `route:a.b:0`.
 * @param {string} text
 * @returns {{kind: ItemKind, id: string, index: number}}
 */
export function parseItem(text) {
  const colon = text.indexOf(":");
  const kind = /** @type {ItemKind} */ (text.slice(0, colon));
  const id = text.slice(colon + 1);
  if (kind !== "route") {
    return { kind, id, index: -1 };
  }
  const last = id.lastIndexOf(":");
  return { kind, id: id.slice(0, last), index: Number(id.slice(last + 1)) };
}

/**
 * @param {Iterable<string>} items
 * @param {ItemKind} kind
 * @returns {Set<string>} the ids of the items of a kind
 */
export function idsOf(items, kind) {
  const found = new Set();
  for (const text of items) {
    if (text.startsWith(`${kind}:`)) {
      found.add(text.slice(kind.length + 1));
    }
  }
  return found;
}

/**
 * Makes an id of a type's: `CLIPTextEncode` gives `clip_text_encode`.
 * @param {string} type
 * @returns {string}
 */
export function idOfType(type) {
  const last = type.slice(type.lastIndexOf(".") + 1).replace(/^graph:/, "");
  const words = last.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2");
  return words.toLowerCase().replace(/[^a-z0-9_]+/g, "_").replace(/^_+|_+$/g, "") || "node";
}

/**
 * Makes a name that an input or output may have.
 * @param {string} text
 * @returns {string}
 */
export function portName(text) {
  const name = text.trim().replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^[^A-Za-z_]+/, "");
  return name || "value";
}

/** Gives names that are not taken; many at once take no longer each. */
export class Namer {
  /** @param {{has(name: string): boolean}} taken */
  constructor(taken) {
    this.taken = taken;
    /** @type {Set<string>} */
    this.given = new Set();
    /** @type {Map<string, number>} */
    this.counts = new Map();
  }

  /**
   * @param {string} wanted
   * @returns {string} `wanted`, or it with a number behind
   */
  name(wanted) {
    if (this.#free(wanted)) {
      return this.#give(wanted);
    }
    const stem = wanted.replace(/_\d{1,9}$/, "");
    let count = this.counts.get(stem) ?? 2;
    while (!this.#free(`${stem}_${count}`)) {
      count += 1;
    }
    this.counts.set(stem, count + 1);
    return this.#give(`${stem}_${count}`);
  }

  /** @param {string} name */
  #free(name) {
    return !this.given.has(name) && !this.taken.has(name);
  }

  /** @param {string} name */
  #give(name) {
    this.given.add(name);
    return name;
  }
}

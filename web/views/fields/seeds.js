/**
 * What becomes of seeds at a run: kept, drawn anew before it, or counted on after it. Pure.
 *
 * Which of these it is stands in a node's view below `seeds`, by the input's name; of which nothing is said stays.
 */

import { setParam, setView } from "../../store/edits.js";
import { isObject } from "../../store/json.js";
import { clamp, narrow, rangeOf, stepped } from "./numbers.js";

/** @typedef {import("../../store/types.js").Field} Field */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").JsonObject} JsonObject */
/** @typedef {import("../../store/types.js").Node} Node */
/** @typedef {import("../../store/types.js").NodeType} NodeType */
/** @typedef {{type(node: Node, graph: Graph): NodeType}} Types */
/** @typedef {"fixed" | "random" | "next"} SeedMode */

/** @type {readonly SeedMode[]} */
export const SEED_MODES = ["fixed", "random", "next"];

/**
 * @param {Node | undefined} node
 * @returns {JsonObject} modes by inputs
 */
function modesOf(node) {
  /** @type {unknown} `view` keeps what the editor's other parts do not know */
  const modes = node && Reflect.get(node.view, "seeds");
  return isObject(/** @type {Json} */ (modes)) ? /** @type {JsonObject} */ (modes) : {};
}

/**
 * Say what becomes of a seed.
 * @param {Node | undefined} node
 * @param {string} name
 * @returns {SeedMode}
 */
export function seedMode(node, name) {
  const modes = modesOf(node);
  const mode = Object.hasOwn(modes, name) ? modes[name] : "fixed";
  return SEED_MODES.find((known) => known === mode) ?? "fixed";
}

/**
 * @param {Graph} graph
 * @param {string} id
 * @param {string} name
 * @param {SeedMode} mode
 * @returns {Graph}
 */
export function setSeedMode(graph, id, name, mode) {
  const others = Object.entries(modesOf(graph.nodes.get(id))).filter(([key]) => key !== name);
  if (mode !== "fixed") others.push([name, mode]);
  const seeds = others.length ? Object.fromEntries(others) : undefined;
  return setView(graph, id, /** @type {Partial<Node["view"]>} */ ({ seeds })); // a key that only fields know
}

/**
 * Draw a seed that the field allows: short enough to be read out.
 * @param {Field} field
 * @param {(bound: number) => number} random a whole number from 0 up to, but without, the bound
 * @returns {number | bigint}
 */
export function drawSeed(field, random) {
  const range = rangeOf(field);
  const low = BigInt(Math.ceil(Number(range.min ?? 0)) > 0 ? (range.min ?? 0) : 0);
  const high = BigInt(range.max === null ? 2 ** 32 - 1 : range.max);
  const room = high - low + 1n;
  const bound = room > 2n ** 32n ? 2 ** 32 : Number(room);
  return bound < 1 ? clamp(0, range) : narrow(low + BigInt(random(bound)));
}

/** Draw a whole number below a bound of at most 2^32. @param {number} bound */
export function random(bound) {
  const [drawn] = crypto.getRandomValues(new Uint32Array(1));
  return Math.floor(((drawn ?? 0) / 2 ** 32) * bound);
}

/**
 * Draw anew all seeds of a document that are drawn for each run.
 * @param {Graph} graph
 * @param {Types} types
 * @param {(bound: number) => number} [draw]
 * @returns {Graph}
 */
export function seedsBeforeRun(graph, types, draw = random) {
  return eachSeed(graph, types, "random", (_value, field) => drawSeed(field, draw));
}

/**
 * Count on all seeds of a document that are counted on after each run; after the largest comes the smallest.
 * @param {Graph} graph
 * @param {Types} types
 * @returns {Graph}
 */
export function seedsAfterRun(graph, types) {
  return eachSeed(graph, types, "next", (value, field) => {
    const range = rangeOf(field);
    const now = typeof value === "number" || typeof value === "bigint" ? value : (range.min ?? 0);
    return now === range.max ? (range.min ?? 0) : stepped(now, 1, range);
  });
}

/**
 * @param {Graph} graph
 * @param {Types} types
 * @param {SeedMode} mode
 * @param {(value: Json | undefined, field: Field) => Json} change
 * @returns {Graph}
 */
function eachSeed(graph, types, mode, change) {
  let changed = graph;
  for (const [id, node] of graph.nodes) {
    for (const name of Object.keys(modesOf(node))) {
      if (seedMode(node, name) !== mode || node.links.has(name)) continue;
      const field = types.type(node, graph).inputs.get(name)?.field;
      if (field) changed = setParam(changed, id, name, change(node.params.get(name) ?? field.default, field));
    }
  }
  const subgraphs = new Map();
  for (const [name, inner] of graph.subgraphs) subgraphs.set(name, eachSeed(inner, types, mode, change));
  const same = [...graph.subgraphs].every(([name, inner]) => subgraphs.get(name) === inner);
  return same ? changed : { ...changed, subgraphs };
}

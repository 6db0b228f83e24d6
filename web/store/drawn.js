/** What of a workflow file is only drawn: places of nodes, frames, notes and bends of links. */

import { isObject } from "./json.js";

/** @import {Frame, Graph, Json, JsonObject, Node, NodeView, Note, Point} from "./types.js" */

/**
 * @typedef {Object} Drawn
 * @property {Map<string, NodeView>} nodes
 * @property {Map<string, NodeView>} placed those of the nodes whose place is told
 * @property {Map<string, Frame>} frames
 * @property {Map<string, Note>} notes
 * @property {Map<string, readonly Point[]>} routes
 * @property {JsonObject} rest
 */

const PARTS = new Set([".frames", ".notes", ".routes"]);
/** Nobody finds what lies farther out; sums of such numbers are not exact, or none at all. */
const FARTHEST = 1e8;
const START = { x: 0, y: 0 };

/**
 * Reads the `view` of a graph; what is no place on a canvas counts as not there.
 * @param {JsonObject} view
 * @param {JsonObject} entries the nodes
 * @returns {Drawn}
 */
export function readView(view, entries) {
  /** @type {Drawn} */
  const drawn = { nodes: new Map(), placed: new Map(), frames: new Map(), notes: new Map(), routes: new Map(),
    rest: {} };
  for (const [id, value] of Object.entries(view)) {
    if (isObject(value) && Object.hasOwn(entries, id)) {
      const point = pointOf(value);
      const found = viewOf(value, point ?? START);
      drawn.nodes.set(id, found);
      if (point) {
        drawn.placed.set(id, found);
      }
    }
  }
  collect(drawn.frames, view[".frames"], (json) => boxed(json, { title: text(json.title) }));
  collect(drawn.notes, view[".notes"], (json) => boxed(json, { text: text(json.text) }));
  for (const [place, value] of Object.entries(isObject(view[".routes"]) ? view[".routes"] : {})) {
    const points = Array.isArray(value) ? value.map(pointOf).filter((point) => point !== null) : [];
    if (points.length) {
      drawn.routes.set(place, points);
    }
  }
  const rest = Object.entries(view).filter(([key]) => !PARTS.has(key) && !Object.hasOwn(entries, key));
  drawn.rest = Object.fromEntries(rest);
  return drawn;
}

/**
 * @template T
 * @param {Map<string, T>} map
 * @param {Json | undefined} json
 * @param {(json: JsonObject) => T | null} read
 */
function collect(map, json, read) {
  for (const [id, value] of Object.entries(isObject(json) ? json : {})) {
    const found = isObject(value) ? read(value) : null;
    if (found) {
      map.set(id, found);
    }
  }
}

/**
 * @template {object} T
 * @param {JsonObject} json
 * @param {T} own
 * @returns {(JsonObject & T & {x: number, y: number, width: number, height: number}) | null}
 */
function boxed(json, own) {
  if (!isNumber(json.x) || !isNumber(json.y)) {
    return null;
  }
  const point = pointOf(json) ?? START;
  const { color, collapsed, ...others } = json;
  return {
    ...others,
    ...own,
    ...point,
    width: isSize(json.width) ? json.width : 240,
    height: isSize(json.height) ? json.height : 120,
    ...(typeof color === "string" ? { color } : {}),
    ...(collapsed === true ? { collapsed } : {}),
  };
}

/**
 * Reads how a node is drawn.
 * @param {JsonObject} json
 * @param {Point} point
 * @returns {NodeView}
 */
function viewOf(json, point) {
  const { width, title, color, collapsed, pinned, rows, ...others } = json;
  return {
    ...others,
    ...point,
    ...(isSize(width) ? { width } : {}),
    ...(typeof title === "string" ? { title } : {}),
    ...(typeof color === "string" ? { color } : {}),
    ...(collapsed === true ? { collapsed } : {}),
    ...(pinned === true ? { pinned } : {}),
    ...(isObject(rows) ? { rows: numbers(rows) } : {}),
  };
}

/**
 * @param {JsonObject} json
 * @returns {{[field: string]: number}}
 */
function numbers(json) {
  /** @type {[string, number][]} */
  const found = [];
  for (const [name, value] of Object.entries(json)) {
    if (isNumber(value)) {
      found.push([name, value]);
    }
  }
  return Object.fromEntries(found);
}

/**
 * @param {Json} json
 * @returns {Point | null}
 */
function pointOf(json) {
  return isObject(json) && isPlace(json.x) && isPlace(json.y) ? { x: json.x, y: json.y } : null;
}

/**
 * @param {Json | undefined} value
 * @returns {value is number}
 */
const isPlace = (value) => isNumber(value) && Math.abs(value) <= FARTHEST;

/**
 * @param {Json | undefined} value
 * @returns {value is number}
 */
const isSize = (value) => isPlace(value) && value > 0;

/**
 * @param {Json | undefined} value
 * @returns {value is number}
 */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {Json | undefined} value */
const text = (value) => (typeof value === "string" ? value : "");

/**
 * Writes the `view` of a graph.
 * @param {Graph} graph
 * @param {JsonObject} rest
 * @returns {JsonObject}
 */
export function writeView(graph, rest) {
  /** @type {[string, Json][]} */
  const entries = [...graph.nodes].map(([id, node]) => [id, writeNodeView(node)]);
  for (const [key, map] of parts(graph)) {
    if (map.size) {
      entries.push([key, Object.fromEntries([...map].map(([id, value]) => [id, plain(value)]))]);
    }
  }
  const known = new Set(entries.map(([key]) => key));
  return Object.fromEntries([...entries, ...Object.entries(rest).filter(([key]) => !known.has(key))]);
}

/**
 * @param {Graph} graph
 * @returns {[string, ReadonlyMap<string, object>][]}
 */
const parts = (graph) => [
  [".frames", graph.frames],
  [".notes", graph.notes],
  [".routes", graph.routes],
];

/**
 * What was typed for an input that is wired now is kept here, since a file may give an input only once.
 * @param {Node} node
 * @returns {JsonObject}
 */
function writeNodeView(node) {
  const kept = [...node.params].filter(([name]) => node.links.has(name));
  const json = plain(node.view);
  return kept.length ? { ...json, kept: Object.fromEntries(kept) } : json;
}

/**
 * Such values hold nothing but JSON.
 * @param {object} value
 * @returns {JsonObject}
 */
const plain = (value) => /** @type {JsonObject} */ (value);

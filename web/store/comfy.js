/** Reads ComfyUI's API form: node ids with a type, and inputs that are values or `[node, number of the output]`. */

import { isObject } from "./json.js";
import { isId } from "./names.js";

/** @typedef {import("./types.js").Json} Json */
/** @typedef {import("./types.js").JsonObject} JsonObject */
/** @typedef {import("./types.js").NodeType} NodeType */

/**
 * Tell whether JSON is of that form.
 * @param {Json} json
 * @returns {json is JsonObject}
 */
export function isApiForm(json) {
  if (!isObject(json)) return false;
  const nodes = Object.values(json);
  return nodes.length > 0 && nodes.every((node) => isObject(node) && typeof node.class_type === "string");
}

/**
 * Write a workflow of that form as one of ours; outputs of types that are not there are called by their number.
 * @param {JsonObject} json
 * @param {(type: string) => NodeType | undefined} find
 * @returns {JsonObject}
 */
export function readApiForm(json, find) {
  /** @type {[string, Json][]} */
  const nodes = [];
  for (const [id, node] of Object.entries(json)) {
    if (!isObject(node) || !isId(id)) continue;
    /** @type {[string, Json][]} */
    const params = [];
    /** @type {[string, Json][]} */
    const links = [];
    for (const [name, value] of Object.entries(isObject(node.inputs) ? node.inputs : {})) {
      const link = linkOf(value, json, find);
      if (link === null) params.push([name, value]);
      else links.push([name, link]);
    }
    const typed = { params: Object.fromEntries(params), links: Object.fromEntries(links) };
    nodes.push([id, { type: node.class_type ?? "", ...typed }]);
  }
  return { format: 1, nodes: Object.fromEntries(nodes) };
}

/**
 * @param {Json} value
 * @param {JsonObject} json
 * @param {(type: string) => NodeType | undefined} find
 * @returns {string | null} `"node.output"`; null where it is a value
 */
function linkOf(value, json, find) {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [node, slot] = value;
  if (typeof node !== "string" || typeof slot !== "number" || !Object.hasOwn(json, node)) return null;
  const source = json[node];
  const type = isObject(source) ? find(String(source.class_type)) : undefined;
  return `${node}.${[...(type?.outputs.keys() ?? [])][slot] ?? `output_${slot}`}`;
}

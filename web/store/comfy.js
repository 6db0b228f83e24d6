/** Tells which of ComfyUI's two forms JSON is of; the server reads one of them, since it has the node types. */

import { isObject } from "./json.js";

/** @typedef {import("./types.js").Json} Json */
/** @typedef {import("./types.js").JsonObject} JsonObject */

/** What Python writes as JSON, and JSON has not. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

/**
 * Tell whether JSON is of the API form, alone or as the `prompt` of a request.
 * @param {Json} json
 * @returns {json is JsonObject}
 */
export function isApiForm(json) {
  if (!isObject(json) || "format" in json) return false;
  if (Object.values(json).some((node) => isObject(node) && typeof node.class_type === "string")) return true;
  return isObject(json.prompt) && isApiForm(json.prompt);
}

/**
 * Tell whether JSON is what ComfyUI's editor saves: a list of nodes, whose values have places and no names.
 * @param {Json} json
 */
export function isEditorForm(json) {
  return isObject(json) && Array.isArray(json.nodes);
}

/** Write null where Python wrote a number that JSON has not. @param {string} text */
export function withoutNaN(text) {
  return text.replace(TOKENS, (token) => (token.startsWith('"') ? token : "null"));
}

/** How values are typed: from the JSON Schema of an input to a field. */

import { isObject } from "./json.js";

/** @import {Field, FieldKind, Json, JsonObject} from "./types.js" */

const SEEDS = new Set(["seed", "noise_seed"]);
const WIDGETS = new Set(["slider", "seed", "text", "multiline", "combo", "toggle", "color", "file", "mask", "json"]);
const NARROW = 2;

/**
 * @param {string} name of the input
 * @param {JsonObject} schema
 * @returns {Field}
 */
export function fieldOf(name, schema) {
  const { schema: inner, optional } = withoutNull(schema);
  const widget = typeof schema["x-widget"] === "string" ? schema["x-widget"] : null;
  const min = bound(inner, "minimum", "exclusiveMinimum");
  const max = bound(inner, "maximum", "exclusiveMaximum");
  const choices = choicesOf(inner);
  const step = schema["x-step"] ?? inner.multipleOf;
  const folder = schema["x-file"];
  return {
    kind: kindOf(name, { ...inner, ...hints(schema) }, widget, choices),
    element: widget?.includes("-") ? widget : null,
    default: schema.default,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(typeof step === "number" ? { step } : {}),
    ...(choices ? { choices } : {}),
    ...(typeof folder === "string" ? { folder } : {}),
    ...(optional ? { optional } : {}),
    schema,
  };
}

/**
 * @param {JsonObject} schema
 * @returns {JsonObject}
 */
const hints = (schema) => Object.fromEntries(Object.entries(schema).filter(([key]) => key.startsWith("x-")));

/**
 * Takes `null` out of what may be given: `int | None` is typed as a number that may be left empty.
 * @param {JsonObject} schema
 * @returns {{schema: JsonObject, optional: boolean}}
 */
function withoutNull(schema) {
  if (Array.isArray(schema.anyOf)) {
    const others = schema.anyOf.filter((part) => !(isObject(part) && part.type === "null"));
    const optional = others.length < schema.anyOf.length;
    const [only] = others;
    return { schema: others.length === 1 && isObject(only) ? { ...schema, ...only } : schema, optional };
  }
  if (Array.isArray(schema.type) && schema.type.includes("null")) {
    const others = schema.type.filter((type) => type !== "null");
    return { schema: { ...schema, type: others.length === 1 ? (others[0] ?? null) : others }, optional: true };
  }
  return { schema, optional: false };
}

/**
 * @param {string} name
 * @param {JsonObject} schema
 * @param {string | null} widget
 * @param {readonly Json[] | null} choices
 * @returns {FieldKind}
 */
function kindOf(name, schema, widget, choices) {
  if (schema["x-body"] === true) {
    return "body";
  }
  if (widget && WIDGETS.has(widget)) {
    return /** @type {FieldKind} */ (widget);
  }
  if (typeof schema["x-file"] === "string") {
    return "file";
  }
  if (choices) {
    return "combo";
  }
  switch (schema.type) {
    case "boolean":
      return "toggle";
    case "integer":
      return SEEDS.has(name) ? "seed" : "integer";
    case "number":
      return isNarrow(schema) ? "slider" : "number";
    case "string":
      return schema.format === "color" ? "color" : schema["x-multiline"] === true ? "multiline" : "text";
    default:
      return "json";
  }
}

/**
 * @param {JsonObject} schema
 * @returns {boolean} whether all of the range can be seen at once, as of a share between 0 and 1
 */
function isNarrow(schema) {
  const { minimum, maximum } = schema;
  return typeof minimum === "number" && typeof maximum === "number" && maximum - minimum <= NARROW;
}

/**
 * @param {JsonObject} schema
 * @param {string} key
 * @param {string} exclusive
 * @returns {number | undefined} rounded to a number where it is beyond 2^53; the schema has it exactly
 */
function bound(schema, key, exclusive) {
  const value = schema[key];
  if (typeof value === "number" || typeof value === "bigint") {
    return Number(value);
  }
  const edge = schema[exclusive];
  if (typeof edge !== "number") {
    return undefined;
  }
  const inwards = key === "minimum" ? 1 : -1;
  return schema.type === "integer" ? edge + inwards : edge;
}

/**
 * @param {JsonObject} schema
 * @returns {readonly Json[] | null}
 */
function choicesOf(schema) {
  if (Array.isArray(schema.enum)) {
    return schema.enum;
  }
  if (schema.const !== undefined) {
    return [schema.const];
  }
  return null;
}

/**
 * Gives what a new node's input starts with, where it must be given and tells no default.
 * @param {Field} field
 * @returns {Json | undefined} undefined where nothing can be guessed
 */
export function startOf(field) {
  switch (field.kind) {
    case "combo":
    case "file":
    case "mask":
      return field.choices?.[0];
    case "integer":
    case "seed":
    case "number":
    case "slider":
      return Math.min(Math.max(0, field.min ?? 0), field.max ?? Infinity);
    case "toggle":
      return false;
    case "text":
    case "multiline":
      return "";
    case "color":
      return "#000000";
    default:
      return undefined;
  }
}

/**
 * Gives what an input has now: what was typed, else its default.
 * @param {Field} field
 * @param {Json | undefined} typed
 * @returns {Json | undefined}
 */
export const valueOf = (field, typed) => (typed === undefined ? field.default : typed);

/**
 * Numbers as fields hold them: bounds, steps and what is typed. Pure. Integers beyond 2^53, such as seeds, are BigInts;
 * all others are numbers.
 */

import { evaluate } from "../../store/expression.js";
import { isObject } from "../../store/json.js";

/** @typedef {import("../../store/types.js").Field} Field */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").JsonObject} JsonObject */
/** @typedef {number | bigint} Numeric */
/**
 * What a number may be. Steps are for arrows and dragging; what is typed may lie between them, but for `multiple`.
 * @typedef {Object} Range
 * @property {boolean} integer
 * @property {Numeric | null} min
 * @property {Numeric | null} max
 * @property {number} step
 * @property {number | null} multiple
 */
/** @typedef {{value: Numeric, reason?: undefined} | {value?: undefined, reason: string}} Reading */

/**
 * Say what a field's number may be.
 * @param {Field} field
 * @returns {Range}
 */
export function rangeOf(field) {
  const schema = numberSchema(field.schema);
  const integer = field.kind === "integer" || field.kind === "seed" || schema.type === "integer";
  const min = exact(schema.minimum) ?? above(exact(schema.exclusiveMinimum), 1, integer) ?? field.min ?? null;
  const max = exact(schema.maximum) ?? above(exact(schema.exclusiveMaximum), -1, integer) ?? field.max ?? null;
  const multiple = typeof schema.multipleOf === "number" ? schema.multipleOf : null;
  const step = field.step ?? multiple ?? (integer ? 1 : usualStep(min, max));
  return { integer, min, max, step: integer ? Math.max(1, Math.round(step)) : step, multiple };
}

/** @param {JsonObject} schema @returns {JsonObject} the part that tells of the number where null may be given too */
function numberSchema(schema) {
  if (!Array.isArray(schema.anyOf)) return schema;
  for (const part of schema.anyOf) {
    if (isObject(part) && (part.type === "integer" || part.type === "number")) return part;
  }
  return schema;
}

/** @param {Json | undefined} value @returns {Numeric | undefined} */
const exact = (value) => (typeof value === "number" || typeof value === "bigint" ? value : undefined);

/** @param {Numeric | undefined} bound @param {1 | -1} side @param {boolean} integer @returns {Numeric | undefined} */
function above(bound, side, integer) {
  if (bound === undefined) return undefined;
  if (integer) return narrow(BigInt(typeof bound === "bigint" ? bound : Math.trunc(bound)) + BigInt(side));
  const value = Number(bound);
  return value + side * Math.max(Math.abs(value) * Number.EPSILON, Number.MIN_VALUE);
}

/** @param {Numeric | null} min @param {Numeric | null} max */
function usualStep(min, max) {
  return min !== null && max !== null && Number(max) - Number(min) <= 2 ? 0.01 : 0.1;
}

/**
 * Return an integer as a number where that says it exactly.
 * @param {bigint} value
 * @returns {Numeric}
 */
export function narrow(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * Return the number nearest to `value` that the range allows.
 * @param {Numeric} value
 * @param {Range} range
 * @returns {Numeric}
 */
export function clamp(value, range) {
  let fitting = value;
  if (range.integer && typeof fitting === "number") fitting = Number.isSafeInteger(fitting) ? fitting : round(fitting);
  if (range.multiple !== null && typeof fitting === "number")
    fitting = tidy(Math.round(fitting / range.multiple) * range.multiple, range.multiple);
  if (range.min !== null && fitting < range.min) fitting = range.min;
  if (range.max !== null && fitting > range.max) fitting = range.max;
  return typeof fitting === "bigint" ? narrow(fitting) : fitting;
}

/** @param {number} value @returns {Numeric} */
function round(value) {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) ? rounded : narrow(BigInt(rounded));
}

/**
 * Take steps up or down; a number between two steps goes to the next one first.
 * @param {Numeric} value
 * @param {number} count may be a part of a step where the range has such numbers
 * @param {Range} range
 * @returns {Numeric}
 */
export function stepped(value, count, range) {
  if (range.integer) return steppedInteger(value, count, range);
  const size = Math.abs(count) < 1 ? range.step * Math.abs(count) : range.step;
  const whole = Math.abs(count) < 1 ? Math.sign(count) : Math.round(count);
  const place = Number(value) / size;
  const from = whole > 0 ? Math.floor(place + 1e-6) : Math.ceil(place - 1e-6);
  return clamp(tidy((from + whole) * size, size), range);
}

/** @param {Numeric} value @param {number} count @param {Range} range @returns {Numeric} */
function steppedInteger(value, count, range) {
  const whole = Math.trunc(count) || Math.sign(count);
  const [now, step] = [BigInt(typeof value === "bigint" ? value : Math.trunc(value)), BigInt(range.step)];
  const over = ((now % step) + step) % step;
  const from = whole > 0 || over === 0n ? now - over : now - over + step;
  return clamp(narrow(from + BigInt(whole) * step), range);
}

/**
 * Go a part of the way that a drag tells: to the next step, or to a tenth of it.
 * @param {Numeric} value
 * @param {number} steps
 * @param {boolean} fine
 * @param {Range} range
 * @returns {Numeric}
 */
export function turned(value, steps, fine, range) {
  if (range.integer) return Math.trunc(steps) === 0 ? value : steppedInteger(value, steps, range);
  const unit = fine ? range.step / 10 : range.step;
  if (Math.abs(steps) * range.step < unit) return value;
  return clamp(tidy(Math.round((Number(value) + steps * range.step) / unit) * unit, unit), range);
}

/**
 * Return a number without the dust of its arithmetic: with the digits that its step has.
 * @param {number} value
 * @param {number} step
 */
function tidy(value, step) {
  const digits = Math.min(12, Math.max(0, Math.ceil(-Math.log10(step)) + 2));
  return Number(value.toFixed(digits));
}

/**
 * Read what was typed: a number, or arithmetic such as `2*512+64`; it is brought within the range.
 * @param {string} text
 * @param {Range} range
 * @returns {Reading}
 */
export function readNumber(text, range) {
  const given = text.trim().replace(/^\+/, "");
  if (/^-?\d+$/.test(given)) return { value: clamp(narrow(BigInt(given)), range) };
  const value = evaluate(given.replace(/^(-?\d*),(\d+)$/, "$1.$2"));
  if (value === null) return { reason: "Type a number, or arithmetic such as 2*512+64" };
  return { value: clamp(value, range) };
}

/**
 * Write a number as it is typed.
 * @param {Json | undefined} value
 */
export function showNumber(value) {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "number" ? String(value) : "";
}

/**
 * Say where between its bounds a number lies, from 0 to 1; null where it has not both.
 * @param {Json | undefined} value
 * @param {Range} range
 */
export function partOf(value, range) {
  if (range.min === null || range.max === null || (typeof value !== "number" && typeof value !== "bigint")) return null;
  const [min, max] = [Number(range.min), Number(range.max)];
  return max > min ? Math.min(1, Math.max(0, (Number(value) - min) / (max - min))) : null;
}

/**
 * Return the number at a part of the way between the bounds, on a step.
 * @param {number} part
 * @param {Range} range
 * @returns {Numeric}
 */
export function atPart(part, range) {
  const [min, max] = [Number(range.min ?? 0), Number(range.max ?? 1)];
  const exactly = min + Math.min(1, Math.max(0, part)) * (max - min);
  return clamp(tidy(min + Math.round((exactly - min) / range.step) * range.step, range.step), range);
}

/**
 * Say what a number may be, in words.
 * @param {Range} range
 */
function rangeWords({ integer, min, max, multiple }) {
  const kind = integer ? "a whole number" : "a number";
  const times = multiple === null || multiple === 1 ? "" : `, a multiple of ${multiple}`;
  if (min !== null && max !== null) return `${kind} from ${min} to ${max}${times}`;
  if (min !== null) return `${kind} of at least ${min}${times}`;
  return max !== null ? `${kind} of at most ${max}${times}` : `${kind}${times}`;
}

/**
 * Say what is wrong with a number that a file holds; null where nothing is.
 * @param {Json | undefined} value
 * @param {Range} range
 */
export function numberProblem(value, range) {
  if (typeof value !== "number" && typeof value !== "bigint") return `Expected ${rangeWords(range)}`;
  return clamp(value, range) === value ? null : `Expected ${rangeWords(range)}, got ${value}`;
}

/**
 * JSON with whole numbers of any size: what lies beyond 2^53 is a bigint, and is written as it was read.
 *
 * Seeds go to 2^64 - 1, which `JSON.parse` alone would round.
 */

/** @import {Json, JsonObject} from "./types.js" */

/** @typedef {(this: unknown, key: string, value: unknown, context?: {source?: string}) => unknown} Reviver */
/** @typedef {(text: string, reviver: Reviver) => Json} ParseWithSource */

const LONG = /\d{16}/;
const INTEGER = /^-?\d+$/;
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** `rawJSON` as browsers since 2023 or so have it. @type {((text: string) => unknown) | undefined} */
const rawJSON = Reflect.get(JSON, "rawJSON");

const HAS_SOURCE = hasSource();

/** @returns {boolean} whether a reviver is told how a number was written */
function hasSource() {
  let told = false;
  /** @type {Reviver} */
  const look = (_key, value, context) => {
    told = context?.source === "1";
    return value;
  };
  JSON.parse("1", look);
  return told;
}

/**
 * Reads JSON; throws `SyntaxError` for what is none.
 * @param {string} text
 * @returns {Json}
 */
export function parse(text) {
  if (!LONG.test(text)) {
    return JSON.parse(text);
  }
  return HAS_SOURCE ? JSON.parse(text, revive) : parseMarked(text);
}

/** @type {Reviver} */
function revive(_key, value, context) {
  return typeof value === "number" && context?.source !== undefined ? exact(value, context.source) : value;
}

/**
 * @param {number} value
 * @param {string} source
 * @returns {number | bigint}
 */
function exact(value, source) {
  return Number.isSafeInteger(value) || !INTEGER.test(source) ? value : BigInt(source);
}

/**
 * Reads JSON where revivers are not told how numbers were written: long ones are made strings with a mark first.
 * @param {string} text
 * @returns {Json}
 */
export function parseMarked(text) {
  JSON.parse(text); // an error is told of what was written, not of what is made of it here
  const mark = unusedMark(text);
  const marked = text.replace(TOKENS, (token) => {
    const isLong = token[0] !== '"' && INTEGER.test(token) && !Number.isSafeInteger(Number(token));
    return isLong ? `"${mark}${token}"` : token;
  });
  return JSON.parse(marked, (_key, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/**
 * @param {string} text
 * @returns {string} what does not occur in the text
 */
function unusedMark(text) {
  for (;;) {
    const mark = `int${Math.random().toString(36).slice(2)}:`;
    if (!text.includes(mark)) {
      return mark;
    }
  }
}

/**
 * Writes JSON.
 * @param {unknown} value
 * @param {number} [indent]
 * @returns {string}
 */
export function stringify(value, indent) {
  return rawJSON ? JSON.stringify(value, writeBig, indent) : stringifyMarked(value, indent);
}

/**
 * @param {string} _key
 * @param {unknown} value
 * @returns {unknown}
 */
function writeBig(_key, value) {
  return typeof value === "bigint" && rawJSON ? rawJSON(String(value)) : value;
}

/**
 * @param {unknown} value
 * @param {number} [indent]
 * @returns {string}
 */
export function stringifyMarked(value, indent) {
  const mark = `int${Math.random().toString(36).slice(2)}:`;
  const text = JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? `${mark}${part}` : part), indent);
  return text.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
}

/**
 * Tells whether two values are the same JSON; the order of an object's keys does not count.
 * @param {Json | undefined} a
 * @param {Json | undefined} b
 * @returns {boolean}
 */
export function equal(a, b) {
  if (Object.is(a, b)) {
    return true;
  }
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || Array.isArray(a) !== Array.isArray(b)) {
    return a === b; // 0 and -0
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) {
    return false;
  }
  const [first, second] = [/** @type {JsonObject} */ (a), /** @type {JsonObject} */ (b)];
  return keys.every((key) => Object.hasOwn(b, key) && equal(first[key], second[key]));
}

/** Lists and objects within each other that can be written again before the stack ends; a server takes fewer. */
const DEEPEST = 400;

/**
 * Tells whether lists and objects lie no deeper in each other than can be written again.
 * @param {Json} value
 * @param {number} [most]
 * @returns {boolean}
 */
export function isShallow(value, most = DEEPEST) {
  const isPlain = typeof value !== "object" || value === null;
  return isPlain || (most > 0 && Object.values(value).every((part) => isShallow(part, most - 1)));
}

/**
 * @param {Json | undefined} value
 * @returns {value is JsonObject}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Which output fits which input, by the names of their types. */

import { isObject } from "./json.js";

/** @import {Fit, Json} from "./types.js" */

/** @typedef {Map<string, Map<string, Fit>>} FitTable by the output's type, then the input's; what is missing does not fit */

const LIST = /^list\[(.*)\]$/s;

/**
 * @param {string} type
 * @returns {string | null} what the list has, null for what is no list
 */
export function itemOf(type) {
  return type === "list" ? "any" : (LIST.exec(type)?.[1] ?? null);
}

/**
 * @param {string} type
 * @returns {string}
 */
export const listOf = (type) => `list[${type}]`;

/**
 * Reads the table that comes with the node types: `{source: {target: "whole" | "each"}}`, or `{source: [targets]}`.
 * @param {Json | undefined} json
 * @returns {FitTable}
 */
export function readFits(json) {
  /** @type {FitTable} */
  const table = new Map();
  for (const [source, row] of Object.entries(isObject(json) ? json : {})) {
    /** @type {Map<string, Fit>} */
    const fits = new Map();
    if (Array.isArray(row)) {
      row.forEach((target) => fits.set(String(target), "whole"));
    }
    for (const [target, fit] of Object.entries(isObject(row) ? row : {})) {
      fits.set(target, fit === "whole" ? "whole" : fit === "each" || fit === "mapped" ? "each" : null);
    }
    table.set(source, fits);
  }
  return table;
}

/**
 * Tells how an output fits an input. The table knows the types of the nodes' ports; of lists that come of running a node
 * once an item, and of types that are not there any more, the names tell.
 * @param {FitTable} table
 * @param {string} source
 * @param {string} target
 * @returns {Fit}
 */
export function fitOf(table, source, target) {
  if (accepts(table, source, target)) {
    return "whole";
  }
  const item = itemOf(source);
  const row = table.get(source);
  if (row?.get(target) === "each" || (item !== null && accepts(table, item, target))) {
    return "each";
  }
  return null;
}

/**
 * @param {FitTable} table
 * @param {string} source
 * @param {string} target
 * @returns {boolean} whether each value of the one may go where the other is asked for
 */
function accepts(table, source, target) {
  if (source === target || source === "any" || target === "any") {
    return true;
  }
  const known = table.get(source)?.get(target);
  if (known === "whole") {
    return true;
  }
  if (table.has(source) && table.has(target)) {
    return false;
  }
  const [sources, targets] = [members(source), members(target)];
  if (sources.length > 1) {
    return sources.every((member) => accepts(table, member, target));
  }
  if (targets.length > 1) {
    return targets.some((member) => accepts(table, source, member));
  }
  const [given, wanted] = [itemOf(source), itemOf(target)];
  if (given !== null && wanted !== null) {
    return accepts(table, given, wanted);
  }
  return source === "int" && target === "float";
}

/**
 * Splits `int | None` at the bars that are in no bracket.
 * @param {string} type
 * @returns {string[]}
 */
function members(type) {
  const parts = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < type.length; index += 1) {
    const letter = type[index];
    depth += letter === "[" ? 1 : letter === "]" ? -1 : 0;
    if (letter === "|" && depth === 0) {
      parts.push(type.slice(start, index).trim());
      start = index + 1;
    }
  }
  return [...parts, type.slice(start).trim()];
}

/** Which output fits which input, by the names of their types. */

import { isObject } from "./json.js";

/** @import {Fit, Json} from "./types.js" */

/**
 * What the server knows of fits.
 * @typedef {Object} FitTable
 * @property {ReadonlyMap<string, ReadonlyMap<string, Fit>>} rows by the output's type, then the input's
 * @property {ReadonlySet<string>} targets types of inputs that something fits
 */

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
 * Reads the table that comes with the node types: `{source: {target: "whole" | "each"}}`.
 * @param {Json | undefined} json
 * @returns {FitTable}
 */
export function readFits(json) {
  /** @type {Map<string, Map<string, Fit>>} */
  const rows = new Map();
  /** @type {Set<string>} */
  const targets = new Set();
  for (const [source, row] of Object.entries(isObject(json) ? json : {})) {
    /** @type {Map<string, Fit>} */
    const fits = new Map();
    for (const [target, fit] of Object.entries(isObject(row) ? row : {})) {
      if (fit === "whole" || fit === "each") {
        fits.set(target, fit);
        targets.add(target);
      }
    }
    rows.set(source, fits);
  }
  return { rows, targets };
}

/**
 * Tells how an output fits an input. The table knows the types of the nodes' ports; of others, such as those of nodes
 * that are not there any more, the names tell.
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
  const told = table.rows.get(source)?.get(target) === "each";
  return told || (item !== null && accepts(table, item, target)) ? "each" : null;
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
  if (table.rows.has(source) && table.targets.has(target)) {
    return table.rows.get(source)?.get(target) === "whole";
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

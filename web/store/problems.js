/** What is wrong with each tab's workflow, and where; what was edited is taken to be mended until told again. */

import { follow } from "./scopes.js";

/** @typedef {import("./types.js").Graph} Graph */
/** @typedef {import("./types.js").Problem} Problem */

/** The problems of each tab; `field` of a problem is the input's own name. */
export class Problems {
  /** @type {Map<string, readonly Problem[]>} */
  #of = new Map();

  /** Return the problems of a tab. @param {string} session @returns {readonly Problem[]} */
  of(session) {
    return this.#of.get(session) ?? [];
  }

  /**
   * Return the problems of a node, or of one of its fields.
   * @param {string} session
   * @param {string} node its id in jobs, with the instances that it is in; what is within it counts
   * @param {string} [field]
   */
  at(session, node, field) {
    return this.of(session).filter(
      (problem) =>
        (problem.node === node || problem.node?.startsWith(`${node}/`)) &&
        (field === undefined || (problem.field === field && problem.node === node)),
    );
  }

  /**
   * Put these in place of what was there; problems told twice are there once.
   * @param {string} session
   * @param {readonly Problem[]} problems
   */
  set(session, problems) {
    /** @type {Map<string, Problem>} */
    const told = new Map();
    for (const problem of problems) {
      const field = problem.field?.replace(/^(params|links)\./, "") ?? null;
      const node = problem.node ?? null; // the server leaves out what there is not
      told.set([node, field, problem.message].join("\n"), { ...problem, node, field });
    }
    if (told.size === 0) this.#of.delete(session);
    else this.#of.set(session, [...told.values()]);
  }

  /**
   * Take away the problems of nodes that an edit changed.
   * @param {string} session
   * @param {Graph} before the whole document
   * @param {Graph} after
   * @returns {boolean} whether there were any
   */
  edited(session, before, after) {
    const told = this.of(session);
    if (told.length === 0 || before === after) return false;
    const left = told.filter((problem) => problem.node !== null && !mended(problem, problem.node, before, after));
    this.set(session, left);
    return left.length !== told.length;
  }
}

/**
 * Tell whether an edit changed what a problem is about.
 * @param {Problem} problem
 * @param {string} node
 * @param {Graph} before
 * @param {Graph} after
 */
function mended(problem, node, before, after) {
  const [old, made] = [find(before, node), find(after, node)];
  if (old === undefined || made === undefined) return made === undefined;
  if (problem.field !== null && problem.field !== "type" && old.type === made.type && old.mode === made.mode) {
    const { field } = problem;
    return old.params.get(field) !== made.params.get(field) || old.links.get(field) !== made.links.get(field);
  }
  return (
    old.params !== made.params || old.links !== made.links || old.type !== made.type || old.graph !== made.graph ||
    old.mode !== made.mode
  );
}

/**
 * Find a node by its id in jobs; what a node expanded into is found as that node.
 * @param {Graph} document
 * @param {string} id
 */
export function find(document, id) {
  const parts = id.split("/");
  for (let length = parts.length; length > 0; length -= 1) {
    const node = follow(document, parts.slice(0, length - 1))?.graph.nodes.get(parts[length - 1] ?? "");
    if (node !== undefined) return node;
  }
  return undefined;
}

/**
 * What the server could not be given: kept in the browser until it has it. A page that is left, or a server that is
 * away, loses nothing then.
 */

import { readGraph, writeGraph } from "../../store/document.js";
import { isObject, parse, stringify } from "../../store/json.js";

/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/session.js").Session} Session */

const KEY = "nodegraph.unsaved.";

/** The spare copies of documents, by their tabs' ids. */
export class Spares {
  /** @param {Storage | null} storage */
  constructor(storage) {
    this.storage = storage;
  }

  /** @param {Session} session @returns {boolean} whether it is kept */
  put(session) {
    try {
      const { name, title, etag } = session;
      this.storage?.setItem(KEY + session.id, stringify({ name, title, etag, document: writeGraph(session.document) }));
      return this.storage !== null;
    } catch {
      return false;
    }
  }

  /** @param {string} id */
  drop(id) {
    this.storage?.removeItem(KEY + id);
  }

  /** @param {string} id @returns {Graph | null} */
  get(id) {
    try {
      const json = parse(this.storage?.getItem(KEY + id) ?? "null");
      return isObject(json) && json.document !== undefined ? readGraph(json.document) : null;
    } catch {
      return null;
    }
  }
}

/** Opening tabs. What is in them when the page has come up is told by `views/documents/opening.js`. */

import { emptyGraph } from "./store/document.js";
import { Session } from "./store/session.js";

/** @typedef {import("./editor.js").Editor} Editor */
/** @typedef {import("./store/session.js").SessionOptions} SessionOptions */

/** Make a tab's id; `crypto.randomUUID` is not there on a page without TLS. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
}

/**
 * Open a tab.
 * @param {Editor} editor
 * @param {Omit<SessionOptions, "id">} options
 */
export function openTab(editor, options) {
  const session = new Session({ id: newId(), ...options });
  editor.open(session);
  return session;
}

/** An empty tab has nothing to be saved. @param {Editor} editor */
export function openEmpty(editor) {
  const document = emptyGraph();
  return openTab(editor, { document, saved: document });
}

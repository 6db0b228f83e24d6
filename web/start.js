/** What is on the canvas when the page has come up: the workflow that the address names, or the first template. */

import { emptyGraph, readGraph } from "./store/document.js";
import { Session } from "./store/session.js";

/** @typedef {import("./editor.js").Editor} Editor */
/** @typedef {import("./store/session.js").SessionOptions} SessionOptions */

const FIRST = "text_to_image";

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

/** @param {Editor} editor */
export async function openFirst(editor) {
  const name = new URLSearchParams(location.search).get("workflow");
  try {
    if (name === null) await openTemplate(editor, FIRST);
    else await openSaved(editor, name);
  } catch (error) {
    editor.fail(name === null ? "The first workflow could not be opened" : `“${name}” could not be opened`, error);
  }
}

/**
 * @param {Editor} editor
 * @param {string} name
 */
async function openSaved(editor, name) {
  const { json, etag } = await editor.api.workflow(name);
  const document = readGraph(json);
  replaceEmpty(editor, openTab(editor, { name, document, etag, saved: document }));
}

/**
 * @param {Editor} editor
 * @param {string} name
 */
export async function openTemplate(editor, name) {
  const document = readGraph(await editor.api.template(name));
  const title = name.replaceAll("_", " ");
  replaceEmpty(editor, openTab(editor, { title: title[0].toUpperCase() + title.slice(1), document, saved: document }));
}

/**
 * Close the empty tab that the page came up with.
 * @param {Editor} editor
 * @param {Session} session
 */
function replaceEmpty(editor, session) {
  const empty = editor.sessions.find((other) => other !== session && other.name === null && !other.canUndo
    && other.document.nodes.size === 0);
  if (empty) editor.close(empty.id);
}

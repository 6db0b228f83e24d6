/** What tests may see: the editor's state as plain JSON, in which an integer beyond 2^53 is a text. */

import { writeGraph } from "../store/document.js";
import { titleOf } from "./shell/tabs.js";

/** @typedef {import("../editor.js").Editor} Editor */

/** @param {Editor} editor */
export function expose(editor) {
  const state = () => plain(stateOf(editor));
  Object.defineProperty(window, "__editor", { value: Object.freeze({ state }), writable: false });
}

/** @param {Editor} editor */
function stateOf(editor) {
  const { session } = editor;
  return {
    document: writeGraph(session.document),
    graph: writeGraph(session.graph, { root: false }),
    path: session.path,
    selection: [...session.selection],
    view: session.view,
    canUndo: session.canUndo,
    canRedo: session.canRedo,
    tabs: editor.sessions.map((tab) => tabOf(tab, tab === session)),
    types: [...editor.catalogue.types.keys()],
    jobs: Object.fromEntries([...editor.runs.jobs].map(([id, job]) => [id, { ...job }])),
    nodes: nodeStates(editor, session.job),
    settings: editor.settings.values,
  };
}

/** @param {Editor} editor @param {string | null} job */
function nodeStates(editor, job) {
  return Object.fromEntries([...editor.session.graph.nodes.keys()].map((id) => [id, editor.runs.node(job, id)]));
}

/** @param {import("../store/session.js").Session} tab @param {boolean} current */
function tabOf(tab, current) {
  return { id: tab.id, name: tab.name, title: titleOf(tab), dirty: tab.dirty, job: tab.job, current };
}

/** @param {unknown} value */
function plain(value) {
  const text = JSON.stringify(value, (_, part) => {
    if (typeof part === "bigint") return String(part);
    return part instanceof Map ? Object.fromEntries(part) : part;
  });
  return JSON.parse(text);
}

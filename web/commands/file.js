/** Commands of documents: opening, saving, revisions, differences, links to them. */

import { ApiError } from "../api/client.js";
import { readGraph, writeGraph } from "../store/document.js";
import { stringify } from "../store/json.js";
import { el } from "../views/dom.js";
import { chooseComparison, showConflict } from "../views/documents/comparing.js";
import { keeperOf } from "../views/documents/keeper.js";
import { openLibrary } from "../views/documents/library.js";
import { showMissing } from "../views/documents/missing.js";
import { openCopy } from "../views/documents/opening.js";
import { openRevisions } from "../views/documents/revisions.js";
import { rename, save, saveAs } from "../views/documents/saving.js";
import { shareLink } from "../views/documents/sharing.js";
import { openTemplates } from "../views/documents/templates.js";
import { tabOf, titleOf } from "../views/shell/tabs.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/session.js").Session} Session */
/** @typedef {import("../store/types.js").Command} Command */

const group = "File";

/** @returns {Command[]} */
export function fileCommands() {
  return [...savingCommands(), ...openingCommands(), ...conflictCommands()];
}

/** @returns {Command[]} */
function savingCommands() {
  const named = (/** @type {Editor} */ { session }) => session.name !== null;
  return [
    { id: "file.save", title: "Save", group, keys: ["Mod+S"], typing: true,
      run: (editor, id) => save(editor, tabOf(editor, id)) },
    { id: "file.saveAs", title: "Save as…", group, keys: ["Mod+Shift+S"], typing: true,
      run: (editor, id) => saveAs(editor, tabOf(editor, id)) },
    { id: "file.rename", title: "Rename the saved workflow…", group, keys: [], when: named,
      run: (editor, id) => rename(editor, tabOf(editor, id)) },
    { id: "file.download", title: "Download as a file", group, keys: [], run: download },
    { id: "file.share", title: "Copy a link to it", group, keys: [], run: shareLink },
    { id: "file.autosave", title: "Save changes by themselves, or not", group, keys: [],
      run: ({ settings }) => settings.set("autosave", !settings.get("autosave")) },
  ];
}

/** @returns {Command[]} */
function openingCommands() {
  return [
    { id: "file.open", title: "Open…", group, keys: ["Mod+O"], typing: true, run: openLibrary },
    { id: "file.templates", title: "Templates…", group, keys: [], run: openTemplates },
    { id: "file.revisions", title: "Revisions…", group, keys: [],
      run: (editor, id) => openRevisions(editor, tabOf(editor, id)) },
    { id: "file.diff", title: "Compare…", group, keys: [], run: chooseComparison },
    { id: "file.missing", title: "What is missing here…", group, keys: [], run: showMissing },
  ];
}

/** @returns {Command[]} */
function conflictCommands() {
  const when = (/** @type {Editor} */ editor) => keeperOf(editor).of(editor.session).conflict !== undefined;
  return [
    { id: "file.conflict", title: "Show how the saved workflow differs", group, keys: [], when,
      run: (editor, id) => showConflict(editor, tabOf(editor, id)) },
    { id: "file.takeTheirs", title: "Take the saved workflow", group, keys: [], when,
      run: (editor, id) => takeTheirs(editor, tabOf(editor, id)) },
    { id: "file.keepMine", title: "Keep mine as a copy", group, keys: [], when,
      run: (editor, id) => keepMine(editor, tabOf(editor, id)) },
    { id: "file.saveMine", title: "Save mine over it", group, keys: [], when,
      run: (editor, id) => saveMine(editor, tabOf(editor, id)) },
    { id: "file.saveAgain", title: "Save it again", group, keys: [], when,
      run: (editor, id) => saveMine(editor, tabOf(editor, id)) },
  ];
}

/** @param {Editor} editor */
function download(editor) {
  const { session } = editor;
  const text = `${stringify(writeGraph(session.document), 2)}\n`;
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = titleOf(session).replaceAll(/[\\/:*?"<>|]+/g, "_");
  el("a", { href: url, download: `${name}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {Editor} editor @param {Session} session */
async function takeTheirs(editor, session) {
  const { json, etag } = await editor.api.workflow(session.name ?? "");
  keeperOf(editor).take(session, readGraph(json), etag, "Take what was saved elsewhere");
  editor.notify({ text: "What was saved elsewhere is shown. Undo brings yours back." });
}

/**
 * Theirs keeps the name and the tab; mine goes on in a tab of its own.
 * @param {Editor} editor
 * @param {Session} session
 */
async function keepMine(editor, session) {
  const mine = session.document;
  const { json, etag } = await editor.api.workflow(session.name ?? "");
  openCopy(editor, mine, `${titleOf(session)} (mine)`);
  keeperOf(editor).take(session, readGraph(json), etag, "Take what was saved elsewhere");
  editor.notify({ text: "Yours is in a tab of its own now. Save it under a name of its own.",
    action: { title: "Save as…", run: () => editor.perform("file.saveAs") } });
}

/** What is there stays a revision. @param {Editor} editor @param {Session} session */
async function saveMine(editor, session) {
  const name = session.name ?? "";
  const keeper = keeperOf(editor);
  const found = keeper.of(session).conflict;
  const { document } = session;
  try {
    const { etag } = await editor.api.saveWorkflow(name, writeGraph(document), found?.etag ?? null);
    session.setSaved({ document, etag });
    await keeper.saved(session, document);
    editor.notify({ text: `“${name}” is saved as you have it. What it was stays among its revisions.` });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 412)) throw error;
    await keeper.meet(session);
    const text = `“${name}” was saved elsewhere once more, so it was left as it is. Look at the difference again.`;
    editor.notify({ text, kind: "warn" });
  }
}

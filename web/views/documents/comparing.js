/**
 * What a workflow can be compared with: as it was saved, another open one, another saved one, what the last job ran.
 */

import { readGraph } from "../../store/document.js";
import { openDiff } from "../diff.js";
import { el } from "../dom.js";
import { openDialog } from "../shell/dialogs.js";
import { titleOf } from "../shell/tabs.js";
import { keeperOf } from "./keeper.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/session.js").Session} Session */
/** @typedef {{value: string, title: string, read: () => Graph | Promise<Graph>}} Other */

/** Choose what the open workflow is compared with. @param {Editor} editor */
export async function chooseComparison(editor) {
  const { session } = editor;
  const others = await othersOf(editor, session);
  if (others.length === 0) {
    editor.notify({ text: "There is nothing to compare with yet: save the workflow, run it, or open another.",
      kind: "warn" });
    return;
  }
  const select = el("select", { class: "select", autofocus: true },
    ...others.map(({ value, title }) => el("option", { value, text: title })));
  const body = el("label", { class: "stack" }, el("span",
    { class: "dim", text: `Compare “${titleOf(session)}” as it is now with` }), select);
  const { result } = openDialog({ name: "compare", title: "Compare", body, choices: [
    { value: "revision", title: "A revision…" }, { value: "compare", title: "Compare", kind: "primary" }] });
  const answer = await result;
  if (answer === "revision") editor.perform("file.revisions");
  const other = others.find(({ value }) => value === select.value);
  if (answer !== "compare" || other === undefined) return;
  await openDiff(editor, { before: await other.read(), after: session.document, titles: [other.title, "Now"] });
}

/** @param {Editor} editor @param {Session} session @returns {Promise<Other[]>} */
async function othersOf(editor, session) {
  const { name, submitted } = session;
  /** @type {Other[]} */
  const found = [];
  const saved = (/** @type {string} */ one) => async () => readGraph((await editor.api.workflow(one)).json);
  if (name !== null) {
    const revisions = await editor.api.revisions(name).then(({ items }) => items, () => []);
    const last = revisions.find(({ etag }) => etag !== null && etag !== session.etag);
    if (session.dirty) found.push({ value: "saved", title: "As it is saved", read: saved(name) });
    if (last) found.push({ value: "before", title: `Revision ${last.number}, the one before`,
      read: async () => readGraph(await editor.api.revision(name, last.number)) });
    if (!session.dirty) found.push({ value: "saved", title: "As it is saved", read: saved(name) });
  } else if (session.saved !== null && session.saved.nodes.size > 0) {
    const begun = session.saved;
    found.push({ value: "begun", title: "As it was opened", read: () => begun });
  }
  if (submitted !== null) found.push({ value: "submitted", title: "What the last job ran", read: () => submitted });
  for (const other of editor.sessions.filter((tab) => tab !== session && tab.document.nodes.size > 0)) {
    found.push({ value: `tab:${other.id}`, title: `Tab “${titleOf(other)}”`, read: () => other.document });
  }
  const { items } = await editor.api.workflows({ limit: 1000 });
  for (const item of items) {
    if (item.name === name) continue;
    found.push({ value: `name:${item.name}`, title: `“${item.name}”`, read: saved(item.name) });
  }
  return found;
}

/**
 * Show how what is saved differs from what is here, and ask what becomes of the two.
 * @param {Editor} editor
 * @param {Session} session
 */
export async function showConflict(editor, session) {
  if (keeperOf(editor).of(session).conflict?.etag === null) return editor.perform("file.saveAgain", session.id);
  const { json } = await editor.api.workflow(session.name ?? "");
  const answer = await openDiff(editor, { before: readGraph(json), after: session.document,
    titles: ["Saved elsewhere", "Mine"], choices: [
    { value: "file.takeTheirs", title: "Take theirs" },
    { value: "file.saveMine", title: "Save mine over it" },
    { value: "file.keepMine", title: "Keep mine as a copy", kind: "primary" },
  ] });
  return answer === null ? undefined : editor.perform(answer, session.id);
}

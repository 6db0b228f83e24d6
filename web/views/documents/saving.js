/** Saving by wish: under the name that a tab has, or under another; what is there already is asked about. */

import { ApiError } from "../../api/client.js";
import { writeGraph } from "../../store/document.js";
import { el } from "../dom.js";
import { openDialog } from "../shell/dialogs.js";
import { titleOf } from "../shell/tabs.js";
import { DRAFTS, keeperOf } from "./keeper.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/session.js").Session} Session */

/**
 * Save a tab: one without a name is asked for one.
 * @param {Editor} editor
 * @param {Session} session
 * @returns {Promise<boolean>} whether it was saved
 */
export async function save(editor, session) {
  const keeper = keeperOf(editor);
  if (session.name === null) return saveAs(editor, session);
  await keeper.settle(session);
  if (keeper.of(session).conflict) {
    await editor.perform("file.conflict", session.id);
    return !session.dirty;
  }
  const { document, name } = session;
  try {
    const { etag, revision } = await editor.api.saveWorkflow(name, writeGraph(document), session.etag);
    session.setSaved({ document, etag });
    await keeper.saved(session, document);
    editor.notify({ text: `“${name}” is saved, as revision ${revision}.` });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 412)) throw error;
    keeper.of(session).kept = null;
    await keeper.meet(session);
    await keeper.settle(session);
    return !session.dirty;
  }
}

/**
 * Save a tab under a name that is asked for.
 * @param {Editor} editor
 * @param {Session} session
 * @returns {Promise<boolean>} whether it was saved
 */
export async function saveAs(editor, session) {
  const names = await editor.api.workflows({ limit: 1000 }).then(({ items }) => items.map(({ name }) => name));
  const proposed = session.name ?? freeName(titleOf(session), names);
  const name = await askName(names, proposed, (wanted) => put(editor, session, wanted));
  if (name === null) return false;
  editor.notify({ text: `Saved as “${name}”.` });
  return true;
}

/** @param {string} title @param {readonly string[]} taken */
function freeName(title, taken) {
  const plain = title.replaceAll(/[\\/:*?"<>|.]+/g, " ").trim() || "Untitled";
  const known = new Set(taken.map((name) => name.toLowerCase()));
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? plain : `${plain} ${count}`;
    if (!known.has(name.toLowerCase())) return name;
  }
}

/**
 * @param {readonly string[]} names those that there are, to choose from
 * @param {string} proposed
 * @param {(name: string) => Promise<string | null>} take saves; what is wrong is returned in words
 * @returns {Promise<string | null>}
 */
async function askName(names, proposed, take) {
  const options = el("datalist", { id: "saved-names" }, ...names.map((name) => el("option", { value: name })));
  const input = el("input", { class: "input", type: "text", value: proposed, autofocus: true, spellcheck: "false",
    list: "saved-names", autocomplete: "off" });
  const wrong = el("p", { class: "error-text small-text", role: "alert" });
  const ok = el("button", { class: "button primary", type: "submit", form: "save-as", text: "Save" });
  const done = async () => {
    ok.disabled = true;
    const name = input.value.trim().replaceAll(/\s*\/\s*/g, "/");
    const problem = nameProblem(name) ?? (await take(name).catch(inWords));
    ok.disabled = false;
    wrong.textContent = problem ?? "";
    input.setAttribute("aria-invalid", String(problem !== null));
    if (problem === null) dialog.close(name);
    else input.focus();
  };
  const form = el("form", { id: "save-as", on: { submit: (event) => (event.preventDefault(), void done()) } },
    el("label", { class: "stack" }, el("span", { class: "dim", text: "Name" }), input), options, wrong,
    el("p", { class: "dim small-text", text: "A slash makes a folder: portraits/summer." }));
  const dialog = openDialog({ name: "save-as", title: "Save as", body: form, foot: el("span", { class: "spacer" }) });
  dialog.element.querySelector(".dialog-foot")?.append(ok);
  input.select();
  return dialog.result;
}

/** @param {unknown} error */
function inWords(error) {
  return `${error instanceof Error ? error.message : String(error)}.`;
}

/** @param {string} name */
function nameProblem(name) {
  if (name === "") return "Type a name.";
  return `${name}/`.startsWith(DRAFTS) ? "“drafts” holds what has no name yet: choose another folder." : null;
}

/**
 * Save a tab under a name; where another workflow has it, that is asked about.
 * @param {Editor} editor
 * @param {Session} session
 * @param {string} name
 * @returns {Promise<string | null>} why it was not saved
 */
async function put(editor, session, name) {
  const { document } = session;
  const finish = async (/** @type {string} */ etag) => {
    session.setSaved({ document, name, etag, title: "" });
    await keeperOf(editor).saved(session, document);
    editor.emit({ type: "sessions" });
    return null;
  };
  try {
    const { etag } = await editor.api.saveWorkflow(name, writeGraph(document), null);
    return await finish(etag);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 412)) throw error;
  }
  const { etag: there } = await editor.api.workflow(name);
  if ((await askReplace(editor, name)) !== "replace") return "Choose another name.";
  const { etag } = await editor.api.saveWorkflow(name, writeGraph(document), there);
  for (const other of editor.sessions.filter((tab) => tab !== session && tab.name === name)) editor.close(other.id);
  return finish(etag);
}

/** @param {Editor} editor @param {string} name */
function askReplace(editor, name) {
  return editor.ask({
    title: `“${name}” is there already`,
    body: "Replace it with this workflow? What it is now stays among its revisions.",
    choices: [
      { value: "other", title: "Choose another name", kind: "primary" },
      { value: "replace", title: "Replace it", kind: "danger" },
    ],
  });
}

/** Give a saved workflow another name. @param {Editor} editor @param {Session} session */
export async function rename(editor, session) {
  const before = session.name;
  if (before === null) return void (await saveAs(editor, session));
  await keeperOf(editor).settle(session); // or what is saved meanwhile is another than the one that is deleted
  const old = session.etag;
  const { items } = await editor.api.workflows({ limit: 1000 });
  const name = await askName(items.map((item) => item.name), before, (wanted) =>
    wanted === before ? Promise.resolve(null) : put(editor, session, wanted));
  if (name === null || name === before) return;
  await editor.api.deleteWorkflow(before, old ?? undefined);
  editor.notify({ text: `“${before}” is called “${name}” now.` });
}

/**
 * The clipboard: nodes go to it as JSON text, which can be pasted in another tab, another window, or an issue. The keys
 * make the browser's own clipboard events, which need no permission; a menu has to ask for it.
 */

import { EDITOR_FORM, parseForeign } from "../../api/opened_file.js";
import { copy, isPasteable, paste } from "../../store/clipboard.js";
import { isApiForm, isEditorForm } from "../../store/comfy.js";
import { remove } from "../../store/edits.js";
import { stringify } from "../../store/json.js";
import { isTyping } from "../dom.js";
import { translateBy } from "../foreign.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").Point} Point */

/** What was copied last on this page, for where the browser lets nobody read its clipboard. */
let held = "";

/** @param {Editor} editor */
export function mount(editor) {
  let keepInputs = false;
  const key = (/** @type {KeyboardEvent} */ event) => (keepInputs = event.shiftKey);
  const take = (/** @type {ClipboardEvent} */ event) => onCopy(editor, event);
  const put = (/** @type {ClipboardEvent} */ event) => onPaste(editor, event, keepInputs);
  document.addEventListener("keydown", key, true);
  document.addEventListener("copy", take);
  document.addEventListener("cut", take);
  document.addEventListener("paste", put);
  return {
    destroy() {
      document.removeEventListener("keydown", key, true);
      document.removeEventListener("copy", take);
      document.removeEventListener("cut", take);
      document.removeEventListener("paste", put);
    },
  };
}

/** Whether the event is for text: of a field, or marked on the page. @param {Event} event */
function isForText({ target }) {
  if (isTyping(target) || (target instanceof Element && target.closest("dialog"))) return true;
  const marked = getSelection();
  return marked !== null && !marked.isCollapsed && marked.toString() !== "";
}

/** @param {Editor} editor @param {ClipboardEvent} event */
function onCopy(editor, event) {
  if (event.defaultPrevented || isForText(event) || editor.session.selection.size === 0) return;
  event.preventDefault();
  event.clipboardData?.setData("text/plain", textOf(editor));
  if (event.type === "cut") removeSelected(editor);
  told(editor, event.type);
}

/** @param {Editor} editor */
function textOf({ session }) {
  held = stringify(copy(session.graph, session.selection), 2);
  return held;
}

/** @param {Editor} editor */
function removeSelected(editor) {
  const { selection } = editor.session;
  editor.apply("Cut", (graph) => remove(graph, selection, { catalogue: editor.catalogue }), { select: [] });
}

/** @param {Editor} editor @param {string} how */
function told(editor, how) {
  editor.say(how === "cut" ? "Cut" : "Copied");
}

/**
 * Pictures become nodes that load them; text is what was copied, or a whole workflow.
 * @param {Editor} editor
 * @param {ClipboardEvent} event
 * @param {boolean} keepInputs
 */
function onPaste(editor, event, keepInputs) {
  if (event.defaultPrevented || isForText(event)) return;
  const data = event.clipboardData;
  const pictures = [...(data?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  const text = data?.getData("text/plain") ?? "";
  event.preventDefault();
  if (text.trim() === "" && pictures.length > 0) {
    for (const file of pictures) editor.perform("edit.loadPicture", { file });
  } else void pasteText(editor, text, { keepInputs });
}

/**
 * @param {Editor} editor
 * @param {string} text
 * @param {{keepInputs?: boolean, point?: Point}} options
 */
export async function pasteText(editor, text, { keepInputs = false, point }) {
  const read = readText(text);
  if (!isPasteable(read) && !isApiForm(read)) {
    const none = "The clipboard holds no nodes. Copy some with Ctrl+C, or the JSON of a workflow.";
    editor.notify({ text: isEditorForm(read) ? EDITOR_FORM : none, kind: "warn" });
    return;
  }
  const pointer = editor.canvas?.pointer.over ? editor.canvas.here : null;
  try {
    const json = isApiForm(read) ? await translateBy(editor)(read) : read;
    const pasted = paste(editor.session.graph, json, point ?? pointer, { keepInputs });
    editor.apply("Paste", () => pasted.graph, { select: pasted.items });
    editor.canvas?.reveal(pasted.items);
    editor.say(`Pasted ${[...pasted.items].length}`);
  } catch (error) {
    editor.fail("What the clipboard holds could not be pasted", error);
  }
}

/** @param {string} text @returns {Json} */
function readText(text) {
  try {
    return parseForeign(text.trim().replace(/^```(?:json)?|```$/g, ""));
  } catch {
    return null;
  }
}

/**
 * Copy what is selected, asked for by a menu or a list.
 * @param {Editor} editor
 * @param {"copy" | "cut"} how
 */
export async function copySelected(editor, how) {
  const text = textOf(editor);
  if (how === "cut") removeSelected(editor);
  told(editor, how);
  await navigator.clipboard?.writeText(text).catch(() => undefined);
}

/**
 * Paste what a menu or a list asks for; where the browser refuses, what was copied here last.
 * @param {Editor} editor
 * @param {{keepInputs?: boolean, point?: Point}} options
 */
export async function pasteHeld(editor, options) {
  const text = await navigator.clipboard?.readText().catch(() => "");
  pasteText(editor, text || held, options);
}

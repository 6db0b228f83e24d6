/** Titles and notes are typed where they stand. */

import { setNote, setTitle, setFrame } from "../../store/edits.js";
import { parseItem } from "../../store/names.js";
import { el } from "../dom.js";

/** @import {Graph, Item} from "../../store/types.js" */
/** @import {Canvas} from "./canvas.js" */

/**
 * Let a title or a text be typed.
 * @param {Canvas} canvas @param {Item} item @returns {boolean} whether there is such a thing
 */
export function editText(canvas, item) {
  const { kind, id } = parseItem(item);
  const graph = canvas.editor.session.graph;
  const text = textOf(graph, kind, id);
  canvas.reveal([item]);
  canvas.draw();
  const holder = kind === "node" ? canvas.nodes.get(id)?.header : canvas.frames.drawn.get(item)?.element;
  if (text === null || !holder) return false;
  const field =
    kind === "note" ? el("textarea", { class: "note-edit" }) : el("input", { class: "title-edit", type: "text" });
  field.value = text;
  field.setAttribute("aria-label", kind === "note" ? "Note" : "Title");
  if (field instanceof HTMLInputElement && kind === "node")
    field.placeholder = canvas.scene.nodes.get(id)?.type.title ?? "";
  begin(canvas, field, holder, (value) => {
    canvas.editor.apply(kind === "note" ? "Write note" : "Rename", (now) => withText(now, kind, id, value));
    if (kind === "node") canvas.focus(id);
    else canvas.focus();
  });
  return true;
}

/**
 * @param {Canvas} canvas @param {HTMLInputElement | HTMLTextAreaElement} field @param {HTMLElement} holder
 * @param {(value: string) => void} done
 */
function begin(canvas, field, holder, done) {
  const before = field.value;
  let open = true;
  const end = (/** @type {boolean} */ keep) => {
    if (!open) return;
    open = false;
    const { value } = field;
    field.remove();
    if (keep && value !== before) done(value);
    else canvas.focus(holder.closest("[data-node]")?.getAttribute("data-node") ?? undefined);
  };
  field.addEventListener("keydown", (/** @type {Event} */ event) => {
    if (!(event instanceof KeyboardEvent)) return;
    event.stopPropagation();
    if (event.key === "Escape") end(false);
    const plain = field instanceof HTMLInputElement || event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && plain && !event.isComposing) end(true);
  });
  field.addEventListener("blur", () => end(true));
  holder.append(field);
  field.focus({ preventScroll: true });
  field.select();
}

/** @param {Graph} graph @param {string} kind @param {string} id @returns {string | null} */
function textOf(graph, kind, id) {
  if (kind === "node") return graph.nodes.has(id) ? (graph.nodes.get(id)?.view.title ?? "") : null;
  if (kind === "frame") return graph.frames.get(id)?.title ?? null;
  return kind === "note" ? (graph.notes.get(id)?.text ?? null) : null;
}

/** @param {Graph} graph @param {string} kind @param {string} id @param {string} value @returns {Graph} */
function withText(graph, kind, id, value) {
  if (kind === "node") return setTitle(graph, id, value);
  return kind === "frame" ? setFrame(graph, id, { title: value }) : setNote(graph, id, { text: value });
}

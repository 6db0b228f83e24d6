/** All that can be done with a row of the outline: as a menu, as buttons; its title. */

import { setFrame, setNote, setTitle } from "../../store/edits.js";
import { el } from "../dom.js";
import { icon } from "../icons.js";
import { askText } from "../shell/dialogs.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("./build.js").Branch} Branch */
/** @typedef {import("../shell/menu.js").Entry} Entry */
/**
 * @typedef {{[name in "act" | "wire" | "remove" | "rename" | "mute" | "bypass" | "run" | "add"]: () => unknown}} Doing
 */

/** @param {Branch} branch @param {Doing} doing @returns {Entry[]} */
export function entriesOf(branch, doing) {
  const wired = branch.kind === "link" || (branch.kind === "input" && branch.source !== null);
  const isNode = branch.kind === "node";
  const isThing = isNode || branch.node === "";
  return [
    ...(isNode ? [entry("Show on the canvas", "fit", doing.act, "Enter")] : []),
    ...(branch.kind === "input" && branch.port?.field && !wired ? [entry("Edit its value", "edit", doing.act, "Enter")]
      : []),
    ...(branch.node === "" ? [] : [entry("Wire…", "link", doing.wire)]),
    ...(wired ? [entry("Remove the link", "unlink", doing.remove, "Delete")] : []),
    ...(isThing ? [entry("Rename…", "edit", doing.rename, "F2")] : []),
    ...(isNode ? [entry("Mute, or let run", "mute", doing.mute), entry("Bypass, or let run", "bypass", doing.bypass),
      entry("Run up to this node", "play", doing.run)] : []),
    entry("Add a node…", "plus", doing.add, "Insert"),
    ...(isThing ? [entry("Delete", "trash", doing.remove, "Delete")] : []),
  ];
}

/** @param {string} title @param {string} icon @param {() => unknown} run @param {string} [hint] */
function entry(title, icon, run, hint = "") {
  return { title, icon, run, hint };
}

/**
 * @param {readonly (readonly [action: string, icon: string, text: string, act: () => void])[]} buttons
 * @returns {HTMLElement}
 */
export function toolbar(buttons) {
  return el("div", { class: "outline-tools", role: "toolbar", "aria-label": "What to do" },
    ...buttons.map(([action, drawing, text, act]) => el("button", { class: "icon-button", type: "button",
      "aria-label": text, data: { action, tip: text }, on: { click: act } }, icon(drawing))));
}

/**
 * Ask for a node's or frame's title, or a note's text.
 * @param {Editor} editor
 * @param {Branch} branch
 * @returns {Promise<boolean>} whether it has one
 */
export async function renameBranch(editor, { kind, item }) {
  const { graph } = editor.session;
  const id = item.slice(item.indexOf(":") + 1);
  const [node, frame, note] = [graph.nodes.get(id), graph.frames.get(id), graph.notes.get(id)];
  const values = { node: node?.view.title, frame: frame?.title, note: note?.text };
  if (kind !== "node" && kind !== "frame" && kind !== "note") return false;
  const [title, label] = kind === "note" ? ["Note", "Text"] : ["Rename", "Title"];
  const text = await askText({ title, label, value: values[kind] ?? "", action: "OK" });
  if (text !== null && kind === "node") editor.apply("Rename", (now) => setTitle(now, id, text));
  else if (text !== null && kind === "frame") editor.apply("Rename", (now) => setFrame(now, id, { title: text }));
  else if (text !== null) editor.apply("Write note", (now) => setNote(now, id, { text }));
  return true;
}

/** What an empty canvas tells: how to begin. */

import { el } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../editor.js").Editor} Editor */

/** @type {readonly (readonly [command: string, icon: string, title: string])[]} */
const BEGINNINGS = [
  ["palette.open", "plus", "Add a node"],
  ["file.templates", "template", "Templates"],
  ["file.open", "folder", "Open"],
];

/**
 * @param {Editor} editor
 * @param {HTMLElement} canvas the words stand over it, and all but their buttons lets the pointer through
 */
export function mount(editor, canvas) {
  const add = editor.commands.get("palette.open");
  const key = add === null ? "" : editor.keys.label(add);
  const buttons = BEGINNINGS.map(([command, drawing, title]) => el("button", { class: "button", type: "button",
    data: { command }, on: { click: () => editor.perform(command) } }, icon(drawing), title));
  const box = el("div", { class: "canvas-empty", hidden: true },
    el("p", {}, "Nothing is here yet. A double click", key && " or ", key && el("kbd", { text: key }),
      " adds a node; a workflow, or a picture that was made with one, opens when it is dropped here."),
    el("div", { class: "canvas-empty-buttons" }, ...buttons));
  const draw = () => {
    const { nodes, frames, notes } = editor.session.graph;
    box.hidden = nodes.size + frames.size + notes.size > 0;
    for (const button of buttons.slice(1)) button.hidden = editor.session.path.length > 0;
  };
  const offs = /** @type {const} */ (["document", "scope", "session"]).map((type) => editor.on(type, draw));
  canvas.after(box);
  draw();
  return { destroy: () => (offs.forEach((off) => off()), box.remove()) };
}

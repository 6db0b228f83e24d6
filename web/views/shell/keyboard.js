/** Keys do commands: here a key that is pressed anywhere on the page becomes one. */

import { chords, normal } from "../../store/keys.js";
import { isTyping } from "../dom.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Command} Command */

/** The browser makes clipboard events of these, by which the clipboard may be read without being asked for it. */
const CLIPBOARD = new Map([
  ["edit.copy", ["Mod+C"]], ["edit.cut", ["Mod+X"]], ["edit.paste", ["Mod+V"]], ["edit.paste.links", ["Mod+Shift+V"]],
]);

/** @param {Editor} editor */
export function mount(editor) {
  const listener = (/** @type {KeyboardEvent} */ event) => press(editor, event);
  document.addEventListener("keydown", listener);
  return { destroy: () => document.removeEventListener("keydown", listener) };
}

/**
 * @param {Editor} editor
 * @param {KeyboardEvent} event
 */
function press(editor, event) {
  if (event.defaultPrevented || event.isComposing) return;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("dialog, [data-own-keys]") || document.querySelector("dialog:modal")) return;
  const typing = isTyping(target);
  for (const chord of chords(event, editor.keys.mac)) {
    for (const id of editor.keys.find(chord)) {
      const command = editor.commands.get(id);
      if (command === null || !fits(editor, command, chord, typing, target)) continue;
      if (CLIPBOARD.get(id)?.includes(normal(chord))) return;
      event.preventDefault();
      editor.perform(id);
      return;
    }
  }
}

/**
 * A control that has the focus keeps the keys that are its own.
 * @param {Editor} editor
 * @param {Command} command
 * @param {string} chord
 * @param {boolean} typing
 * @param {Element | null} target
 */
function fits(editor, command, chord, typing, target) {
  if (typing && command.typing !== true) return false;
  const pressed = chord === "Enter" || chord === "Space";
  if (pressed && target?.matches("button, a[href], summary, [role=button]")) return false;
  return command.when === undefined || command.when(editor);
}

/** The dialog of what the user may set. */

import { el } from "../dom.js";
import { openDialog } from "./dialogs.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/settings.js").Values} Values */
/** @typedef {"contrast" | "snap" | "guides" | "minimap" | "autosave"} Switch */

/** @type {readonly {name: Switch, title: string, hint: string}[]} */
const CANVAS = [
  { name: "snap", title: "Snap to the grid", hint: "Nodes come to lie on a grid of 20 when they are moved." },
  { name: "guides", title: "Guides", hint: "Lines show where a node lines up with others." },
  { name: "minimap", title: "Map", hint: "A small map of the whole workflow, at the right below." },
];
/** @type {readonly {name: Switch, title: string, hint: string}[]} */
const FILES = [
  { name: "autosave", title: "Save by itself", hint: "Each change is kept on the server a moment later." },
];

/** @param {Editor} editor */
export function openSettings(editor) {
  const keys = el("button", { class: "button", type: "button", text: "Keys …", on: { click: () => {
    dialog.close();
    editor.perform("keys.open");
  } } });
  const dialog = openDialog({ name: "settings", title: "Settings", body: [
    group("Look", themes(editor), toggle(editor, { name: "contrast", title: "High contrast",
      hint: "Colours further apart, in either theme." })),
    group("Canvas", ...CANVAS.map((row) => toggle(editor, row))),
    group("Files", ...FILES.map((row) => toggle(editor, row))),
    group("Keyboard", el("div", { class: "setting" }, el("span", { text: "All commands and their keys" }), keys)),
  ], foot: el("span", { class: "dim small-text", text: "Kept in this browser." }) });
  return dialog;
}

/** @param {string} title @param {...HTMLElement} rows */
function group(title, ...rows) {
  return el("section", { class: "setting-group" }, el("h3", { text: title }), ...rows);
}

/** @param {Editor} editor @param {{name: Switch, title: string, hint: string}} row */
function toggle({ settings }, { name, title, hint }) {
  const box = el("input", { class: "switch", type: "checkbox", role: "switch", checked: settings.get(name),
    data: { setting: name } });
  box.addEventListener("change", () => settings.set(name, box.checked));
  return el("label", { class: "setting" }, el("span", { class: "stack" }, el("span", { text: title }),
    el("span", { class: "dim small-text", text: hint })), box);
}

/** @type {readonly (readonly [Values["theme"], string])[]} */
const THEMES = [["auto", "System"], ["light", "Light"], ["dark", "Dark"]];

/** @param {Editor} editor */
function themes({ settings }) {
  const now = settings.get("theme");
  const buttons = THEMES.map(([value, text]) => {
    const input = el("input", { type: "radio", name: "setting-theme", checked: now === value,
      data: { setting: "theme", value }, autofocus: now === value });
    input.addEventListener("change", () => settings.set("theme", value));
    return el("label", { class: "segment" }, input, el("span", { text }));
  });
  return el("div", { class: "setting", role: "radiogroup", "aria-label": "Theme" }, el("span", { text: "Theme" }),
    el("span", { class: "segments" }, ...buttons));
}

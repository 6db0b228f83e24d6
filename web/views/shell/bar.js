/** The buttons of the bar and the rail, and the menu of the page. */

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { openMenu } from "./menu.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("./menu.js").Entry} Entry */

/** What is done most, with its icon. @type {readonly (readonly [string, string, string])[]} */
const RAIL = [
  ["palette.open", "plus", "Add a node"],
  ["file.open", "folder", "Open a workflow"],
  ["file.templates", "template", "Templates"],
  ["find.open", "search", "Find in this workflow"],
  ["view.form", "form", "Form of this workflow"],
];

/**
 * @param {Editor} editor
 * @param {{tools: HTMLElement, rail: HTMLElement}} places
 */
export function mount(editor, { tools, rail }) {
  const shortcuts = RAIL.filter(([command]) => editor.commands.get(command) !== null);
  rail.append(...shortcuts.map(([command, drawing, label]) => commandButton(editor, command, drawing, label)));
  const undo = commandButton(editor, "edit.undo", "undo", "Undo");
  const redo = commandButton(editor, "edit.redo", "redo", "Redo");
  const menu = el("button", { class: "icon-button", type: "button", "aria-label": "Menu", "aria-haspopup": "menu",
    data: { tip: "Menu", menuButton: "main" } }, icon("menu"));
  menu.addEventListener("click", () => openMenu(editor, entries(editor), menu, { label: "Menu", name: "main" }));
  tools.append(undo, redo, menu);
  const show = () => {
    const { session } = editor;
    undo.disabled = !session.canUndo;
    redo.disabled = !session.canRedo;
    undo.dataset.tip = session.undoLabel ? `Undo: ${session.undoLabel}` : "Undo";
    redo.dataset.tip = session.redoLabel ? `Redo: ${session.redoLabel}` : "Redo";
  };
  const offs = [editor.on("document", show), editor.on("session", show)];
  show();
  return { destroy: () => offs.forEach((off) => off()) };
}

/**
 * Make a button that does a command.
 * @param {Editor} editor
 * @param {string} command
 * @param {string} drawing
 * @param {string} label
 */
export function commandButton(editor, command, drawing, label) {
  return el("button", { class: "icon-button", type: "button", "aria-label": label, data: { command, tip: label },
    on: { click: () => editor.perform(command) } }, icon(drawing));
}

/** Entries of commands that are not there are left out. @param {Editor} editor @returns {Entry[]} */
function entries(editor) {
  return [
    { command: "tab.new", icon: "plus" },
    { command: "file.open", icon: "folder" },
    { command: "file.save", icon: "save" },
    { command: "file.saveAs" },
    { command: "file.templates", icon: "template" },
    { command: "file.revisions", icon: "history" },
    { command: "file.diff", icon: "compare" },
    { command: "file.download", icon: "download" },
    { command: "file.share", icon: "share" },
    null,
    { command: "find.open", icon: "search" },
    { command: "commands.open", icon: "command" },
    { command: "view.form", icon: "form" },
    { title: "Theme", icon: "theme", entries: themes(editor) },
    { command: "settings.open", icon: "settings" },
    null,
    { command: "keys.open", icon: "keyboard" },
    { command: "tour.open", icon: "tour" },
    { command: "server.open", icon: "server" },
    { command: "server.logout", icon: "logout" },
  ];
}

/** @param {Editor} editor @returns {Entry[]} */
function themes(editor) {
  const { theme, contrast } = editor.settings.values;
  return [
    { command: "theme.auto", checked: theme === "auto" },
    { command: "theme.light", checked: theme === "light" },
    { command: "theme.dark", checked: theme === "dark" },
    null,
    { command: "theme.contrast", checked: contrast },
  ];
}

/** Commands of the page: tabs, theme, what helps to find one's way, the server. */

import { openEmpty } from "../start.js";
import { find } from "../views/dom.js";
import { openCommandList } from "../views/shell/command_list.js";
import { openContextMenu } from "../views/shell/context_menu.js";
import { keeperOf } from "../views/documents/keeper.js";
import { askText } from "../views/shell/dialogs.js";
import { openFind } from "../views/shell/find.js";
import { openKeyHelp } from "../views/shell/key_help.js";
import { logout, openServer } from "../views/shell/server.js";
import { openSettings } from "../views/shell/settings.js";
import { tabOf, titleOf } from "../views/shell/tabs.js";
import { openTour } from "../views/shell/tour.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Command} Command */

/** @returns {Command[]} */
export function appCommands() {
  return [...tabCommands(), ...themeCommands(), ...helpCommands()];
}

/** @returns {Command[]} */
function tabCommands() {
  const several = (/** @type {Editor} */ editor) => editor.sessions.length > 1;
  return [
    { id: "tab.new", title: "New workflow", group: "Tabs", keys: ["Mod+Alt+T"], run: (editor) => openEmpty(editor),
      typing: true },
    { id: "tab.close", title: "Close tab", group: "Tabs", keys: ["Mod+Alt+W"], run: close, typing: true },
    { id: "tab.closeOthers", title: "Close other tabs", group: "Tabs", keys: [], when: several, run: closeOthers },
    { id: "tab.next", title: "Next tab", group: "Tabs", keys: ["Mod+Alt+ArrowRight"], when: several, typing: true,
      run: (editor) => step(editor, 1) },
    { id: "tab.previous", title: "Previous tab", group: "Tabs", keys: ["Mod+Alt+ArrowLeft"], when: several,
      typing: true, run: (editor) => step(editor, -1) },
    { id: "tab.moveRight", title: "Move tab right", group: "Tabs", keys: [], when: several,
      run: (editor, id) => shift(editor, id, 1) },
    { id: "tab.moveLeft", title: "Move tab left", group: "Tabs", keys: [], when: several,
      run: (editor, id) => shift(editor, id, -1) },
    { id: "tab.rename", title: "Rename tab", group: "Tabs", keys: [], run: rename },
    { id: "tab.duplicate", title: "Copy into a new tab", group: "Tabs", keys: [], run: duplicate },
  ];
}

/** @param {Editor} editor @param {number} by */
function step(editor, by) {
  const at = editor.sessions.indexOf(editor.session) + by;
  editor.select(editor.sessions.at(at % editor.sessions.length)?.id ?? "");
}

/** @param {Editor} editor @param {unknown} id @param {number} by */
function shift(editor, id, by) {
  const tab = tabOf(editor, id);
  editor.moveTab(tab.id, editor.sessions.indexOf(tab) + by);
}

/**
 * What is not saved is asked for; the last tab gives way to an empty one.
 * @param {Editor} editor
 * @param {unknown} [id]
 */
async function close(editor, id) {
  const tab = tabOf(editor, id);
  if (tab.name !== null) await keeperOf(editor).settle(tab);
  if (tab.dirty && tab.document.nodes.size > 0) {
    const answer = await editor.ask({
      title: `Close “${titleOf(tab)}”?`,
      body: "It has changes that are not saved.",
      choices: [
        { value: "cancel", title: "Keep it open" },
        { value: "close", title: "Close without saving", kind: "danger" },
        { value: "save", title: "Save and close", kind: "primary" },
      ],
    });
    if (answer === "save") {
      editor.select(tab.id);
      await editor.perform("file.save");
      if (tab.dirty) return;
    } else if (answer !== "close") return;
  }
  if (editor.sessions.length === 1) openEmpty(editor);
  editor.close(tab.id);
}

/** @param {Editor} editor @param {unknown} id */
async function closeOthers(editor, id) {
  const kept = tabOf(editor, id);
  for (const tab of editor.sessions.filter((other) => other !== kept)) await close(editor, tab.id);
  editor.select(kept.id);
}

/** @param {Editor} editor @param {unknown} id */
async function rename(editor, id) {
  const tab = tabOf(editor, id);
  if (tab.name !== null && editor.commands.get("file.rename")) {
    await editor.perform("file.rename", tab.id);
    return;
  }
  const title = await askText({ title: "Rename tab", label: "Title", value: titleOf(tab), action: "Rename" });
  if (title) tab.title = title;
  editor.emit({ type: "sessions" });
}

/** @param {Editor} editor @param {unknown} id */
function duplicate(editor, id) {
  const tab = tabOf(editor, id);
  const copy = openEmpty(editor);
  copy.title = `${titleOf(tab)} copy`;
  copy.replace(tab.document, "Copy of another tab");
}

/** @returns {Command[]} */
function themeCommands() {
  const group = "View";
  const themes = /** @type {const} */ ({ auto: "Theme of the system", light: "Light theme", dark: "Dark theme" });
  const choices = /** @type {("auto" | "light" | "dark")[]} */ (Object.keys(themes));
  return [
    ...choices.map((theme) => ({ id: `theme.${theme}`, title: themes[theme], group, keys: [],
      run: (/** @type {Editor} */ { settings }) => settings.set("theme", theme) })),
    { id: "theme.toggle", title: "Light or dark theme", group, keys: ["Mod+Alt+L"], run: toggleTheme },
    { id: "theme.contrast", title: "High contrast", group, keys: [],
      run: ({ settings }) => settings.set("contrast", !settings.get("contrast")) },
  ];
}

/** @param {Editor} editor */
function toggleTheme({ settings }) {
  const theme = settings.get("theme");
  const dark = theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
  settings.set("theme", dark ? "light" : "dark");
}

/** @returns {Command[]} */
function helpCommands() {
  const group = "Help";
  return [
    { id: "commands.open", title: "All commands", group, keys: ["Mod+Shift+P"], run: openCommandList, typing: true },
    { id: "keys.open", title: "Keys", group, keys: ["?"], run: openKeyHelp },
    { id: "find.open", title: "Find in this workflow", group: "View", keys: ["Mod+F"], run: openFind, typing: true },
    { id: "settings.open", title: "Settings", group: "View", keys: ["Mod+,"], run: openSettings, typing: true },
    { id: "tour.open", title: "Tour", group, keys: [], run: openTour },
    { id: "help.node", title: "Help of the node", group, keys: ["F1"], run: ({ panels }) => panels.show("help") },
    { id: "server.open", title: "Server and API", group, keys: [], run: openServer },
    { id: "server.logout", title: "Log out", group, keys: [], run: logout },
    { id: "menu.context", title: "Menu of what is selected", group: "Edit", keys: ["Shift+F10", "ContextMenu"],
      run: openContextMenu },
    { id: "focus.next", title: "Go to the next part of the page", group: "View", keys: ["F6"], typing: true,
      run: (editor) => goToRegion(editor, 1) },
    { id: "focus.previous", title: "Go to the part of the page before", group: "View", keys: ["Shift+F6"], typing: true,
      run: (editor) => goToRegion(editor, -1) },
  ];
}

const REGIONS = ["#bar", "#rail", "#canvas", "#dock", "#dockrail"];

/** Give the focus to the next part of the page that is shown. @param {Editor} editor @param {number} by */
function goToRegion(editor, by) {
  const parts = REGIONS.map((selector) => find(selector)).filter((part) => part.checkVisibility());
  const at = parts.findIndex((part) => part.contains(document.activeElement));
  const part = parts.at((at < 0 ? parts.findIndex(({ id }) => id === "canvas") : at + by) % parts.length);
  if (part?.id === "canvas") editor.canvas?.focus(editor.selectedNodes[0]);
  else focusFirst(part);
}

/** @param {HTMLElement | undefined} part */
function focusFirst(part) {
  const found = part?.querySelectorAll("[tabindex='0'], button, input, select, textarea, a[href]") ?? [];
  for (const element of found) {
    if (element instanceof HTMLElement && element.tabIndex >= 0 && element.checkVisibility()) {
      element.focus();
      return;
    }
  }
}

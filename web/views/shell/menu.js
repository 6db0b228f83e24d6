/** Menus that open at a place. Their entries name commands; a command that cannot be done now is shown, but dim. */

import { el } from "../dom.js";
import { icon } from "../icons.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Point} Point */
/**
 * An entry: a command, or a title with what it does, or a title with a menu of its own; null is a line between.
 * @typedef {{command: string, detail?: unknown, title?: string, icon?: string, checked?: boolean}
 *   | {title: string, icon?: string, run: () => unknown, checked?: boolean, disabled?: boolean, hint?: string,
 *      swatch?: string}
 *   | {title: string, icon?: string, entries: readonly Entry[]}
 *   | {heading: string}
 *   | null} Entry
 */

/** @type {(() => void) | null} */
let closeOpen = null;

/** Put away the menu that is open. */
function closeMenu() {
  closeOpen?.();
}

/**
 * Open a menu; an earlier one is put away.
 * @param {Editor} editor
 * @param {readonly Entry[]} entries
 * @param {Point | HTMLElement} at a place in the window, or the button that it belongs to
 * @param {{label?: string, name?: string}} [options]
 */
export function openMenu(editor, entries, at, { label = "Menu", name = "menu" } = {}) {
  closeMenu();
  const before = document.activeElement;
  const menu = el("div", { class: "menu scroll", role: "menu", "aria-label": label, data: { menu: name } });
  const owner = at instanceof HTMLElement ? at : null;
  const close = () => {
    closeOpen = null;
    document.removeEventListener("pointerdown", away, true);
    window.removeEventListener("blur", close);
    const focused = menu.contains(document.activeElement);
    menu.remove();
    owner?.setAttribute("aria-expanded", "false");
    if (focused && before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  const away = (/** @type {Event} */ event) => {
    if (!(event.target instanceof Node && (menu.contains(event.target) || owner?.contains(event.target)))) close();
  };
  closeOpen = close;
  owner?.setAttribute("aria-expanded", "true");
  document.body.append(menu);
  list(editor, menu, entries, close, []);
  place(menu, at);
  menu.addEventListener("keydown", (event) => steer(menu, event, close));
  menu.addEventListener("contextmenu", (event) => event.preventDefault());
  document.addEventListener("pointerdown", away, true);
  window.addEventListener("blur", close);
  focusables(menu)[0]?.focus({ preventScroll: true });
}

/**
 * @param {Editor} editor
 * @param {HTMLElement} menu
 * @param {readonly Entry[]} entries
 * @param {() => void} close
 * @param {readonly (readonly Entry[])[]} above the menus that led here
 */
function list(editor, menu, entries, close, above) {
  const back = () => list(editor, menu, above[above.length - 1], close, above.slice(0, -1));
  const into = (/** @type {readonly Entry[]} */ inner) => list(editor, menu, inner, close, [...above, entries]);
  menu.replaceChildren();
  if (above.length > 0) menu.append(item({ title: "Back", icon: "left" }, back));
  for (const entry of tidy(editor, entries)) menu.append(drawn(editor, entry, close, into));
  focusables(menu)[0]?.focus({ preventScroll: true });
}

/**
 * Leave out commands that there are not, and lines with nothing between them.
 * @param {Editor} editor
 * @param {readonly Entry[]} entries
 */
function tidy(editor, entries) {
  const known = (/** @type {Entry} */ entry) => !(entry && "command" in entry) || editor.commands.get(entry.command);
  const there = entries.filter(known);
  return there.filter((entry, at) => entry !== null || (at > 0 && at < there.length - 1 && there[at - 1] !== null));
}

/**
 * @param {Editor} editor
 * @param {Entry} entry
 * @param {() => void} close
 * @param {(entries: readonly Entry[]) => void} into
 * @returns {HTMLElement}
 */
function drawn(editor, entry, close, into) {
  if (entry === null) return el("div", { class: "menu-line", role: "separator" });
  if ("heading" in entry) return el("div", { class: "menu-heading", text: entry.heading });
  if ("entries" in entry) {
    const found = item(entry, () => into(entry.entries));
    found.setAttribute("aria-haspopup", "menu");
    found.append(icon("right"));
    return found;
  }
  if ("run" in entry) return item(entry, () => (close(), entry.run()));
  const command = editor.commands.get(entry.command);
  const key = command ? editor.keys.label(command) : "";
  const disabled = command?.when ? !command.when(editor) : false;
  const act = () => (close(), editor.perform(entry.command, entry.detail));
  const found = item({ ...entry, title: entry.title ?? command?.title ?? "", hint: key, disabled }, act);
  found.dataset.command = entry.command;
  return found;
}

/**
 * @param {{title: string, icon?: string, hint?: string, checked?: boolean, disabled?: boolean, swatch?: string}} entry
 * @param {() => unknown} act
 */
function item({ title, icon: drawing, hint, checked, disabled = false, swatch }, act) {
  const role = checked === undefined ? "menuitem" : "menuitemcheckbox";
  const lead = checked ? icon("check") : drawing ? icon(drawing) : el("span", { class: "icon" });
  if (swatch !== undefined) lead.setAttribute("class", "icon swatch");
  if (swatch !== undefined) lead.style.setProperty("--swatch", swatch);
  const click = () => !disabled && act();
  const button = el("button", { class: "menu-item", type: "button", role, tabindex: "-1", on: { click } }, lead,
    el("span", { class: "menu-title", text: title }), hint ? el("kbd", { text: hint }) : null);
  if (checked !== undefined) button.setAttribute("aria-checked", String(checked));
  if (disabled) button.setAttribute("aria-disabled", "true");
  return button;
}

/** @param {HTMLElement} menu @returns {HTMLElement[]} */
function focusables(menu) {
  return [...menu.querySelectorAll("button")];
}

/**
 * @param {HTMLElement} menu
 * @param {KeyboardEvent} event
 * @param {() => void} close
 */
function steer(menu, event, close) {
  const items = focusables(menu);
  const at = items.findIndex((element) => element === document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  event.stopPropagation();
  if (to !== undefined) items.at(to % items.length)?.focus();
  else if (event.key === "Escape" || event.key === "Tab") close();
  else if (event.key === "ArrowRight" && items[at]?.getAttribute("aria-haspopup")) items[at].click();
  else if (/^\p{L}$/u.test(event.key)) first(items, at, event.key)?.focus();
  else return;
  event.preventDefault();
}

/** @param {HTMLElement[]} items @param {number} at @param {string} letter */
function first(items, at, letter) {
  const turned = [...items.slice(at + 1), ...items.slice(0, at + 1)];
  return turned.find((element) => element.textContent?.trim().toLowerCase().startsWith(letter.toLowerCase()));
}

/**
 * Put a box where it is wholly in the window.
 * @param {HTMLElement} element
 * @param {Point | HTMLElement} at
 */
export function place(element, at) {
  const { width, height } = element.getBoundingClientRect();
  const box = at instanceof HTMLElement ? at.getBoundingClientRect() : null;
  const x = box ? (box.left + width > innerWidth - 8 ? box.right - width : box.left) : "x" in at ? at.x : 0;
  const y = box ? box.bottom + 4 : "y" in at ? at.y : 0;
  element.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`;
  element.style.top = `${Math.max(8, Math.min(y, innerHeight - height - 8))}px`;
}

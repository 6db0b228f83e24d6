/** Keys: every command with its keys, to be found, bound anew and given back. A key that several have is told. */

import { chords, shown } from "../../store/keys.js";
import { fuzzy } from "../../store/search.js";
import { el } from "../dom.js";
import { icon } from "../icons.js";
import { openDialog } from "./dialogs.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Command} Command */

/** What is done without a key, by the pointer. */
const POINTER = [
  ["Move the view", "Space and drag, middle button and drag, or two fingers"],
  ["Zoom", "Wheel, or pinch"],
  ["Add a node", "Double-click on the canvas"],
  ["Select several", "Drag over them; to the left also those that are only touched"],
  ["Remove links", "Ctrl and drag with the right button across them"],
  ["Bend a link", "Double-click on it, then drag the bend"],
  ["Copy", "Alt and drag"],
  ["Move all links of an output", "Ctrl and drag it"],
];

/** @param {Editor} editor */
export function openKeyHelp(editor) {
  const help = new KeyHelp(editor);
  const reset = el("button", { class: "button", type: "button", text: "Give all keys back",
    on: { click: () => help.resetAll() } });
  return openDialog({ name: "keys", title: "Keys", size: "tall", body: [help.search, help.list], foot: reset });
}

class KeyHelp {
  /** The command whose key is being typed. @type {string | null} */
  #asking = null;

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.search = el("input", { class: "input", type: "search", placeholder: "Search commands and keys",
      "aria-label": "Search commands and keys", autofocus: true, on: { input: () => this.draw() } });
    this.list = el("div", { class: "key-list" });
    this.list.addEventListener("keydown", (event) => this.#typed(event), true);
    this.draw();
  }

  draw() {
    const { editor } = this;
    const conflicts = editor.keys.conflicts();
    const query = this.search.value.trim();
    const entries = editor.commands.all().map((command) => ({ command, text: command.title,
      more: `${command.group} ${editor.keys.of(command).map((key) => shown(key, editor.keys.mac)).join(" ")}` }));
    const found = query === "" ? entries : fuzzy(query, entries).map(({ entry }) => entry);
    /** @type {Map<string, HTMLElement[]>} */
    const groups = new Map();
    for (const { command } of found) {
      const { group } = command;
      groups.set(group, [...(groups.get(group) ?? []), this.#row(command, conflicts)]);
    }
    const parts = [...groups].map(([group, rows]) => section(group, rows));
    const pointer = POINTER.filter((parts) => parts.join(" ").toLowerCase().includes(query.toLowerCase()))
      .map(([title, how]) => el("li", { class: "key-row" }, el("span", { class: "key-title", text: title }),
        el("span", { class: "dim", text: how })));
    this.list.replaceChildren(...parts, ...(pointer.length > 0 ? [section("With the pointer", pointer)] : []));
  }

  /**
   * @param {Command} command
   * @param {ReadonlyMap<string, readonly string[]>} conflicts
   */
  #row(command, conflicts) {
    const { editor } = this;
    const { id, title } = command;
    const own = editor.keys.chosen().has(id);
    const keys = editor.keys.of(command);
    const tools = el("span", { class: "key-tools" });
    if (own) tools.append(tool("undo", `Give ${title} its own keys back`, () => this.#set(id, null)));
    else if (keys.length > 0) tools.append(tool("close", `No key for ${title}`, () => this.#set(id, [])));
    return el("li", { class: "key-row", data: { key: id } }, el("span", { class: "key-title", text: title }),
      ...this.#conflicts(command, keys, conflicts), this.#button(command, keys), tools);
  }

  /**
   * @param {Command} command
   * @param {readonly string[]} keys
   */
  #button({ id, title }, keys) {
    const texts = keys.map((key) => shown(key, this.editor.keys.mac));
    const button = el("button", { class: "key-button", type: "button", data: { rebind: id },
      "aria-label": `Keys of ${title}: ${texts.join(", ") || "none"}. Change`, on: { click: () => this.#ask(id) } });
    if (this.#asking === id) button.append("Press keys …");
    else if (keys.length === 0) button.append(el("span", { class: "dim", text: "none" }));
    else button.append(...texts.map((text) => el("kbd", { text })));
    return button;
  }

  /**
   * @param {Command} command
   * @param {readonly string[]} keys
   * @param {ReadonlyMap<string, readonly string[]>} conflicts
   */
  #conflicts(command, keys, conflicts) {
    const others = keys.flatMap((key) => conflicts.get(key) ?? []).filter((id) => id !== command.id);
    const chosen = this.editor.keys.chosen();
    if (others.length === 0 || !(chosen.has(command.id) || others.some((id) => chosen.has(id)))) return [];
    const titles = others.map((id) => this.editor.commands.get(id)?.title ?? id).join(", ");
    return [el("span", { class: "key-conflict", data: { conflict: command.id } }, icon("warning"),
      el("span", { text: `also: ${titles}` }))];
  }

  /** @param {string} id */
  #ask(id) {
    this.#asking = id;
    this.draw();
    this.#focus(id);
  }

  /** @param {KeyboardEvent} event */
  #typed(event) {
    const id = this.#asking;
    if (id === null) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") this.#end(id);
    const [chord] = event.key === "Escape" ? [] : chords(event, this.editor.keys.mac);
    if (chord !== undefined) this.#set(id, [chord]);
  }

  /** @param {string} id */
  #end(id) {
    this.#asking = null;
    this.draw();
    this.#focus(id);
  }

  /** @param {string} id */
  #focus(id) {
    const button = this.list.querySelector(`[data-rebind="${CSS.escape(id)}"]`);
    if (button instanceof HTMLElement) button.focus();
  }

  /**
   * Bind keys; null gives the command's own back.
   * @param {string} id
   * @param {string[] | null} keys
   */
  #set(id, keys) {
    const { settings } = this.editor;
    const kept = Object.entries(settings.get("keys")).filter(([other]) => other !== id);
    settings.set("keys", Object.fromEntries(keys === null ? kept : [...kept, [id, keys]]));
    this.editor.keys.refresh();
    this.#end(id);
  }

  resetAll() {
    this.editor.settings.reset("keys");
    this.editor.keys.refresh();
    this.draw();
  }
}

/** @param {string} title @param {readonly HTMLElement[]} rows */
function section(title, rows) {
  return el("section", { class: "key-group" }, el("h3", { text: title }), el("ul", {}, ...rows));
}

/** @param {string} drawing @param {string} label @param {() => void} click */
function tool(drawing, label, click) {
  const props = { class: "icon-button small", type: "button", "aria-label": label, data: { tip: label } };
  return el("button", { ...props, on: { click } }, icon(drawing));
}

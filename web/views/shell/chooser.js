/**
 * A field to type in and a list below that narrows: what palette, command list, find and connecting are made of.
 * It closes by Esc, by a choice, and when something else gets the focus.
 */

import { el } from "../dom.js";
import { place } from "./menu.js";

/** @typedef {import("../../store/types.js").Point} Point */
/** @typedef {import("../dom.js").Child} Child */
/**
 * A row of the list.
 * @typedef {Object} Row
 * @property {string} text
 * @property {string} [hint] at its right
 * @property {string} [key] a chord, as it is shown
 * @property {string} [group] rows of one group in a row stand under its name
 * @property {() => Child} [lead] drawn before the text
 * @property {{readonly [name: string]: string}} [data]
 * @property {boolean} [disabled]
 */
/** @template {Row} T @typedef {{readonly row: T, readonly marks: readonly number[]}} Ranked */
/**
 * @template {Row} T
 * @typedef {Object} ChooserOptions
 * @property {string} name for `data-chooser`
 * @property {string} label
 * @property {string} placeholder
 * @property {(query: string) => readonly Ranked<T>[]} search what is listed, best first
 * @property {(row: T) => unknown} choose
 * @property {(query: string) => string} [empty] said where nothing is found
 * @property {(row: T) => HTMLElement} [aside] told beside the list of the row that is marked
 * @property {(row: T) => void} [mark] is told of the row that is marked, once something was typed or moved
 * @property {Point | null} [screen] where it opens; without it in the middle above
 * @property {string} [query]
 * @property {boolean} [stays] a choice does not close it
 */

const STEP = 60;
const MARGIN = 8;
let last = 0;
/** @type {(() => void) | null} */
let closeOpen = null;

/** Put away the one that is open. */
function closeChooser() {
  closeOpen?.();
}

/**
 * @template {Row} T
 * @param {ChooserOptions<T>} options
 * @returns {Chooser<T>}
 */
export function openChooser(options) {
  closeChooser();
  const chooser = new Chooser(options);
  closeOpen = () => chooser.close();
  return chooser;
}

/** @template {Row} T */
class Chooser {
  /** @type {readonly Ranked<T>[]} */
  #found = [];
  /** @type {HTMLElement[]} */
  #rows = [];
  #at = 0;
  #before = document.activeElement;
  #moved = false;

  /** @param {ChooserOptions<T>} options */
  constructor(options) {
    this.options = options;
    const id = `chooser-${(last += 1)}`;
    this.id = id;
    this.input = el("input", { class: "chooser-input", type: "text", role: "combobox", "aria-expanded": "true",
      "aria-controls": id, "aria-label": options.label, "aria-autocomplete": "list", autocomplete: "off",
      spellcheck: "false", placeholder: options.placeholder, value: options.query ?? "" });
    this.list = el("div", { class: "chooser-list scroll", role: "listbox", id, "aria-label": options.label });
    this.side = el("div", { class: "chooser-aside scroll", hidden: true });
    this.element = el("div", { class: "chooser", role: "dialog", "aria-label": options.label,
      data: { chooser: options.name, ownKeys: "" } }, this.input,
    el("div", { class: "chooser-body" }, this.list, options.aside && this.side));
    this.#listen();
    document.body.append(this.element);
    this.refresh();
    this.#place();
    this.input.focus({ preventScroll: true });
    this.input.select();
  }

  #listen() {
    this.input.addEventListener("input", () => {
      this.#moved = true;
      this.refresh();
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("scroll", () => this.#more());
    this.list.addEventListener("click", (event) => this.#pick(event));
    this.list.addEventListener("pointermove", (event) => this.#hover(event));
    this.element.addEventListener("focusout", (event) => {
      const to = event.relatedTarget;
      if (to instanceof Node && !this.element.contains(to)) this.close(false);
    });
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.onPointer = (/** @type {PointerEvent} */ event) => {
      if (event.target instanceof Node && !this.element.contains(event.target)) this.close(false);
    };
    document.addEventListener("pointerdown", this.onPointer, true);
  }

  /** Search anew, as where what there is has changed. */
  refresh() {
    this.#found = this.options.search(this.input.value.trim());
    this.#rows = [];
    this.list.replaceChildren();
    this.list.scrollTop = 0;
    this.#more();
    if (this.#found.length === 0) {
      const text = this.options.empty?.(this.input.value.trim()) ?? "Nothing is found.";
      this.list.append(el("p", { class: "chooser-empty dim", text }));
    }
    this.#go(0);
  }

  /** Draw as many rows as are seen, and some below. */
  #more() {
    const { list } = this;
    if (this.#rows.length > 0 && list.scrollTop + list.clientHeight < list.scrollHeight - 400) return;
    const parts = document.createDocumentFragment();
    const from = this.#rows.length;
    for (const [offset, { row, marks }] of this.#found.slice(from, from + STEP).entries()) {
      const at = from + offset;
      const before = this.#found[at - 1]?.row.group;
      if (row.group !== undefined && row.group !== before) {
        parts.append(el("div", { class: "chooser-group", role: "presentation", text: row.group }));
      }
      const drawn = drawRow(row, marks, `${this.id}-${at}`, at);
      this.#rows.push(drawn);
      parts.append(drawn);
    }
    list.append(parts);
  }

  /** @param {number} to the row to mark */
  #go(to) {
    this.#rows[this.#at]?.setAttribute("aria-selected", "false");
    const count = this.#found.length;
    this.#at = count === 0 ? 0 : (to + count) % count;
    while (this.#at >= this.#rows.length && this.#rows.length < count) {
      this.list.scrollTop = this.list.scrollHeight;
      this.#more();
    }
    const row = this.#rows[this.#at];
    const found = this.#found[this.#at];
    if (row) this.input.setAttribute("aria-activedescendant", row.id);
    else this.input.removeAttribute("aria-activedescendant");
    row?.setAttribute("aria-selected", "true");
    row?.scrollIntoView({ block: "nearest" });
    this.#tell(found?.row);
  }

  /** @param {T | undefined} row */
  #tell(row) {
    const { aside, mark } = this.options;
    if (aside) {
      this.side.hidden = row === undefined;
      this.side.replaceChildren(...(row === undefined ? [] : [aside(row)]));
    }
    if (row !== undefined && this.#moved) mark?.(row);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    event.stopPropagation();
    if (event.isComposing) return;
    const page = Math.max(1, Math.floor(this.list.clientHeight / 34) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[event.key];
    if (by !== undefined) {
      this.#moved = true;
      this.#go(Math.abs(by) === 1 ? this.#at + by : Math.max(0, Math.min(this.#at + by, this.#found.length - 1)));
    } else if (event.key === "Enter") this.#choose(this.#at);
    else if (event.key === "Escape" || event.key === "Tab") this.close();
    else return;
    event.preventDefault();
  }

  /** @param {Event} event */
  #rowOf(event) {
    const row = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    return row === null ? -1 : this.#rows.findIndex((other) => other === row);
  }

  /** @param {MouseEvent} event */
  #pick(event) {
    const at = this.#rowOf(event);
    if (at >= 0) this.#choose(at);
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    const at = this.#rowOf(event);
    const still = event.movementX === 0 && event.movementY === 0;
    if (at < 0 || at === this.#at || still) return;
    this.#rows[this.#at]?.setAttribute("aria-selected", "false");
    this.#at = at;
    this.#rows[at].setAttribute("aria-selected", "true");
    this.input.setAttribute("aria-activedescendant", this.#rows[at].id);
    this.#tell(this.#found[at].row);
  }

  /** @param {number} at */
  #choose(at) {
    const found = this.#found[at];
    if (found === undefined || found.row.disabled) return;
    if (!this.options.stays) this.close();
    this.options.choose(found.row);
  }

  /** Lay it where it is wholly in the window, however many rows it comes to have. */
  #place() {
    const { element, options } = this;
    if (!options.screen) return element.classList.add("above");
    const height = Math.min(440, innerHeight - 2 * MARGIN);
    element.style.setProperty("--height", `${height}px`);
    place(element, { x: options.screen.x, y: Math.min(options.screen.y, innerHeight - height - MARGIN) });
  }

  /** @param {boolean} [back] whether the focus goes back to where it was */
  close(back = true) {
    if (!this.element.isConnected) return;
    closeOpen = null;
    if (this.onPointer) document.removeEventListener("pointerdown", this.onPointer, true);
    const focused = this.element.contains(document.activeElement);
    this.element.remove();
    if (back && focused && this.#before instanceof HTMLElement) this.#before.focus({ preventScroll: true });
  }
}

/**
 * @param {Row} row
 * @param {readonly number[]} marks places of the letters that were meant
 * @param {string} id
 * @param {number} at
 */
function drawRow(row, marks, id, at) {
  const element = el("div", { class: "chooser-row", role: "option", id, "aria-selected": "false",
    data: { row: at, ...row.data } }, el("span", { class: "chooser-lead" }, row.lead?.()),
  el("span", { class: "chooser-text cut" }, ...marked(row.text, marks)),
  row.hint ? el("span", { class: "chooser-hint cut", text: row.hint }) : null,
  row.key ? el("kbd", { text: row.key }) : null);
  if (row.disabled) element.setAttribute("aria-disabled", "true");
  return element;
}

/**
 * @param {string} text
 * @param {readonly number[]} marks
 * @returns {Child[]}
 */
function marked(text, marks) {
  if (marks.length === 0) return [text];
  const places = new Set(marks);
  /** @type {Child[]} */
  const parts = [];
  let from = 0;
  for (let at = 1; at <= text.length; at += 1) {
    if (at < text.length && places.has(at) === places.has(from)) continue;
    const part = text.slice(from, at);
    parts.push(places.has(from) ? el("b", { text: part }) : part);
    from = at;
  }
  return parts;
}

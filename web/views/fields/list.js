/** The list that opens below a field: choices with a search, worked by pointer or keys. There is one at a time. */

import { fuzzy } from "../../store/search.js";
import { el, fill } from "../dom.js";

/**
 * @typedef {{readonly value: string, readonly title: string, readonly note?: string, readonly picture?: string}} Choice
 */
/**
 * @typedef {Object} ListOptions
 * @property {HTMLElement} anchor gets the keys back
 * @property {HTMLElement} [below] what the list stands below, where that is another element
 * @property {string} label
 * @property {readonly Choice[]} choices
 * @property {string | null} value what is chosen now
 * @property {(value: string) => void} pick
 * @property {() => void} closed called when the list has gone, however
 * @property {string} [query] what is searched at first
 * @property {readonly globalThis.Node[]} [tools] stand below the search
 */

/** Choices that are shown at once; the search finds the others. */
const MOST = 200;
/** From how many choices on there is a search to be seen. */
const SEARCHED = 8;

/** @type {List | null} */
let open = null;
let lists = 0;

/** @param {ListOptions} options */
export function openList(options) {
  open?.close();
  open = new List(options);
  return open;
}

export class List {
  #end = new AbortController();
  /** @type {readonly Choice[]} */
  #found = [];
  #at = -1;

  /** @param {ListOptions} options */
  constructor(options) {
    this.options = options;
    const id = `field-list-${(lists += 1)}`;
    this.list = el("div", { class: "field-options scroll", role: "listbox", id, "aria-label": options.label });
    const many = options.choices.length >= SEARCHED;
    this.search = el("input", {
      class: many || options.query ? "input" : "input unseen",
      type: "text",
      role: "combobox",
      placeholder: "Search",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": `${options.label}: search`,
      "aria-controls": id,
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      value: options.query ?? "",
    });
    this.element = el(
      "div",
      { class: "field-list", popover: "manual", data: { panel: "choices" } },
      this.search,
      ...(options.tools ?? []),
      this.list,
    );
    (options.anchor.closest("dialog") ?? document.body).append(this.element);
    this.element.showPopover();
    this.#listen();
    this.#place();
    this.#filter();
    this.search.focus({ preventScroll: true });
  }

  #listen() {
    const { signal } = this.#end;
    this.search.addEventListener("input", () => this.#filter());
    this.element.addEventListener("keydown", (event) => this.#keyed(event));
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const at = event.target instanceof Element ? event.target.closest("[data-at]") : null;
      if (at instanceof HTMLElement) this.#pick(Number(at.dataset.at));
    });
    addEventListener(
      "pointerdown",
      (event) => {
        if (event.target instanceof globalThis.Node && !this.element.contains(event.target)) this.close();
      },
      { capture: true, signal },
    );
    addEventListener(
      "wheel",
      (event) => {
        if (event.target instanceof globalThis.Node && !this.element.contains(event.target)) this.close();
      },
      { capture: true, passive: true, signal },
    );
    addEventListener("resize", () => this.close(), { signal });
    this.element.addEventListener("focusout", (event) => {
      if (!(event.relatedTarget instanceof globalThis.Node && this.element.contains(event.relatedTarget))) this.close();
    });
  }

  /** Show what the search finds, best first; without a search all, the chosen one in view. */
  #filter() {
    const query = this.search.value.trim();
    const { choices, value } = this.options;
    this.#found = query === "" ? choices : fuzzy(query, this.#entries()).map(({ entry }) => entry.choice);
    this.#at =
      query === ""
        ? Math.max(
            0,
            choices.findIndex((choice) => choice.value === value),
          )
        : 0;
    this.#draw();
  }

  /** @type {{text: string, choice: Choice}[] | null} */
  #searched = null;

  #entries() {
    return (this.#searched ??= this.options.choices.map((choice) => ({ text: choice.title, choice })));
  }

  #draw() {
    const first = this.#at < MOST ? 0 : Math.min(this.#at - MOST / 2, this.#found.length - MOST);
    const shown = this.#found.slice(first, first + MOST);
    const rows = shown.map((choice, place) => this.#option(choice, first + place));
    const hidden = this.#found.length - shown.length;
    fill(
      this.list,
      ...rows,
      hidden > 0 && el("p", { class: "field-more", text: `${hidden} more: type to find them` }),
      shown.length === 0 && el("p", { class: "field-more", text: "Nothing is called that" }),
    );
    this.#mark();
  }

  /** @param {Choice} choice @param {number} at */
  #option(choice, at) {
    const chosen = choice.value === this.options.value;
    return el(
      "div",
      {
        class: "field-option",
        role: "option",
        id: `${this.list.id}-${at}`,
        "aria-selected": String(chosen),
        data: { at, value: choice.value },
        title: choice.title,
      },
      choice.picture && el("img", { src: choice.picture, alt: "", loading: "lazy", width: 32, height: 32 }),
      el("span", { class: "cut", text: choice.title }),
      choice.note && el("span", { class: "field-note", text: choice.note }),
    );
  }

  #mark() {
    this.list.querySelector(".at")?.classList.remove("at");
    const option = this.list.querySelector(`[data-at="${this.#at}"]`);
    option?.classList.add("at");
    option?.scrollIntoView({ block: "nearest" });
    this.search.setAttribute("aria-activedescendant", option ? option.id : "");
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    event.stopPropagation();
    if (event.isComposing) return;
    const step = STEPS.get(event.key);
    if (step !== undefined) this.#go(this.#at + step);
    else if (event.key === "Home" && event.ctrlKey) this.#go(0);
    else if (event.key === "End" && event.ctrlKey) this.#go(this.#found.length - 1);
    else if (event.key === "Enter" && event.target === this.search) this.#pick(this.#at);
    else if (event.key === "Escape") this.close(true);
    else if (event.key === "Tab" && !this.options.tools?.length) return this.#pick(this.#at);
    else return;
    event.preventDefault();
  }

  /** @param {number} at */
  #go(at) {
    if (this.#found.length === 0) return;
    this.#at = Math.max(0, Math.min(this.#found.length - 1, at));
    if (this.list.querySelector(`[data-at="${this.#at}"]`)) this.#mark();
    else this.#draw();
  }

  /** @param {number} at */
  #pick(at) {
    const choice = this.#found[at];
    this.close(true);
    if (choice) this.options.pick(choice.value);
  }

  #place() {
    const anchor = (this.options.below ?? this.options.anchor).getBoundingClientRect();
    const width = Math.max(200, Math.min(420, Math.max(anchor.width, 240), innerWidth - 16));
    const below = innerHeight - anchor.bottom - 12;
    const up = below < 220 && anchor.top > below;
    const { style } = this.element;
    style.width = `${width}px`;
    style.left = `${Math.max(8, Math.min(anchor.left, innerWidth - width - 8))}px`;
    style.top = up ? "auto" : `${anchor.bottom + 4}px`;
    style.bottom = up ? `${innerHeight - anchor.top + 4}px` : "auto";
    style.maxHeight = `${Math.min(360, Math.max(120, up ? anchor.top - 12 : below))}px`;
  }

  /** @param {boolean} [back] whether the field gets the keys again */
  close(back = false) {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    if (open === this) open = null;
    if (back) this.options.anchor.focus({ preventScroll: true });
    this.element.remove();
    this.options.closed();
  }
}

const STEPS = new Map([
  ["ArrowDown", 1],
  ["ArrowUp", -1],
  ["PageDown", 8],
  ["PageUp", -8],
]);

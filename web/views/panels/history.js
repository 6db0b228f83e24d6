/** The gallery of what was made: newest first, as far back as one scrolls; found by words, compared, made again. */

import { ApiError } from "../../api/http.js";
import { el } from "../dom.js";
import { when } from "../format.js";
import { icon } from "../icons.js";
import { thumbnail } from "../media.js";
import { deleteOutputs, outputActions } from "../output_actions.js";
import { openViewer } from "../viewer.js";
import { Pages } from "./history_pages.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../api/wire.js").Output} Output */
/** @typedef {import("./history_pages.js").Filter} Filter */

/** What a drag of a picture out of the gallery carries: its id. */
export const DRAGGED = "application/x-nodegraph-output";
const TYPING = 250;
/** So many pixels before the end is seen, more is asked for. */
const AHEAD = 600;

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const panel = new HistoryPanel(editor);
  host.append(panel.element);
  return panel;
}

class HistoryPanel {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    this.#pages = new Pages(editor.api);
    this.text = el("input", { class: "input", type: "search", placeholder: "Find by name or prompt",
      "aria-label": "Find by name or prompt", on: { input: () => this.#typed() } });
    this.kind = el("select", { class: "select history-kind", "aria-label": "Which pictures",
      on: { change: () => this.#reload() } },
      el("option", { value: "output", text: "Saved" }), el("option", { value: "temp", text: "Previews" }),
      el("option", { value: "", text: "All" }));
    this.compare = el("button", { class: "button small", type: "button", data: { action: "compare" },
      on: { click: () => this.#compare() } }, icon("compare"), "Compare");
    this.remove = el("button", { class: "button small", type: "button", data: { action: "delete-chosen" },
      on: { click: () => this.#delete() } }, icon("trash"), "Delete");
    this.count = el("span", { class: "dim", role: "status" });
    this.chosenBar = el("div", { class: "panel-tools history-chosen", hidden: true }, this.count,
      el("span", { class: "spacer" }), this.compare, this.remove);
    this.grid = el("ul", { class: "history-grid", "aria-label": "Pictures" });
    this.state = el("p", { class: "empty dim", role: "status" });
    this.end = el("div", { class: "history-end", "aria-hidden": "true" });
    this.element = el("div", { class: "history-panel" },
      el("div", { class: "panel-tools" }, this.text, this.kind), this.chosenBar, this.grid, this.state, this.end);
    this.#offs = [editor.on("outputs", () => this.#news()), editor.on("connection", () => this.#news())];
    this.#watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#more(),
      { rootMargin: `${AHEAD}px` });
    this.#watch.observe(this.end);
  }

  #editor;
  #pages;
  #offs;
  #watch;
  #typing = 0;
  #newsTimer = 0;
  /** @type {Output[]} */
  #outputs = [];
  /** @type {Map<string, HTMLElement>} */
  #tiles = new Map();
  /** Ids of the chosen ones, in the order in which they were chosen. @type {Set<string>} */
  #chosen = new Set();
  #loading = false;
  #round = 0;

  destroy() {
    for (const off of this.#offs) off();
    this.#watch.disconnect();
    clearTimeout(this.#typing);
    clearTimeout(this.#newsTimer);
    this.element.remove();
  }

  /** @returns {Filter} */
  get #filter() {
    return { text: this.text.value.trim(), kind: this.kind.value };
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#reload(), TYPING);
  }

  #reload() {
    this.#round += 1;
    this.#loading = false;
    this.#pages.restart();
    this.#outputs = [];
    this.#draw();
    void this.#more();
  }

  /** Something was made or removed: look at the newest ones. */
  #news() {
    clearTimeout(this.#newsTimer);
    this.#newsTimer = setTimeout(() => void this.#refresh(), TYPING);
  }

  async #refresh() {
    const round = this.#round;
    try {
      const newest = await this.#pages.newest(this.#filter);
      if (round !== this.#round) return;
      const known = new Set(newest.map(({ id }) => id));
      const last = newest.at(-1);
      const whole = last === undefined || newest.length < this.#pages.size;
      const older = whole ? [] : this.#outputs.filter(({ id, seq }) => !known.has(id) && seq < last.seq);
      this.#outputs = [...newest, ...older];
      this.#draw();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the banner says that the server is not there
    }
  }

  async #more() {
    if (this.#loading || this.#pages.finished) return this.#draw();
    this.#loading = true;
    const round = this.#round;
    try {
      do {
        const more = await this.#pages.next(this.#filter);
        if (round !== this.#round) return;
        const known = new Set(this.#outputs.map(({ id }) => id));
        this.#outputs = [...this.#outputs, ...more.filter(({ id }) => !known.has(id))];
        this.#draw();
      } while (!this.#pages.finished && this.#endInSight());
    } catch (error) {
      this.#editor.fail("The history could not be read", error);
    } finally {
      if (round === this.#round) this.#loading = false;
      this.#draw();
    }
  }

  #endInSight() {
    const host = this.element.closest(".panel-body") ?? document.documentElement;
    const { bottom } = host.getBoundingClientRect();
    return this.end.checkVisibility() && this.end.getBoundingClientRect().top < bottom + AHEAD;
  }

  #draw() {
    const there = new Map(this.#outputs.map((output) => [output.id, output]));
    for (const [id, tile] of this.#tiles) {
      if (there.has(id)) continue;
      tile.remove();
      this.#tiles.delete(id);
      this.#chosen.delete(id);
    }
    let before = this.grid.firstElementChild;
    for (const output of this.#outputs) {
      const tile = this.#tiles.get(output.id) ?? this.#tile(output);
      this.#tiles.set(output.id, tile);
      if (tile === before) before = tile.nextElementSibling;
      else this.grid.insertBefore(tile, before);
    }
    const none = this.#outputs.length === 0;
    this.state.hidden = !none;
    const words = this.text.value ? "Nothing like it was made."
      : "Nothing was made yet. Run a workflow: the pictures that it saves are kept here.";
    this.state.textContent = this.#loading ? "Reading" : words;
    this.#drawChosen();
  }

  #drawChosen() {
    const count = this.#chosen.size;
    this.chosenBar.hidden = count === 0;
    this.count.textContent = count === 1 ? "1 chosen, one more to compare" : `${count} chosen`;
    this.compare.disabled = count !== 2;
    for (const [id, tile] of this.#tiles) {
      tile.toggleAttribute("data-chosen", this.#chosen.has(id));
      const box = tile.querySelector("input");
      if (box) box.checked = this.#chosen.has(id);
    }
  }

  /** @param {Output} output */
  #tile(output) {
    const choose = el("input", { type: "checkbox", "aria-label": `Choose ${output.name}`,
      on: { change: () => this.#choose(output.id) } });
    const open = (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) this.#choose(output.id);
      else openViewer(this.#editor, { outputs: this.#outputs, at: this.#outputs.indexOf(output) });
    };
    const picture = output.thumbnail === null ? icon("file")
      : el("img", { src: thumbnail(output, 256), alt: "", loading: "lazy", decoding: "async", draggable: "false" });
    const button = el("button", { class: "tile-open", type: "button", draggable: "true", data: { output: output.id },
      "aria-label": `${output.name}, ${when(output.created)}`, title: output.name, on: { click: open } }, picture);
    button.addEventListener("dragstart", ({ dataTransfer }) => {
      dataTransfer?.setData(DRAGGED, output.id);
      dataTransfer?.setData("text/uri-list", new URL(output.url, location.href).href);
    });
    return el("li", { class: "tile", data: { tile: output.id } }, button, el("label", { class: "tile-choose" }, choose),
      el("div", { class: "tile-actions" }, ...outputActions(this.#editor, output, { small: true })));
  }

  /** @param {string} id */
  #choose(id) {
    if (!this.#chosen.delete(id)) this.#chosen.add(id);
    this.#drawChosen();
  }

  /** The older one is on the left. */
  #compare() {
    const [one, other] = this.#outputs.filter(({ id }) => this.#chosen.has(id)).sort((a, b) => a.seq - b.seq);
    if (one && other) openViewer(this.#editor, { compare: [one, other] });
  }

  async #delete() {
    const outputs = this.#outputs.filter(({ id }) => this.#chosen.has(id));
    try {
      await deleteOutputs(this.#editor, outputs);
    } catch (error) {
      this.#editor.fail("Not all could be deleted", error);
    }
  }
}

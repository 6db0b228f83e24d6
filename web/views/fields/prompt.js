/** A text of several lines that shows the weights of a prompt, and about how long it is. */

import { el } from "../dom.js";
import { calls, offerEmbeddings } from "./embeddings.js";
import { TypedControl } from "./text.js";
import { CHUNK, lengthWords, roughTokens, weightRuns } from "./tokens.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */

/** Letters of a text whose weights are tinted; nobody reads those of a longer one. */
const TINTED = 20_000;

export class PromptControl extends TypedControl {
  /** @type {HTMLElement | null} made when there is a weight to be shown */
  #backdrop = null;
  #drawn = "";

  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.count = el("span", { class: "field-count", "aria-hidden": "true" });
    this.input = el("textarea", {
      class: "field-text",
      rows: 3,
      spellcheck: "false",
      "aria-label": host.label,
      "aria-keyshortcuts": "Control+ArrowUp Control+ArrowDown",
    });
    this.frame = el("span", { class: "field-frame" }, this.input);
    this.listen(this.input);
    this.input.addEventListener("input", () => {
      this.#decorate();
      if (calls(this.input.value.slice(0, this.input.selectionEnd))) void offerEmbeddings(this);
    });
    this.input.addEventListener("scroll", () => this.#follow(), { passive: true });
    // A text that is being edited scrolls; over all others the wheel is the canvas's.
    this.input.addEventListener(
      "wheel",
      (event) => {
        const scrolls = this.input.scrollHeight > this.input.clientHeight;
        if (scrolls && !event.ctrlKey && !event.metaKey && document.activeElement === this.input)
          event.stopPropagation();
      },
      { passive: true },
    );
    box.append(this.count, this.frame);
    this.show();
  }

  /** @override */
  get main() {
    return this.input;
  }

  /** @override */
  get tall() {
    return true;
  }

  /** @override */
  show() {
    const text = typeof this.value === "string" ? this.value : "";
    if (this.input.value !== text) this.input.value = text;
    this.#decorate();
  }

  /**
   * Change the text around the selection, as a step of undo of its own.
   * @param {(text: string, start: number, end: number) => {text: string, start: number, end: number}} change
   */
  change(change) {
    const { value, selectionStart, selectionEnd } = this.input;
    const { text, start, end } = change(value, selectionStart, selectionEnd);
    if (text === value) return;
    this.split();
    this.input.value = text;
    this.input.setSelectionRange(start, end);
    this.commit(text);
    this.split();
    this.#decorate();
  }

  /** Say how long the text is, and tint what is weighted. */
  #decorate() {
    const text = this.input.value;
    if (this.#drawn === text && text !== "") return;
    this.#drawn = text;
    if (this.host.prompt) this.#count(text);
    if (this.host.roomy) this.#grow();
    if (!text.includes("(") && this.#backdrop === null) return;
    this.#tint(text);
  }

  /** @param {string} text */
  #count(text) {
    const more = `a model's own count differs a little. ${CHUNK} at a time are read.`;
    this.count.textContent = text.trim() === "" ? "" : lengthWords(text);
    this.count.title = `About ${roughTokens(text)} tokens, counted by words; ${more}`;
  }

  /** @param {string} text */
  #tint(text) {
    if (this.#backdrop === null) {
      this.#backdrop = el("span", { class: "field-backdrop", "aria-hidden": "true" });
      this.frame.prepend(this.#backdrop);
    }
    const parts = weightRuns(text.length > TINTED ? "" : text).map((run) => {
      if (run.weight === 1) return document.createTextNode(run.text);
      const strength = Math.min(1, Math.abs(Math.log2(Math.max(0.05, run.weight)))) * 60 + 14;
      const mark = el("mark", { class: run.weight > 1 ? "heavy" : "light", data: { weight: run.weight.toFixed(2) } });
      mark.textContent = run.text;
      mark.style.setProperty("--strength", `${Math.round(strength)}%`);
      return mark;
    });
    // A last line that is empty takes room in a textarea alone.
    this.#backdrop.replaceChildren(...parts, document.createTextNode("\n"));
    this.#follow();
  }

  #follow() {
    if (this.#backdrop) this.#backdrop.scrollTop = this.input.scrollTop;
  }

  /** In a form the field is as high as its text, within reason; on the canvas the node says how high. */
  #grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(360, Math.max(76, this.input.scrollHeight + 2))}px`;
  }

  /** @override */
  problem() {
    if (this.value === null && this.host.field.optional) return null;
    return typeof this.value === "string" || this.value === undefined ? super.problem() : "Expected a text";
  }
}

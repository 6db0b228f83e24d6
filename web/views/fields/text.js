/** A text of one line. What is typed is the input's at once; a pause or a word begins another step of undo. */

import { el } from "../dom.js";
import { Control } from "./host.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */

/** Typing for so long is one step of undo, if it ends at the end of a word. */
const STEP = 3000;

/** What texts of one line and of several have in common. */
export class TypedControl extends Control {
  /** @type {import("./host.js").Json | undefined} the value when the field got the focus */
  #before;
  /** When the step of undo began that typing is added to; 0 where the next one begins. */
  #began = 0;

  /** @param {HTMLInputElement | HTMLTextAreaElement} input */
  listen(input) {
    input.addEventListener("focus", () => this.#begin());
    input.addEventListener("blur", () => this.split());
    input.addEventListener("input", (event) => this.#typed(input, event instanceof InputEvent ? event : null));
    // Browsers tell of no input after what was composed, as of Japanese, is whole.
    input.addEventListener("compositionend", () => this.#typed(input, null));
    input.addEventListener("keydown", (event) => this.#undo(/** @type {KeyboardEvent} */ (event)));
  }

  /** Read what was typed; undefined where it says nothing. @param {string} text @returns {import("./host.js").Json} */
  read(text) {
    return text;
  }

  #begin() {
    this.#before = this.value;
    this.split();
  }

  /** @param {HTMLInputElement | HTMLTextAreaElement} input @param {InputEvent | null} event */
  #typed(input, event) {
    if (event?.isComposing) return;
    const now = performance.now();
    const whole = event?.inputType !== "insertText" || /\s/.test(event.data ?? "");
    if (whole && now - this.#began > STEP) this.split();
    if (this.#began === 0) this.#began = now;
    this.commit(this.read(input.value), true);
  }

  /** @override */
  split() {
    super.split();
    this.#began = 0;
  }

  /** Undo is the editor's, so that all of it stands in one row. @param {KeyboardEvent} event */
  #undo(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    const { session } = this.host.editor;
    this.split();
    if (key === "y" || event.shiftKey) session.redo();
    else session.undo();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @override */
  revert() {
    if (this.#before === this.value) return false;
    this.split();
    this.commit(this.#before);
    this.show();
    return true;
  }
}

export class TextControl extends TypedControl {
  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.input = el("input", {
      class: "field-input",
      type: "text",
      "aria-label": host.label,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: host.field.optional ? "none" : "",
    });
    const { maxLength } = host.field.schema;
    if (typeof maxLength === "number") this.input.maxLength = maxLength;
    this.listen(this.input);
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.split();
      this.input.select();
    });
    box.append(this.input);
    this.show();
  }

  /** @override */
  get main() {
    return this.input;
  }

  /** @param {string} text @override */
  read(text) {
    return text === "" && this.host.field.optional ? null : text;
  }

  /** @override */
  show() {
    const text = typeof this.value === "string" ? this.value : "";
    if (this.input.value !== text) this.input.value = text;
  }

  /** @override */
  problem() {
    if (this.value === null && this.host.field.optional) return null;
    return typeof this.value === "string" || this.value === undefined ? super.problem() : "Expected a text";
  }
}

/** What a field writes to, and what all controls share. */

import { equal } from "../../store/json.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Field} Field */
/** @typedef {import("../../store/types.js").Json} Json */
/**
 * What a field writes to: an input of a node, or one that a workflow exposes.
 * @typedef {Object} FieldHost
 * @property {Editor} editor
 * @property {Field} field
 * @property {string} name of the input
 * @property {string} label
 * @property {boolean} prompt whether a text is a prompt, of which the length in tokens counts
 * @property {boolean} roomy whether there is room for larger controls, as in a form
 * @property {(value: Json | undefined, merge?: string) => void} commit makes a value the input's; undefined takes it
 *   away. Commits with the same `merge` shortly after one another are one step of undo
 * @property {() => string | null} source the output that is wired to it
 * @property {() => string} seedMode what happens to a seed at a run
 * @property {(mode: string) => void} setSeedMode
 * @property {() => Iterable<string>} bodies the names of subgraphs that may be chosen
 * @property {() => void} leave gives the keys back to where the field is
 */

let sessions = 0;

/** The part of a field that takes a value. Its elements stand in `box`, beside the label. */
export class Control {
  /**
   * @param {FieldHost} host
   * @param {HTMLElement} box
   */
  constructor(host, box) {
    this.host = host;
    this.box = box;
    /** @type {Json | undefined} what is shown: the value, or the default where there is none */
    this.value = host.field.default;
    /** Whether what stands there is being typed and is not the input's yet. */
    this.dirty = false;
    this.disabled = false;
    /** Whoever draws the field is told here that `problem` may say something else now. */
    this.learned = () => {};
    this.#merge = "";
  }

  #merge;

  /** The element that has the focus. @returns {HTMLElement | null} */
  get main() {
    return null;
  }

  /** Whether it takes a row of its own height, below its label. */
  get tall() {
    return false;
  }

  /**
   * Show a value; undefined shows the default.
   * @param {Json | undefined} value
   */
  update(value) {
    const next = value === undefined ? this.host.field.default : value;
    if (equal(next, this.value)) return;
    this.value = next;
    this.dirty = false;
    this.show();
  }

  /** Draw `value`. */
  show() {}

  /**
   * Make a value the input's.
   * @param {Json | undefined} value
   * @param {boolean} [coalesce] whether it belongs to the same step of undo as the last
   */
  commit(value, coalesce = false) {
    this.dirty = false;
    if (!coalesce || this.#merge === "") this.#merge = `field:${(sessions += 1)}`;
    if (equal(value, this.value)) return;
    this.value = value === undefined ? this.host.field.default : value;
    this.host.commit(value, this.#merge);
  }

  /** Let the next commit be a step of undo of its own. */
  split() {
    this.#merge = "";
  }

  /** Give back what was there before it was typed over. @returns {boolean} whether anything was */
  revert() {
    if (!this.dirty) return false;
    this.dirty = false;
    this.show();
    return true;
  }

  /** @param {boolean} disabled */
  disable(disabled) {
    this.disabled = disabled;
    const { main } = this;
    if (main instanceof HTMLInputElement || main instanceof HTMLTextAreaElement || main instanceof HTMLButtonElement) {
      main.disabled = disabled;
    }
  }

  /** Say what is wrong with the value; null where nothing is. @returns {string | null} */
  problem() {
    return this.value === undefined ? "A value is needed here, or a link" : null;
  }

  /** Let go of what outlives the element. */
  destroy() {}
}

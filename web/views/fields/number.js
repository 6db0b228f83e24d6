/** A number: typed, worked out, dragged, or stepped by arrows. A slider is one whose whole width is its range. */

import { el } from "../dom.js";
import { follow } from "./drag.js";
import { Control } from "./host.js";
import {
  atPart,
  numberProblem,
  partOf,
  rangeOf,
  readNumber,
  showNumber,
  stepped,
  turned,
} from "./numbers.js";
import { mark } from "./mark.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */
/** @typedef {import("./numbers.js").Numeric} Numeric */

/** How far the pointer goes for each step. */
const PIXELS = 4;

export class NumberControl extends Control {
  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.range = rangeOf(host.field);
    this.slider = host.field.kind === "slider" && partOf(0, this.range) !== null;
    this.input = el("input", {
      class: "field-input field-digits",
      type: "text",
      inputmode: this.range.min !== null && this.range.min >= 0 ? (this.range.integer ? "numeric" : "decimal") : "text",
      role: "spinbutton",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": host.label,
      "aria-valuemin": this.range.min,
      "aria-valuemax": this.range.max,
    });
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.keyed(event));
    this.input.addEventListener("blur", () => this.settle());
    box.addEventListener("pointerdown", (event) => this.#press(event));
    box.append(this.input);
    if (host.roomy && !this.slider && this.drags) box.append(this.#stepper(-1), this.#stepper(1));
    box.classList.toggle("slides", this.slider);
    this.show();
  }

  /** @override */
  get main() {
    return this.input;
  }

  /** Whether moving the pointer changes it. */
  get drags() {
    return true;
  }

  /** @override */
  show() {
    this.draw(this.value);
    this.input.removeAttribute("aria-invalid");
  }

  /** @param {import("./host.js").Json | undefined} value */
  draw(value) {
    const text = showNumber(value);
    this.input.value = text;
    this.input.classList.toggle("long", text.length > 14);
    this.input.placeholder = this.host.field.optional ? "none" : "needed";
    this.input.setAttribute("aria-valuenow", text);
    if (!this.slider) return;
    const part = partOf(value, this.range) ?? 0;
    this.box.style.setProperty("--part", `${(part * 100).toFixed(2)}%`);
  }

  #typed() {
    this.dirty = true;
    this.input.removeAttribute("aria-invalid");
  }

  /** Take what was typed, brought within the bounds; what is no number stays to be mended. @returns {boolean} */
  settle() {
    if (!this.dirty) return true;
    const text = this.input.value;
    if (text.trim() === "") {
      this.commit(this.host.field.optional ? null : undefined);
      this.show();
      return true;
    }
    const { value, reason } = readNumber(text, this.range);
    if (value === undefined) {
      this.input.setAttribute("aria-invalid", "true");
      this.input.title = reason ?? "";
      this.host.editor.say(reason ?? "");
      return false;
    }
    this.input.title = "";
    this.commit(value);
    this.show();
    return true;
  }

  /** @override */
  revert() {
    const wrong = this.input.getAttribute("aria-invalid") === "true";
    if (!super.revert() && !wrong) return false;
    this.show();
    return true;
  }

  /** @param {KeyboardEvent} event */
  keyed(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter") {
      if (this.settle()) this.input.select();
    } else {
      const count = STEPS.get(event.key);
      if (count === undefined) return;
      const factor = event.shiftKey ? 10 : event.altKey ? 0.1 : 1;
      if (this.settle()) this.step(count * factor, event.repeat);
      this.input.select();
    }
    event.preventDefault();
  }

  /**
   * @param {number} count
   * @param {boolean} [coalesce]
   */
  step(count, coalesce = false) {
    this.commit(stepped(this.#number(), count, this.range), coalesce);
    this.show();
  }

  /** The number shown; where there is none, the one nearest to nothing. @returns {Numeric} */
  #number() {
    if (typeof this.value === "number" || typeof this.value === "bigint") return this.value;
    return this.range.min ?? 0;
  }

  /** @param {1 | -1} side */
  #stepper(side) {
    const name = side > 0 ? "more" : "less";
    const button = el(
      "button",
      {
        class: "field-button",
        type: "button",
        tabindex: -1,
        "aria-label": `${this.host.label}: ${name}`,
        on: {
          click: () => {
            if (this.settle()) this.step(side);
          },
        },
      },
      mark(side > 0 ? "plus" : "minus"),
    );
    return button;
  }

  // The pointer: a click edits, a drag changes.

  /** @param {PointerEvent} event */
  #press(event) {
    const typing = document.activeElement === this.input && event.target === this.input;
    if (event.button !== 0 || this.disabled || typing || !this.drags) return;
    if (event.target instanceof Element && event.target.closest("button")) return;
    if (event.pointerType !== "touch") event.preventDefault();
    if (document.activeElement !== this.input && document.activeElement instanceof HTMLElement) {
      document.activeElement.blur();
    }
    this.#follow(event);
  }

  /** @param {PointerEvent} press */
  #follow(press) {
    const from = this.#number();
    let [found, steps, fine] = [from, 0, false];
    follow(this.box, press, {
      move: (event, by) => {
        fine ||= event.shiftKey;
        steps += (by / PIXELS) * (event.shiftKey ? 0.1 : event.ctrlKey || event.metaKey ? 10 : 1);
        found = this.slider && !fine ? this.#under(event) : turned(from, steps, fine, this.range);
        this.draw(found);
      },
      end: (keep) => {
        if (keep) this.commit(found);
        this.show();
      },
      click: () => this.#edit(),
    });
  }

  /** @param {PointerEvent} event */
  #under(event) {
    const { left, width } = this.box.getBoundingClientRect();
    return atPart((event.clientX - left) / width, this.range);
  }

  #edit() {
    this.input.focus({ preventScroll: true });
    this.input.select();
  }

  /** @override */
  problem() {
    if (this.value === undefined) return super.problem();
    if (this.value === null && this.host.field.optional) return null;
    return numberProblem(this.value, this.range);
  }
}

const STEPS = new Map([
  ["ArrowUp", 1],
  ["ArrowDown", -1],
  ["PageUp", 10],
  ["PageDown", -10],
]);

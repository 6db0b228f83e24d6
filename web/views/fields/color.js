/** A colour as `#rrggbb`: picked, or typed. */

import { el } from "../dom.js";
import { Control } from "./host.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */

const COLOR = /^#[0-9a-f]{6}$/i;

/**
 * Read a colour as people type it: with or without `#`, with three digits or six.
 * @param {string} text
 * @returns {string | null}
 */
function readColor(text) {
  const digits = text.trim().replace(/^#/, "").toLowerCase();
  if (/^[0-9a-f]{3}$/.test(digits)) return `#${[...digits].map((digit) => digit + digit).join("")}`;
  return /^[0-9a-f]{6}$/.test(digits) ? `#${digits}` : null;
}

export class ColorControl extends Control {
  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.input = el("input", {
      class: "field-input field-digits",
      type: "text",
      "aria-label": host.label,
      spellcheck: "false",
      autocomplete: "off",
    });
    this.swatch = el("input", {
      class: "field-swatch",
      type: "color",
      tabindex: host.roomy ? null : -1,
      "aria-label": `${host.label}: pick`,
    });
    this.swatch.addEventListener("input", () => {
      this.input.value = this.swatch.value;
    });
    this.swatch.addEventListener("change", () => {
      this.commit(this.swatch.value);
      this.show();
    });
    this.input.addEventListener("input", () => {
      this.dirty = true;
    });
    this.input.addEventListener("blur", () => this.#settle());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) this.#settle();
    });
    box.append(this.input, this.swatch);
    this.show();
  }

  /** @override */
  get main() {
    return this.input;
  }

  #settle() {
    if (!this.dirty) return;
    const color = readColor(this.input.value);
    if (color === null) {
      this.input.setAttribute("aria-invalid", "true");
      this.input.title = "Type a colour such as #3a7bd5";
      return;
    }
    this.commit(color);
    this.show();
  }

  /** @override */
  show() {
    const text = typeof this.value === "string" ? this.value : "";
    this.input.value = text;
    this.input.title = "";
    this.input.removeAttribute("aria-invalid");
    this.swatch.value = readColor(text) ?? "#000000";
  }

  /** @param {boolean} disabled @override */
  disable(disabled) {
    super.disable(disabled);
    this.swatch.disabled = disabled;
  }

  /** @override */
  problem() {
    if (this.value === undefined || (this.value === null && this.host.field.optional)) return super.problem();
    return typeof this.value === "string" && COLOR.test(this.value) ? null : "Expected a colour such as #3a7bd5";
  }
}

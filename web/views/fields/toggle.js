/** A switch. */

import { el } from "../dom.js";
import { Control } from "./host.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */

export class ToggleControl extends Control {
  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.input = el("input", { class: "field-switch", type: "checkbox", role: "switch", "aria-label": host.label });
    this.input.addEventListener("change", () => this.commit(this.input.checked));
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.input.click();
    });
    // A click anywhere on the row turns it.
    box.addEventListener("click", (event) => {
      if (event.target !== this.input && !this.disabled) this.input.click();
    });
    box.append(this.input);
    this.show();
  }

  /** @override */
  get main() {
    return this.input;
  }

  /** @override */
  show() {
    this.input.checked = this.value === true;
    this.input.indeterminate = typeof this.value !== "boolean";
  }

  /** @override */
  problem() {
    if (this.value === null && this.host.field.optional) return null;
    return typeof this.value === "boolean" || this.value === undefined ? super.problem() : "Expected on or off";
  }
}

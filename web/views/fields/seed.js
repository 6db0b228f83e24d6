/** A seed: a number that can be rolled, and that is kept, drawn anew or counted on from run to run. */

import { el, fill } from "../dom.js";
import { NumberControl } from "./number.js";
import { drawSeed, random, SEED_MODES } from "./seeds.js";
import { mark } from "./mark.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */

/** @type {ReadonlyMap<string, {title: string, draw: () => globalThis.Node | string}>} */
const MODES = new Map([
  ["fixed", { title: "Fixed: the same seed for every run", draw: () => mark("lock") }],
  ["random", { title: "Random: another seed for every run", draw: () => mark("refresh") }],
  ["next", { title: "Counting: one more after every run", draw: () => "+1" }],
]);

export class SeedControl extends NumberControl {
  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    const tabindex = host.roomy ? null : -1;
    this.dice = el(
      "button",
      {
        class: "field-button",
        type: "button",
        tabindex,
        "aria-label": `${host.label}: another one`,
        title: "Roll another seed (Alt+R)",
        data: { action: "roll" },
        on: { click: () => this.roll() },
      },
      mark("dice"),
    );
    this.mode = el("button", {
      class: "field-button seed-mode",
      type: "button",
      tabindex,
      data: { action: "mode" },
      on: { click: () => this.#turn() },
    });
    this.input.setAttribute("aria-keyshortcuts", "Alt+R Alt+L");
    box.append(this.dice, this.mode);
    this.refresh();
  }

  /** @override */
  get drags() {
    return false;
  }

  /** Show what becomes of the seed. */
  refresh() {
    const now = this.host.seedMode();
    const mode = MODES.get(now);
    if (!mode || this.mode.dataset.mode === now) return;
    this.mode.dataset.mode = now;
    this.mode.title = `${mode.title} (Alt+L changes it)`;
    this.mode.setAttribute("aria-label", `${this.host.label}: ${mode.title}`);
    fill(this.mode, mode.draw());
  }

  /** @param {import("./host.js").Json | undefined} value @override */
  update(value) {
    super.update(value);
    this.refresh();
  }

  roll() {
    this.commit(drawSeed(this.host.field, random));
    this.show();
  }

  #turn() {
    const at = SEED_MODES.findIndex((mode) => mode === this.host.seedMode());
    this.host.setSeedMode(SEED_MODES[(at + 1) % SEED_MODES.length] ?? "fixed");
    this.refresh();
  }

  /** @param {KeyboardEvent} event @override */
  keyed(event) {
    const key = event.altKey ? event.code : "";
    if (key === "KeyR") this.roll();
    else if (key === "KeyL") this.#turn();
    else return super.keyed(event);
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {boolean} disabled @override */
  disable(disabled) {
    super.disable(disabled);
    this.dice.disabled = this.mode.disabled = disabled;
  }
}

/** A choice among given values: a button that shows what is chosen, and a list with a search. */

import { equal, stringify } from "../../store/json.js";
import { inReach } from "../../store/scopes.js";
import { el } from "../dom.js";
import { Control } from "./host.js";
import { openList } from "./list.js";
import { mark } from "./mark.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */
/** @typedef {import("./host.js").Json} Json */
/** @typedef {import("./list.js").Choice} Choice */

/** Write a value as it is shown. @param {Json | undefined} value */
export function shown(value) {
  if (value === undefined) return "";
  if (value === null) return "none";
  return typeof value === "string" ? value : stringify(value);
}

export class ComboControl extends Control {
  /** @type {import("./list.js").List | null} */
  #list = null;
  /** What the list that is open offers, whatever is learned meanwhile. @type {readonly Json[]} */
  #offered = [];

  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.label = el("span", { class: "field-chosen cut" });
    this.button = el(
      "button",
      {
        class: "field-combo",
        type: "button",
        role: "combobox",
        "aria-haspopup": "listbox",
        "aria-expanded": "false",
        "aria-label": host.label,
        on: { click: () => this.toggle(), keydown: (event) => this.#keyed(event) },
      },
      this.label,
      mark("down"),
    );
    box.append(this.button);
    this.show();
  }

  /** @override */
  get main() {
    return this.button;
  }

  /** The values that may be chosen. @returns {readonly Json[]} */
  values() {
    const { choices = [], optional } = this.host.field;
    return optional && !choices.includes(null) ? [null, ...choices] : choices;
  }

  /** @returns {readonly Choice[]} */
  choices() {
    return this.values().map((value, at) => ({ value: String(at), title: shown(value) }));
  }

  /** What stands beside the search in the list. @returns {readonly globalThis.Node[]} */
  tools() {
    return [];
  }

  /** @override */
  show() {
    const text = shown(this.value);
    this.label.textContent = text === "" ? (this.value === undefined ? "choose" : "(empty)") : text;
    this.label.classList.toggle("dim", text === "" || this.value === null);
    this.button.setAttribute("aria-valuetext", text);
    this.button.title = text;
  }

  /** @param {string} [query] */
  toggle(query) {
    if (this.#list) return this.#list.close(true);
    this.button.setAttribute("aria-expanded", "true");
    this.#offered = this.values();
    this.#list = openList({
      anchor: this.button,
      below: this.box,
      label: this.host.label,
      choices: this.choices(),
      value: this.chosen(),
      query,
      tools: this.tools(),
      pick: (value) => this.picked(value),
      closed: () => {
        this.#list = null;
        this.button.setAttribute("aria-expanded", "false");
      },
    });
  }

  close() {
    this.#list?.close(true);
  }

  /** Which choice the value is. @returns {string | null} */
  chosen() {
    const at = this.values().findIndex((value) => equal(value, this.value));
    return at < 0 ? null : String(at);
  }

  /** @param {string} choice */
  picked(choice) {
    const value = this.#offered[Number(choice)];
    if (value === undefined) return;
    this.commit(value);
    this.show();
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const opens = event.key === "ArrowDown" || event.key === "ArrowUp";
    const types = event.key.length === 1 && event.key !== " ";
    if (!opens && !types) return;
    event.preventDefault();
    this.toggle(types ? event.key : undefined);
  }

  /** @override */
  problem() {
    if (this.value === undefined) return super.problem();
    if (this.chosen() !== null) return null;
    return `“${shown(this.value)}” is not among the choices`;
  }

  /** @override */
  destroy() {
    this.#list?.close();
  }
}

/** The name of a subgraph that a node runs. */
export class BodyControl extends ComboControl {
  /** @override */
  values() {
    return [...this.host.bodies()];
  }

  /** @override */
  tools() {
    if (this.values().length) return [];
    return [
      el("p", { class: "field-more", text: "There is no subgraph here yet: select nodes and make one of them." }),
    ];
  }

  /** @override */
  problem() {
    if (this.value !== undefined && this.chosen() === null) return `There is no subgraph “${shown(this.value)}” here`;
    return super.problem();
  }
}

/** @param {import("../../store/types.js").Graph} graph @returns {Iterable<string>} */
export const bodiesOf = (graph) => inReach(graph).keys();

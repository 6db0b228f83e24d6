/** The list in which the user chooses what the form has, by which names and in which order. */

import { expose, freeInputName, orderInputs, renameInput, unexpose } from "../../../store/edits.js";
import { isPortName } from "../../../store/names.js";
import { el, fill } from "../../dom.js";
import { words } from "../../format.js";
import { icon } from "../../icons.js";
import { candidates, exposed } from "./exposed.js";

/** @typedef {import("../../../editor.js").Editor} Editor */
/** @typedef {import("./exposed.js").Candidate} Candidate */

export class FormChooser {
  /** @param {Editor} editor @param {() => void} done */
  constructor(editor, done) {
    this.editor = editor;
    this.chosen = el("ol", { class: "form-chosen" });
    this.all = el("div", { class: "form-all" });
    this.element = el(
      "div",
      { class: "form-chooser", data: { panel: "form-fields" } },
      el(
        "div",
        { class: "form-chooser-head" },
        el("h3", { text: "Fields of the form" }),
        el("span", { class: "spacer" }),
        el("button", {
          class: "button primary",
          type: "button",
          text: "Done",
          data: { action: "done" },
          on: { click: done },
        }),
      ),
      this.chosen,
      el("h3", { text: "All fields" }),
      this.all,
    );
  }

  /** What is drawn. @type {readonly unknown[]} */
  #drawn = [];

  update() {
    const { document } = this.editor.session;
    const now = [document.inputs, document.nodes, this.editor.catalogue];
    if (now.every((part, at) => part === this.#drawn[at])) return;
    this.#drawn = now;
    const focused = globalThis.document.activeElement;
    const key = focused instanceof HTMLElement && this.element.contains(focused) ? focused.dataset.key : undefined;
    fill(this.chosen, ...exposed(document, this.editor.catalogue).map(({ name, of }, at) => this.#row(name, of, at)));
    if (document.inputs.size === 0) fill(this.chosen, el("li", { class: "dim", text: "None yet: choose below." }));
    fill(
      this.all,
      ...candidates(document, this.editor.catalogue).map(({ title, candidates: fields }) =>
        el(
          "fieldset",
          { class: "form-node" },
          el("legend", { text: title }),
          ...fields.map((field) => this.#box(field)),
        ),
      ),
    );
    const again =
      key === undefined
        ? null
        : [...this.element.querySelectorAll("[data-key]")].find(
            (one) => one instanceof HTMLElement && one.dataset.key === key,
          );
    if (again instanceof HTMLElement) again.focus({ preventScroll: true });
  }

  /** @param {string} name @param {string} of @param {number} at */
  #row(name, of, at) {
    const input = el("input", {
      class: "input",
      type: "text",
      value: name,
      "aria-label": `Name of ${name}`,
      data: { key: `name ${at}` },
    });
    input.addEventListener("change", () => this.#rename(name, input));
    const move = (/** @type {number} */ by) => () =>
      this.editor.session.applyRoot("Order the form", (document) => {
        const names = [...document.inputs.keys()];
        names.splice(Math.max(0, at + by), 0, ...names.splice(at, 1));
        return orderInputs(document, names);
      });
    const button = (/** @type {string} */ drawing, /** @type {string} */ label, /** @type {() => void} */ click) => {
      const props = { class: "icon-button", type: "button", title: label, data: { key: `${drawing} ${at}` } };
      return el("button", { ...props, "aria-label": label, on: { click } }, icon(drawing));
    };
    return el(
      "li",
      { data: { input: name } },
      input,
      el("span", { class: "dim cut", text: of }),
      button("up", `${name}: further up`, move(-1)),
      button("down", `${name}: further down`, move(1)),
      button("close", `Take ${name} out of the form`, () => this.#take(name)),
    );
  }

  /** @param {string} name */
  #take(name) {
    this.editor.session.applyRoot("Take a field out of the form", (document) => {
      const inputs = new Map(document.inputs);
      inputs.delete(name);
      return { ...document, inputs };
    });
  }

  /** @param {string} name @param {HTMLInputElement} input */
  #rename(name, input) {
    const wanted = input.value.trim().replace(/\s+/g, "_");
    const taken = wanted !== name && this.editor.session.document.inputs.has(wanted);
    if (!isPortName(wanted) || taken) {
      const why = taken ? "is taken" : "cannot be: names begin with a letter and hold letters, digits, - and _";
      this.editor.notify({ text: `The name “${input.value}” ${why}.`, kind: "warn" });
      input.value = name;
      return;
    }
    this.editor.session.applyRoot("Rename a field of the form", (document) => renameInput(document, name, wanted));
  }

  /** @param {Candidate} candidate */
  #box({ place, port, name }) {
    const box = el("input", { type: "checkbox", checked: name !== null, data: { key: place, place } });
    box.addEventListener("change", () =>
      this.editor.session.applyRoot(
        box.checked ? "Put a field into the form" : "Take a field out of the form",
        (document) =>
          box.checked ? expose(document, place, freeInputName(document, port.name)) : unexpose(document, place),
      ),
    );
    return el(
      "label",
      { class: "form-box" },
      box,
      el("span", { text: words(port.name) }),
      name !== null && name !== port.name && el("span", { class: "dim", text: `as ${name}` }),
    );
  }
}

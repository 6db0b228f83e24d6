/** A row of the outline, and the field that is opened in it. */

import { el } from "../dom.js";
import { fieldElement } from "../fields/field.js";
import { icon, portIcon } from "../icons.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("./build.js").Branch} Branch */
/** @typedef {import("../fields/field.js").FieldElement} FieldElement */

const ICONS = { node: "node", frame: "frame", note: "note", link: "link" };
const KIND_WORDS = { node: "node", frame: "frame", note: "note", input: "input", output: "output", link: "link" };

export class OutlineRow {
  /** @type {Branch | null} */
  branch = null;
  /** @type {FieldElement | null} */
  #field = null;
  #key = "";

  /** @param {Editor} editor @param {string} key */
  constructor(editor, key) {
    this.editor = editor;
    this.turn = el("span", { class: "outline-turn", "aria-hidden": "true" });
    /** @type {Element} */
    this.lead = el("span", { "aria-hidden": "true" });
    this.name = el("span", { class: "outline-name cut" });
    this.more = el("span", { class: "outline-more cut" });
    this.mark = el("span", { class: "outline-mark", hidden: true });
    this.line = el("div", { class: "outline-row" }, this.turn, this.lead, this.name, this.more, this.mark);
    this.place = el("div", { class: "outline-field", hidden: true });
    this.group = el("ul", { role: "group" });
    this.element = el("li", { class: "outline-item", role: "treeitem", tabindex: "-1", data: { outline: key } },
      this.line, this.place, this.group);
  }

  /** @param {Branch} branch @param {{depth: number, isOpen: boolean, at: number, count: number}} place */
  update(branch, { depth, isOpen, at, count }) {
    const { element } = this;
    const isChosen = branch.key === branch.item && this.editor.session.selection.has(branch.item);
    element.setAttribute("aria-selected", String(isChosen));
    const key = [branch.label, branch.more, branch.mark, branch.state, depth, isOpen, at, count,
      branch.hasParts].join("\n");
    const before = this.branch;
    this.branch = branch;
    if (before?.port !== branch.port || before?.kind !== branch.kind) this.#drawLead(branch);
    if (this.#field && branch.kind === "input") this.#refreshField(branch);
    if (key === this.#key) return;
    this.#key = key;
    element.style.setProperty("--depth", String(depth));
    element.dataset.label = branch.label;
    element.setAttribute("aria-level", String(depth + 1));
    element.setAttribute("aria-posinset", String(at));
    element.setAttribute("aria-setsize", String(count));
    if (branch.hasParts) element.setAttribute("aria-expanded", String(isOpen));
    else element.removeAttribute("aria-expanded");
    this.turn.replaceChildren(...(branch.hasParts ? [icon("right")] : []));
    this.name.textContent = branch.label;
    this.more.textContent = branch.more;
    const mark = branch.mark ?? branch.state;
    this.mark.textContent = mark ?? "";
    this.mark.hidden = mark === undefined;
    this.mark.dataset.kind = mark ?? "";
    if (branch.mark === "mute" || branch.mark === "bypass") element.dataset.mode = branch.mark;
    else delete element.dataset.mode;
    const words = [branch.label, branch.more, mark, KIND_WORDS[branch.kind]].filter((part) => part);
    element.setAttribute("aria-label", words.join(", "));
  }

  /** @param {Branch} branch */
  #drawLead({ kind, port }) {
    const drawing = port ? portIcon(this.editor.catalogue.look(port.type))
      : icon(kind === "input" || kind === "output" ? "node" : ICONS[kind]);
    this.lead.replaceWith(drawing);
    this.lead = drawing;
  }

  /** Open the field of an input. @param {() => void} done is told when it is left by Esc or Enter */
  edit(done) {
    const branch = this.branch;
    if (!branch?.port?.field) return;
    if (this.#field === null) {
      this.#field = fieldElement(this.editor, branch.node, branch.port.field, branch.port);
      this.place.replaceChildren(this.#field.element);
      this.place.hidden = false;
      this.#refreshField(branch);
      this.place.addEventListener("keydown", (event) => this.#typed(event, done), true);
      this.place.addEventListener("focusout", (event) => {
        if (event.relatedTarget instanceof Node && !this.place.contains(event.relatedTarget)) this.#close();
      });
    }
    const control = this.place.querySelector("input, textarea, select, button, [tabindex='0']");
    if (control instanceof HTMLElement) control.focus();
  }

  /** @param {KeyboardEvent} event @param {() => void} done */
  #typed(event, done) {
    const leaves = event.key === "Escape" || (event.key === "Enter" && event.target instanceof HTMLInputElement
      && !event.isComposing);
    if (!leaves) return;
    // The control takes what was typed in by the same key, then the row has the focus again.
    setTimeout(() => {
      if (document.querySelector(".field-list")) return;
      done();
      this.#close();
    });
  }

  /** @param {Branch} branch */
  #refreshField({ node, name }) {
    this.#field?.update(this.editor.session.graph.nodes.get(node)?.params.get(name));
  }

  #close() {
    const field = this.#field;
    if (field === null) return;
    this.#field = null;
    this.place.hidden = true;
    this.place = replaced(this.place);
    field.destroy();
  }

  destroy() {
    this.#close();
    this.element.remove();
  }
}

/** An empty place in the place of one with listeners. @param {HTMLElement} place */
function replaced(place) {
  const fresh = el("div", { class: "outline-field", hidden: true });
  place.replaceWith(fresh);
  return fresh;
}

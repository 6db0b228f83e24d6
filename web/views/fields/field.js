/** The field of an input: its label, the control that its kind asks for, and what is wrong with it. */

import { liveOf } from "../../api/live.js";
import { setParam } from "../../store/edits.js";
import { nodeOf } from "../../store/runs.js";
import { el, isTyping } from "../dom.js";
import { words } from "../format.js";
import { ColorControl } from "./color.js";
import { bodiesOf, BodyControl, ComboControl } from "./combo.js";
import { CustomControl } from "./custom.js";
import { FileControl } from "./file.js";
import { JsonControl } from "./json.js";
import { NumberControl } from "./number.js";
import { PromptControl } from "./prompt.js";
import { SeedControl } from "./seed.js";
import { seedMode, SEED_MODES, setSeedMode } from "./seeds.js";
import { TextControl } from "./text.js";
import { ToggleControl } from "./toggle.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Field} Field */
/** @typedef {import("../../store/types.js").FieldKind} FieldKind */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").Port} Port */
/** @typedef {import("./host.js").Control} Control */
/** @typedef {import("./host.js").FieldHost} FieldHost */
/** @typedef {{element: HTMLElement, update: (value: Json | undefined) => void, destroy: () => void}} FieldElement */

/** @type {ReadonlyMap<FieldKind, new (host: FieldHost, box: HTMLElement) => Control>} */
const KINDS = new Map(
  /** @type {[FieldKind, new (host: FieldHost, box: HTMLElement) => Control][]} */ ([
    ["integer", NumberControl],
    ["number", NumberControl],
    ["slider", NumberControl],
    ["seed", SeedControl],
    ["text", TextControl],
    ["multiline", PromptControl],
    ["combo", ComboControl],
    ["toggle", ToggleControl],
    ["color", ColorControl],
    ["file", FileControl],
    ["mask", FileControl],
    ["body", BodyControl],
    ["json", JsonControl],
  ]),
);

/** Keys that mean something to a field, and so nothing to what is around it. */
const OWN = new Set([
  "Enter",
  "Escape",
  "Backspace",
  "Delete",
  "Home",
  "End",
  "PageUp",
  "PageDown",
  "ArrowUp",
  "ArrowDown",
  "ArrowLeft",
  "ArrowRight",
]);

/** The fields that are on the page, by their elements. @type {WeakMap<Element, FieldView>} */
const views = new WeakMap();

/** A field with its label. */
export class FieldView {
  /** @param {FieldHost} host */
  constructor(host) {
    this.host = host;
    this.label = el("span", { class: "field-label cut", text: host.label });
    this.box = el("div", { class: "field-box" }, this.label);
    this.control = makeControl(host, this.box);
    this.control.learned = () => this.#mark();
    this.element = el("div", { class: "field", data: { field: host.name, kind: host.field.kind } }, this.box);
    this.element.addEventListener("keydown", (event) => this.#keyed(event));
    const { description } = host.field.schema;
    this.hint = typeof description === "string" ? description : "";
    this.label.title = this.hint ? `${host.label}: ${this.hint}` : host.label;
    views.set(this.element, this);
    this.#fit();
  }

  /** @type {string | null} */
  #told = null;
  /** Says what is wired to it. @type {HTMLElement | null} */
  source = null;

  /** @param {Json | undefined} value */
  update(value) {
    this.control.update(value);
    this.#wire(this.host.source());
    this.#fit();
    this.#mark();
  }

  /** A link counts in place of what was typed, which is kept. @param {string | null} source */
  #wire(source) {
    if (source === (this.source?.textContent ?? null)) return;
    this.source?.remove();
    this.source =
      source === null ? null : el("span", { class: "field-source cut", text: source, title: `Wired to ${source}` });
    if (this.source) this.label.after(this.source);
    this.element.toggleAttribute("data-linked", source !== null);
    this.control.disable(source !== null);
  }

  /** Show what the server, or a run, says is wrong; null where it says nothing. @param {string | null} problem */
  tell(problem) {
    if (problem === this.#told) return;
    this.#told = problem;
    this.#mark();
  }

  #fit() {
    this.element.classList.toggle("tall", this.control.tall && this.source === null);
  }

  #mark() {
    const problem = this.#told ?? (this.source ? null : this.control.problem());
    const state =
      this.#told !== null ? "error" : problem === null ? "" : this.control.value === undefined ? "needed" : "wrong";
    if ((this.element.dataset.state ?? "") === state && this.box.title === (problem ?? "")) return;
    if (state) this.element.dataset.state = state;
    else delete this.element.dataset.state;
    this.box.title = problem ?? "";
    const { main } = this.control;
    if (state === "error" || state === "wrong") main?.setAttribute("aria-description", problem ?? "");
    else main?.removeAttribute("aria-description");
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      this.control.revert();
      this.#mark();
      this.host.leave();
    }
    if (event.key === "Tab" && event.target === this.control.main && this.#goOn(event.shiftKey ? -1 : 1)) {
      event.preventDefault();
    }
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (plain && (OWN.has(event.key) || event.key.length === 1)) event.stopPropagation();
  }

  /**
   * Go to the next field of the node, past the ports between.
   * @param {1 | -1} by
   * @returns {boolean} whether there is one
   */
  #goOn(by) {
    const around = this.element.closest("[data-node]");
    const fields = [...(around?.querySelectorAll(".field") ?? [])].flatMap((one) => views.get(one) ?? []);
    for (let at = fields.indexOf(this) + by; at >= 0 && at < fields.length; at += by) {
      const field = fields[at];
      const main = field?.control.main;
      if (!main || field.source !== null) continue;
      main.focus({ preventScroll: true });
      if (main instanceof HTMLInputElement) main.select();
      return true;
    }
    return false;
  }

  /** Take the value away, so that the default holds. */
  reset() {
    this.control.split();
    this.control.commit(undefined);
    this.control.show();
  }

  destroy() {
    this.control.destroy();
  }
}

/** @param {FieldHost} host @param {HTMLElement} box @returns {Control} */
function makeControl(host, box) {
  const Kind = KINDS.get(host.field.kind) ?? JsonControl;
  if (host.field.element === null) return new Kind(host, box);
  return new CustomControl(host, box, (inner, place) => new Kind(inner, place));
}

/**
 * Find the field that an element is in.
 * @param {Element | null} element
 * @returns {FieldView | null}
 */
export function fieldAt(element) {
  const found = element?.closest(".field");
  return found ? (views.get(found) ?? null) : null;
}

/**
 * Tell whether the texts of a node are prompts: what it gives conditions a model.
 * @param {Editor} editor
 * @param {import("../../store/types.js").Node | undefined} node
 */
export function isPrompt({ catalogue, session }, node) {
  if (!node) return false;
  const { outputs } = catalogue.type(node, session.graph);
  return [...outputs.values()].some(({ type }) => type === "Conditioning");
}

/**
 * Make the field of a node's input.
 * @param {Editor} editor
 * @param {string} id of the node, in the graph that is open
 * @param {Field} field
 * @param {Port} port
 * @returns {FieldElement}
 */
export function fieldElement(editor, id, field, port) {
  const view = new FieldView(nodeHost(editor, id, field, port));
  const path = editor.session.path;
  const ask = () => {
    const [problem] = liveOf(editor).problems.at(editor.session.id, nodeOf(path, id), port.name);
    view.tell(problem?.message ?? null);
  };
  const off = editor.on("problems", ask);
  view.element.addEventListener("contextmenu", (event) => openMenu(editor, event, id, port.name));
  ask();
  return {
    element: view.element,
    update: (value) => view.update(value),
    destroy: () => {
      off();
      view.destroy();
    },
  };
}

/** @param {Editor} editor @param {string} id @param {Field} field @param {Port} port @returns {FieldHost} */
function nodeHost(editor, id, field, port) {
  const node = () => editor.session.graph.nodes.get(id);
  const label = words(port.name);
  return {
    editor,
    field,
    name: port.name,
    label,
    prompt: isPrompt(editor, node()),
    roomy: false,
    commit: (value, merge) =>
      editor.apply(`Change ${label}`, (graph) => setParam(graph, id, port.name, value), merge ? { merge } : undefined),
    source: () => node()?.links.get(port.name) ?? null,
    seedMode: () => seedMode(node(), port.name),
    setSeedMode: (mode) => {
      const known = SEED_MODES.find((one) => one === mode) ?? "fixed";
      editor.apply(`Change what becomes of ${label}`, (graph) => setSeedMode(graph, id, port.name, known));
    },
    bodies: () => bodiesOf(editor.session.graph),
    leave: () => {
      const around = [...document.querySelectorAll("[data-node]")].find(
        (element) => element instanceof HTMLElement && element.dataset.node === id && !element.dataset.port,
      );
      if (around instanceof HTMLElement && around.tabIndex >= -1) around.focus({ preventScroll: true });
      else if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    },
  };
}

/**
 * Open the menu of a field; a text that is being typed keeps the browser's own.
 * @param {Editor} editor @param {MouseEvent} event @param {string} id @param {string} port
 */
function openMenu(editor, event, id, port) {
  if (event.ctrlKey || event.shiftKey || event.metaKey) return;
  if (isTyping(event.target) && event.target === document.activeElement) return;
  event.preventDefault();
  event.stopPropagation();
  editor.perform("menu.context", { kind: "field", id, port, screen: { x: event.clientX, y: event.clientY } });
}

/** Help of the node that is selected: its doc, what it takes and gives; with none selected, the legend of types. */

import { el } from "../dom.js";
import { rangeOf } from "../fields/numbers.js";
import { words } from "../format.js";
import { portIcon } from "../icons.js";
import { stringify } from "../../store/json.js";
import { docElements } from "./types.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Field} Field */
/** @typedef {import("../../store/types.js").NodeType} NodeType */
/** @typedef {import("../../store/types.js").Port} Port */

const LISTED = 12;
const NUMBERS = new Set(["integer", "number", "seed", "slider"]);

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  /** @type {NodeType | null | undefined} */
  let shown;
  const draw = () => {
    const type = typeOf(editor);
    if (type === shown && type !== null) return;
    shown = type;
    host.replaceChildren(type === null ? legend(editor) : typeHelp(editor, type));
  };
  const offs = /** @type {const} */ (["selection", "session", "scope", "document", "catalogue"])
    .map((name) => editor.on(name, draw));
  draw();
  return { destroy: () => offs.forEach((off) => off()) };
}

/** @param {Editor} editor @returns {NodeType | null} */
function typeOf({ catalogue, session, selectedNodes }) {
  const node = session.graph.nodes.get(selectedNodes[0] ?? "");
  return node ? catalogue.type(node, session.graph) : null;
}

/** @param {Editor} editor @param {NodeType} type */
function typeHelp({ catalogue }, type) {
  const facts = [type.category, type.plugin && `from ${type.plugin}`].filter(Boolean).join(" · ");
  const list = (/** @type {string} */ title, /** @type {Iterable<Port>} */ ports) => {
    const items = [...ports].map((port) => portHelp(catalogue, port));
    return items.length > 0 ? [el("h4", { text: title }), el("dl", { class: "port-help" }, ...items)] : [];
  };
  return el("article", { class: "help", data: { help: type.id } }, el("h3", { class: "help-title", text: type.title }),
    el("p", { class: "dim small-text", text: type.id === type.title ? facts : `${type.id} · ${facts}` }),
    type.missing !== null && el("p", { class: "error-text", text: `${type.missing}. What it was given is kept.` }),
    type.deprecated !== null && el("p", { class: "warn-text", text: `Old: ${type.deprecated}` }),
    ...docElements(type.doc),
    ...list("Takes", type.inputs.values()), ...list("Gives", type.outputs.values()),
    type.sink && el("p", { class: "dim", text: "It is run for its own sake: a run starts from nodes like it." }));
}

/**
 * @param {import("../../store/catalogue.js").Catalogue} catalogue
 * @param {Port} port
 */
function portHelp(catalogue, port) {
  const facts = [port.type, port.required ? "required" : "", port.lazy ? "read only when needed" : ""];
  return el("div", { class: "port-entry" }, el("dt", {}, portIcon(catalogue.look(port.type)),
    el("span", { class: "port-name", text: words(port.name) }),
    el("span", { class: "dim small-text", text: facts.filter(Boolean).join(", ") })),
  port.field && el("dd", { class: "dim small-text", text: fieldFacts(port.field) }));
}

/** @param {Field} field */
function fieldFacts(field) {
  const { step, choices } = field;
  const { min, max } = NUMBERS.has(field.kind) ? rangeOf(field) : { min: null, max: null };
  const parts = [];
  if (field.default !== undefined && field.default !== "") parts.push(`default ${text(field.default)}`);
  if (min !== null && max !== null) parts.push(`${min} to ${max}`);
  else if (min !== null) parts.push(`at least ${min}`);
  else if (max !== null) parts.push(`at most ${max}`);
  if (step !== undefined) parts.push(`in steps of ${step}`);
  if (choices) {
    const more = choices.length > LISTED ? ` and ${choices.length - LISTED} more` : "";
    parts.push(`one of ${choices.slice(0, LISTED).map(text).join(", ")}${more}`);
  }
  const { description } = field.schema;
  if (typeof description === "string") parts.push(description);
  return parts.join("; ");
}

/** @param {import("../../store/types.js").Json} value */
function text(value) {
  return typeof value === "string" ? value : stringify(value);
}

/** What the colours and shapes of ports stand for. @param {Editor} editor */
function legend({ catalogue }) {
  const types = new Set();
  for (const type of catalogue.types.values()) {
    const ports = [...type.inputs.values(), ...type.outputs.values()];
    for (const port of ports) if (!/\[|\|/.test(port.type)) types.add(port.type);
  }
  const line = (/** @type {string} */ type) => [portIcon(catalogue.look(type)), el("span", { text: type })];
  const items = [...types].sort().map((type) => el("li", { class: "port-line" }, ...line(type)));
  const list = portIcon({ hue: 0, shape: "circle", list: true });
  return el("article", { class: "help" }, el("p", { text: "Select a node to read what it does." }),
    el("h4", { text: "Types of links" }), el("ul", { class: "type-legend" }, ...items),
    el("p", { class: "aside-by dim" }, list, "A list: wired to a single one, the node runs for each."));
}

/** What is told of a node type: its doc, its inputs and outputs with their types, where it comes from. */

import { el } from "../dom.js";
import { words } from "../format.js";
import { portIcon } from "../icons.js";

/** @typedef {import("../../store/types.js").NodeType} NodeType */
/** @typedef {import("../../store/types.js").Port} Port */
/** @typedef {import("../../store/catalogue.js").Catalogue} Catalogue */

/**
 * Tell of a type in short, for the palette.
 * @param {Catalogue} catalogue
 * @param {NodeType} type
 * @param {string | null} chosen the port that a dropped link goes to
 */
export function typeSummary(catalogue, type, chosen) {
  const inputs = [...type.inputs.values()];
  const wired = inputs.filter((port) => port.wired && (port.field === null || port.name === chosen));
  const typed = inputs.filter((port) => !wired.includes(port));
  const names = typed.map((port) => words(port.name)).join(", ");
  return el("div", { class: "type-summary" }, el("h3", { text: type.title }),
    el("p", { class: "dim small-text", text: [type.category, type.plugin].filter(Boolean).join(" · ") }),
    type.deprecated !== null && el("p", { class: "warn-text", text: `Old: ${type.deprecated}` }),
    ...docElements(type.doc).slice(0, 1),
    ...portList(catalogue, "Takes", wired, chosen),
    ...portList(catalogue, "Gives", [...type.outputs.values()], chosen),
    typed.length > 0 && el("p", { class: "dim", text: `Settings: ${names}` }));
}

/**
 * @param {Catalogue} catalogue
 * @param {string} title
 * @param {readonly Port[]} ports
 * @param {string | null} chosen
 */
function portList(catalogue, title, ports, chosen) {
  if (ports.length === 0) return [];
  const line = (/** @type {Port} */ port) => (port.name === chosen ? "port-line chosen" : "port-line");
  const items = ports.map((port) => el("li", { class: line(port) }, portIcon(catalogue.look(port.type)),
    el("span", { class: "cut", text: words(port.name) }), el("span", { class: "dim cut", text: port.type })));
  return [el("h4", { text: title }), el("ul", {}, ...items)];
}

/**
 * Draw a doc: paragraphs, lists with `-`, and `code`.
 * @param {string} doc
 * @returns {HTMLElement[]}
 */
export function docElements(doc) {
  return doc.split(/\n\s*\n/).map((part) => part.trim()).filter(Boolean).map((part) => {
    const lines = part.split("\n").map((line) => line.trim());
    if (lines[0].startsWith("- ")) {
      return el("ul", { class: "doc-list" }, ...bullets(lines).map((line) => el("li", {}, ...inline(line))));
    }
    return el("p", {}, ...inline(lines.join(" ")));
  });
}

/** @param {readonly string[]} lines @returns {string[]} each bullet with the lines that go on with it */
function bullets(lines) {
  /** @type {string[]} */
  const found = [];
  for (const line of lines) {
    if (line.startsWith("- ")) found.push(line.slice(2));
    else found.push(`${found.pop() ?? ""} ${line}`);
  }
  return found;
}

/** @param {string} text @returns {(string | HTMLElement)[]} */
function inline(text) {
  return text.split(/(`[^`]+`)/).filter(Boolean)
    .map((part) => (part.length > 2 && part.startsWith("`") ? el("code", { text: part.slice(1, -1) }) : part));
}

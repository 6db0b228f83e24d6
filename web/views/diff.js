/**
 * What differs between two workflows, in lists: nodes, values, links, what is exposed; apart from it how they are
 * drawn.
 */

import { diff } from "../store/diff.js";
import { stringify } from "../store/json.js";
import { el, fill } from "./dom.js";
import { goTo } from "./go_to.js";
import { icon } from "./icons.js";
import { openDialog } from "./shell/dialogs.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/diff.js").Change} Change */
/** @typedef {import("../store/diff.js").Diff} Diff */
/** @typedef {import("../store/diff.js").NodeChange} NodeChange */
/** @typedef {import("./shell/dialogs.js").Choice} Choice */
/**
 * @typedef {Object} DiffOptions
 * @property {Graph} before
 * @property {Graph} after
 * @property {readonly [string, string]} titles of the two
 * @property {readonly Choice[]} [choices] what can be done about it
 */

const LONGEST = 2000;

/**
 * Show what differs.
 * @param {Editor} editor
 * @param {DiffOptions} options
 * @returns {Promise<string | null>} what was chosen
 */
export function openDiff(editor, { before, after, titles, choices = [] }) {
  const body = el("div", { class: "diff" });
  const dialog = openDialog({ name: "diff", title: `${titles[0]} → ${titles[1]}`, body, size: "wide",
    choices });
  fill(body, ...diffParts(editor, before, after, () => dialog.close()));
  return dialog.result;
}

/**
 * Draw what differs.
 * @param {Editor} editor
 * @param {Graph} before
 * @param {Graph} after
 * @param {() => void} leave where the user goes to a node
 * @returns {HTMLElement[]}
 */
function diffParts(editor, before, after, leave) {
  const found = diff(before, after);
  const { nodes, inputs, outputs, subgraphs, layout } = found;
  const link = (/** @type {string} */ id) => nodeLink(editor, after, id, leave);
  /** @type {HTMLElement[]} */
  const parts = [summary(found)];
  const add = (/** @type {string} */ name, /** @type {string} */ title, /** @type {HTMLElement[]} */ rows) => {
    if (rows.length > 0) parts.push(part(name, title, rows));
  };
  add("added", "Nodes added", nodes.added.map((id) => row("added", link(id), typeWords(after, id))));
  add("removed", "Nodes removed", nodes.removed.map((id) =>
    row("removed", el("b", { text: id }), typeWords(before, id))));
  add("changed", "Nodes changed", nodes.changed.map((change) => changed(change, link(change.id))));
  add("inputs", "Exposed inputs", inputs.map(changeRow));
  add("outputs", "Exposed outputs", outputs.map(changeRow));
  add("subgraphs", "Subgraphs", [...subgraphs.added.map((name) => row("added", el("b", { text: name }), "")),
    ...subgraphs.removed.map((name) => row("removed", el("b", { text: name }), ""))]);
  if (layout.length > 0) parts.push(layoutPart(layout));
  return parts;
}

/** @param {Diff} found */
function summary({ nodes, same, layout }) {
  const count = (/** @type {number} */ number, /** @type {string} */ words) =>
    (number === 0 ? "" : `${number} ${words}`);
  const told = [count(nodes.added.length, "added"), count(nodes.removed.length, "removed"),
    count(nodes.changed.length, "changed")]
    .filter((text) => text !== "").join(", ");
  const text = same && layout.length === 0 ? "They are the same." : same
    ? "They do the same; only how they are drawn differs."
    : told === "" ? "What they expose differs." : `Nodes: ${told}.`;
  return el("p", { class: "diff-summary", data: { same: String(same) }, text });
}

/** @param {string} name @param {string} title @param {HTMLElement[]} rows */
function part(name, title, rows) {
  return el("section", { class: "diff-part", data: { part: name } }, el("h3", { text: `${title} (${rows.length})` }),
    el("ul", {}, ...rows));
}

/** @param {readonly string[]} layout */
function layoutPart(layout) {
  const list = el("ul", {}, ...layout.map((id) => el("li", { class: "diff-row", text: id })));
  return el("details", { class: "diff-part", data: { part: "layout" } },
    el("summary", { text: `Only drawn otherwise: moved, titled, coloured, framed, noted (${layout.length})` }), list);
}

/**
 * @param {"added" | "removed" | "changed"} kind
 * @param {HTMLElement} head
 * @param {string} text
 * @param {...HTMLElement} more
 */
function row(kind, head, text, ...more) {
  const drawing = { added: "plus", removed: "minus", changed: "edit" }[kind];
  return el("li", { class: "diff-row", data: { change: kind } },
    el("div", { class: "diff-head" }, icon(drawing), el("span", { class: "unseen", text: kind }), head,
      el("span", { class: "dim cut", text })), ...more);
}

/** @param {NodeChange} change @param {HTMLElement} link */
function changed({ id, params, links, type, mode }, link) {
  const all = [...(type ? [type] : []), ...(mode ? [mode] : []), ...params,
    ...links.map((one) => ({ ...one, name: `${one.name} ←` }))];
  const item = row("changed", link, "", el("dl", { class: "diff-values" }, ...all.flatMap(valueParts)));
  item.dataset.diffNode = id;
  return item;
}

/** @param {Change} change */
function changeRow(change) {
  return el("li", { class: "diff-row" }, el("dl", { class: "diff-values" }, ...valueParts(change)));
}

/** @param {Change} change */
function valueParts({ name, before, after }) {
  return [el("dt", { class: "cut", text: name, title: name }),
    el("dd", { data: { value: name } }, valueOf("before", before),
      el("span", { class: "dim", text: "→", "aria-label": "becomes" }), valueOf("after", after))];
}

/** @param {"before" | "after"} when @param {Json | undefined} value */
function valueOf(when, value) {
  if (value === undefined || value === null) return el("i",
    { class: "dim", data: { when }, text: when === "before" ? "not set" : "not set any more" });
  const text = typeof value === "string" ? value : stringify(value);
  return el(when === "before" ? "del" : "ins", { data: { when },
    text: text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text });
}

/** @param {Graph} graph @param {string} id */
function typeWords(graph, id) {
  const parts = id.split("/");
  let at = graph;
  for (const name of parts.slice(0, -1)) at = at.subgraphs.get(name) ?? at;
  const node = at.nodes.get(parts.at(-1) ?? "");
  return node?.type ?? (node?.graph ? `subgraph ${node.graph}` : "");
}

/**
 * Nodes of the open workflow can be gone to.
 * @param {Editor} editor
 * @param {Graph} after
 * @param {string} id
 * @param {() => void} leave
 */
function nodeLink(editor, after, id, leave) {
  if (after !== editor.session.document || id.includes("/")) return el("b", { text: id });
  return el("button", { class: "link-button", type: "button", text: id, data: { goto: id },
    on: { click: () => (leave(), goTo(editor, id)) } });
}

/** Find in the workflow, in its subgraphs too: by a node's id, title, type or values, and in notes and frames. */

import { fuzzy } from "../../store/search.js";
import { stringify } from "../../store/json.js";
import { findGraph, scopeOf } from "../../store/scopes.js";
import { icon } from "../icons.js";
import { openChooser } from "./chooser.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").Item} Item */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").Node} Node */
/** @typedef {import("./chooser.js").Row & {path: readonly string[], item: Item, more: string,
 *   values: readonly string[]}} Entry */

const LONGEST = 200;
/** Things that are looked through; what is in many subgraphs of subgraphs may be without end. */
const MOST = 20_000;

/** @param {Editor} editor */
export function openFind(editor) {
  const entries = entriesOf(editor, editor.session.document);
  const { x, y } = corner(editor);
  return openChooser({
    name: "find",
    label: "Find in this workflow",
    placeholder: "Find by id, title, type or value",
    screen: { x, y },
    search: (query) => search(entries, query),
    choose: (entry) => goTo(editor, entry, true),
    mark: (entry) => goTo(editor, entry, false),
    empty: () => "Nothing of that name or value is in this workflow.",
  });
}

/**
 * A text that stands in a value as it was typed comes first.
 * @param {readonly Entry[]} entries
 * @param {string} query
 */
function search(entries, query) {
  if (query === "") return entries.map((row) => ({ row, marks: [] }));
  return fuzzy(query, entries).map(({ entry, marks }) => ({ row: { ...entry, hint: hintOf(entry, query) }, marks }));
}

/** The value that the query stands in, else where it is. @param {Entry} entry @param {string} query */
function hintOf(entry, query) {
  const [word] = query.toLowerCase().split(/\s+/);
  const value = entry.text.toLowerCase().includes(word) ? undefined
    : entry.values.find((text) => text.toLowerCase().includes(word));
  return value === undefined ? entry.hint : `${value} · ${entry.hint}`;
}

/**
 * @param {Editor} editor
 * @param {Entry} entry
 * @param {boolean} focus whether it gets the focus, or is only shown
 */
function goTo(editor, { path, item }, focus) {
  const { session, canvas } = editor;
  if (session.path.join("/") !== path.join("/")) session.goTo(path, [item]);
  else session.select([item]);
  canvas?.reveal([item]);
  if (focus) canvas?.focus(item.startsWith("node:") ? item.slice("node:".length) : undefined);
}

/**
 * What is in subgraphs comes after what is around them.
 * @param {Editor} editor
 * @param {Graph} document
 * @returns {Entry[]}
 */
function entriesOf(editor, document) {
  /** @type {Entry[]} */
  const found = [];
  /** @type {{graph: Graph, path: readonly string[]}[]} */
  const graphs = [{ graph: document, path: [] }];
  for (const { graph, path } of graphs) {
    if (found.length >= MOST) break;
    for (const [id, node] of graph.nodes) {
      found.push(nodeEntry(editor, graph, path, id, node));
      const inner = node.graph === null ? undefined : findGraph(scopeOf(graph), node.graph)?.graph;
      if (inner) graphs.push({ graph: inner, path: [...path, id] });
    }
    for (const [id, note] of graph.notes) found.push(textEntry(path, `note:${id}`, note.text, "note"));
    for (const [id, frame] of graph.frames) found.push(textEntry(path, `frame:${id}`, frame.title, "frame"));
  }
  return found;
}

/**
 * @param {Editor} editor
 * @param {Graph} graph
 * @param {readonly string[]} path
 * @param {string} id
 * @param {Node} node
 * @returns {Entry}
 */
function nodeEntry({ catalogue }, graph, path, id, node) {
  const type = catalogue.type(node, graph);
  const title = node.view.title ?? type.title;
  const values = [...node.params].map(([name, value]) => `${name}: ${shownValue(value)}`);
  const lead = () => icon(node.graph === null ? "node" : "subgraph");
  const more = [id, type.title, type.id, ...values].join(" ");
  return { path, item: `node:${id}`, text: title, more, lead, values,
    hint: [...path, id].join(" / "), data: { found: [...path, id].join("/") } };
}

/**
 * @param {readonly string[]} path
 * @param {Item} item
 * @param {string} text
 * @param {"note" | "frame"} kind
 * @returns {Entry}
 */
function textEntry(path, item, text, kind) {
  const [first = ""] = text.trim().split("\n", 1);
  return { path, item, text: first || `Empty ${kind}`, more: text.slice(0, LONGEST), lead: () => icon(kind), hint: kind,
    values: [], data: { found: item } };
}

/** @param {Json} value */
function shownValue(value) {
  return (typeof value === "string" ? value : stringify(value)).slice(0, LONGEST);
}

/** At the right above, where it hides little. @param {Editor} editor */
function corner({ canvas }) {
  const box = canvas?.host.getBoundingClientRect();
  return { x: (box?.right ?? innerWidth) - 460, y: (box?.top ?? 44) + 8 };
}

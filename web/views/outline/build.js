/** The tree of a graph: what of it stands under what, and what is told of each. */

import { valueOf } from "../../store/fields.js";
import { readersOf } from "../../store/flow.js";
import { stringify } from "../../store/json.js";
import { join } from "../../store/names.js";
import { nodeOf } from "../../store/runs.js";
import { words } from "../format.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").Item} Item */
/** @typedef {import("../../store/types.js").Node} Node */
/** @typedef {import("../../store/types.js").NodeType} NodeType */
/** @typedef {import("../../store/types.js").Port} Port */
/**
 * A row of the tree. `item` is selected where one comes to it; `end` is what a link leads to from here, `target` the
 * input that it is held by, `source` what an input reads.
 * @typedef {Object} Branch
 * @property {string} key parts with `|`
 * @property {"node" | "frame" | "note" | "input" | "output" | "link"} kind
 * @property {Item} item
 * @property {string} node "" where it is none
 * @property {string} name of the port
 * @property {string} label
 * @property {string} more
 * @property {string} [mark] of a node: its mode
 * @property {string} [state] of a node's run
 * @property {Port | null} port
 * @property {string | null} source
 * @property {string | null} target
 * @property {string | null} end
 * @property {boolean} hasParts
 * @property {() => Branch[]} parts
 */

const LONGEST = 60;
const PLAIN = { port: null, source: null, target: null, end: null, name: "", hasParts: false, parts: () => [] };

/** @param {Editor} editor @returns {Branch[]} */
export function buildTree(editor) {
  const { graph } = editor.session;
  const nodes = [...graph.nodes].map(([id, node]) => nodeBranch(editor, graph, id, node));
  const frames = [...graph.frames].map(([id, frame]) => drawn(`frame:${id}`, "frame", frame.title || "Frame"));
  const notes = [...graph.notes].map(([id, note]) =>
    drawn(`note:${id}`, "note", note.text.slice(0, LONGEST) || "Note"));
  return [...nodes, ...frames, ...notes];
}

/** @param {Item} item @param {"frame" | "note"} kind @param {string} label @returns {Branch} */
function drawn(item, kind, label) {
  return { ...PLAIN, key: item, kind, item, node: "", label, more: kind };
}

/** @param {Editor} editor @param {Graph} graph @param {string} id @param {Node} node @returns {Branch} */
function nodeBranch(editor, graph, id, node) {
  const type = editor.catalogue.type(node, graph);
  const key = `node:${id}`;
  const title = node.view.title ?? type.title;
  const { state } = editor.runs.node(editor.session.job, nodeOf(editor.session.path, id));
  return { ...PLAIN, key, kind: "node", item: `node:${id}`, node: id, label: title, more: type.missing ?? id,
    mark: node.mode ?? (type.missing === null ? undefined : "missing"), state: state === "idle" ? undefined : state,
    hasParts: type.inputs.size + type.outputs.size > 0, parts: () => ports(graph, id, node, type) };
}

/** @param {Graph} graph @param {string} id @param {Node} node @param {NodeType} type @returns {Branch[]} */
function ports(graph, id, node, type) {
  return [...[...type.inputs.values()].map((port) => input(id, node, port)),
    ...[...type.outputs.values()].map((port) => output(graph, id, port))];
}

/** @param {string} id @param {Node} node @param {Port} port @returns {Branch} */
function input(id, node, port) {
  const key = `node:${id}|in:${port.name}`;
  const source = node.links.get(port.name) ?? null;
  const value = port.field ? valueOf(port.field, node.params.get(port.name)) : undefined;
  const more = source !== null ? "wired" : port.field ? shown(value) : port.required ? `needs ${port.type}` : port.type;
  const target = join(id, port.name);
  const link = () => [{ ...PLAIN, key: `${key}|link`, kind: /** @type {const} */ ("link"),
    item: /** @type {Item} */ (`node:${id}`), node: id,
    name: port.name, label: `from ${source}`, more: "", target, end: source, source }];
  return { ...PLAIN, key, kind: "input", item: `node:${id}`, node: id, name: port.name, label: words(port.name), more,
    port, source, target,
    hasParts: source !== null, parts: source === null ? () => [] : link };
}

/** @param {Graph} graph @param {string} id @param {Port} port @returns {Branch} */
function output(graph, id, port) {
  const key = `node:${id}|out:${port.name}`;
  const readers = (readersOf(graph).get(id) ?? []).filter((reader) => reader.output === port.name);
  const link = (/** @type {import("../../store/flow.js").Reader} */ { node, input }) => {
    const target = join(node, input);
    return { ...PLAIN, key: `${key}|${target}`, kind: /** @type {const} */ ("link"),
      item: /** @type {Item} */ (`node:${id}`), node,
      name: input, label: `to ${target}`, more: "", target, end: target };
  };
  const links = () => readers.map(link);
  const more = readers.length === 0 ? port.type : `${port.type}, read by ${readers.length}`;
  return { ...PLAIN, key, kind: "output", item: `node:${id}`, node: id, name: port.name,
    label: `gives ${words(port.name)}`, more, port,
    hasParts: readers.length > 0, parts: links };
}

/** @param {import("../../store/types.js").Json | undefined} value */
function shown(value) {
  if (value === undefined || value === null) return "not set";
  const text = typeof value === "string" ? value : stringify(value);
  return text === "" ? "empty" : text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/**
 * Find what stands for a row that is gone: its port, or its node.
 * @param {string} key
 * @param {ReadonlyMap<string, unknown>} rows
 */
export function nearest(key, rows) {
  for (let at = key.length; at > 0; at = key.lastIndexOf("|", at - 1)) {
    if (rows.has(key.slice(0, at))) return key.slice(0, at);
  }
  return null;
}

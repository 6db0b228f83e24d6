/**
 * Connecting without a pointer: Enter on a port lists all that it can be wired to, the best first, and nodes that could
 * be added for it.
 */

import { candidates } from "../../store/checks.js";
import { connect, disconnect } from "../../store/edits.js";
import { readersOf } from "../../store/flow.js";
import { join, split } from "../../store/names.js";
import { fuzzy } from "../../store/search.js";
import { words } from "../format.js";
import { icon, portIcon } from "../icons.js";
import { openChooser } from "./chooser.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").Port} Port */
/** @typedef {{readonly node: string, readonly port: string}} End `port` is `in:name` or `out:name` */
/** @typedef {import("./chooser.js").Row & {more: string, boost: number, run: () => unknown}} Entry */

/** @param {Editor} editor */
export function mount(editor) {
  const listener = (/** @type {KeyboardEvent} */ event) => {
    const port = event.key === "Enter" && event.target instanceof Element ? event.target.closest("[data-port]") : null;
    const node = port?.closest("[data-node]");
    if (!(port instanceof HTMLElement && node instanceof HTMLElement) || event.target !== port) return;
    event.preventDefault();
    event.stopPropagation();
    editor.perform("connect.open", { node: node.dataset.node, port: port.dataset.port });
  };
  document.addEventListener("keydown", listener, true);
  return { destroy: () => document.removeEventListener("keydown", listener, true) };
}

/** @param {unknown} detail @returns {End | null} */
export function endOf(detail) {
  if (typeof detail !== "object" || detail === null || !("node" in detail && "port" in detail)) return null;
  const { node, port } = detail;
  return typeof node === "string" && typeof port === "string" ? { node, port } : null;
}

/**
 * Open the list for a port, or first the list of the ports of a node.
 * @param {Editor} editor
 * @param {End | null} end
 */
export function openConnect(editor, end) {
  if (end !== null) return choose(editor, title(end), () => targets(editor, end), screenOf(editor, end.node));
  const [id] = editor.selectedNodes;
  if (id === undefined) return editor.notify({ text: "Select the node that a link shall start at or lead to." });
  return choose(editor, `Connect ${id}`, () => ports(editor, id), screenOf(editor, id));
}

/** @param {End} end */
function title({ node, port }) {
  const name = words(port.slice(port.indexOf(":") + 1));
  return port.startsWith("in:") ? `Wire ${name} of ${node} to` : `Wire ${name} of ${node} into`;
}

/**
 * @param {Editor} editor
 * @param {string} label
 * @param {() => readonly Entry[]} list
 * @param {import("../../store/types.js").Point | null} screen
 */
function choose(editor, label, list, screen) {
  const entries = list();
  return openChooser({
    name: "connect",
    label,
    placeholder: label,
    screen,
    search: (query) => fuzzy(query, entries).map(({ entry, marks }) => ({ row: entry, marks })),
    choose: (entry) => entry.run(),
    empty: () => "Nothing here fits. Esc, then add a node.",
  });
}

/** @param {Editor} editor @param {string} id */
function screenOf({ canvas }, id) {
  const box = canvas?.boxOf(`node:${id}`);
  return canvas && box ? canvas.clientOf({ x: box.x + 24, y: box.y + 40 }) : null;
}

/**
 * The ports of a node, each leading to the list of what it fits.
 * @param {Editor} editor
 * @param {string} id
 * @returns {Entry[]}
 */
function ports(editor, id) {
  const { catalogue, session } = editor;
  const node = session.graph.nodes.get(id);
  if (node === undefined) return [];
  const type = catalogue.type(node, session.graph);
  const entry = (/** @type {Port} */ port, /** @type {"in" | "out"} */ side, /** @type {number} */ boost) => ({
    text: words(port.name), more: `${port.type} ${side === "in" ? "input" : "output"}`, boost,
    hint: node.links.get(port.name) ?? port.type, group: side === "in" ? "Inputs" : "Outputs",
    lead: () => portIcon(catalogue.look(port.type)), data: { end: `${side}:${port.name}` },
    run: () => openConnect(editor, { node: id, port: `${side}:${port.name}` }),
  });
  const inputs = [...type.inputs.values()].filter((port) => port.wired);
  return [...[...type.outputs.values()].map((port) => entry(port, "out", 3)),
    ...inputs.map((port) => entry(port, "in", port.field === null && !node.links.has(port.name) ? 2 : 1))]
    .sort((a, b) => b.boost - a.boost).map((found) => ({ ...found, boost: 0 }));
}

/**
 * All that a port can be wired to, links that could be taken away, and a new node.
 * @param {Editor} editor
 * @param {End} end
 * @returns {Entry[]}
 */
function targets(editor, { node, port }) {
  const isInput = port.startsWith("in:");
  const place = join(node, port.slice(port.indexOf(":") + 1));
  const { graph } = editor.session;
  const all = candidates(graph, isInput ? { input: place } : { output: place }, editor.catalogue);
  /** @type {Entry[]} */
  const found = [];
  for (const [other, verdict] of all) {
    if ("fit" in verdict) found.push(targetEntry(editor, place, other, isInput, verdict.fit));
  }
  found.sort((a, b) => b.boost - a.boost);
  const add = { text: "New node …", more: "add", boost: -20, lead: () => icon("plus"), data: { end: "new" },
    run: () => addFor(editor, node, place, isInput) };
  return [...found, ...removals(editor, graph, place, isInput), add];
}

/**
 * @param {Editor} editor
 * @param {string} place
 * @param {string} other `"node.port"`
 * @param {boolean} isInput whether `place` is an input
 * @param {"whole" | "each"} fit
 * @returns {Entry}
 */
function targetEntry(editor, place, other, isInput, fit) {
  const { catalogue, session: { graph } } = editor;
  const [id, name] = split(other);
  const node = graph.nodes.get(id);
  const type = node && catalogue.type(node, graph);
  const port = (isInput ? type?.outputs : type?.inputs)?.get(name);
  const taken = isInput ? graph.nodes.get(split(place)[0])?.links.get(split(place)[1]) === other
    : node?.links.get(name) === place;
  const free = isInput || node?.links.has(name) === false;
  const [from, to] = isInput ? [other, place] : [place, other];
  const run = () => editor.apply("Connect", (now) => connect(now, from, to));
  return { text: `${node?.view.title ?? type?.title ?? id}: ${words(name)}`, more: `${id} ${port?.type ?? ""}`,
    boost: (fit === "whole" ? 2 : 0) + (port?.field ? 0 : 3) + (free ? 2 : 0) - (taken ? 10 : 0), data: { end: other },
    hint: [taken ? "wired" : free ? "" : "replaces", fit === "each" ? "each" : "", id].filter(Boolean).join(" · "),
    lead: () => portIcon(catalogue.look(port?.type ?? "any")), disabled: taken, run };
}

/**
 * @param {Editor} editor
 * @param {Graph} graph
 * @param {string} place
 * @param {boolean} isInput
 * @returns {Entry[]}
 */
function removals(editor, graph, place, isInput) {
  const [id, name] = split(place);
  const source = graph.nodes.get(id)?.links.get(name);
  const links = isInput ? (source === undefined ? [] : [place])
    : (readersOf(graph).get(id) ?? []).filter((reader) => reader.output === name)
      .map((reader) => join(reader.node, reader.input));
  const what = (/** @type {string} */ target) => `Remove the link ${isInput ? `from ${source}` : `to ${target}`}`;
  return links.map((target) => ({ text: what(target), more: "unlink", boost: -30, lead: () => icon("unlink"),
    data: { end: `remove ${target}` }, run: () => editor.apply("Remove link", (now) => disconnect(now, target)) }));
}

/**
 * @param {Editor} editor
 * @param {string} node
 * @param {string} place
 * @param {boolean} isInput
 */
function addFor(editor, node, place, isInput) {
  const box = editor.canvas?.boxOf(`node:${node}`);
  const point = box ? { x: isInput ? box.x - 60 : box.x + box.width + 60, y: box.y + 30 } : undefined;
  const screen = screenOf(editor, node) ?? undefined;
  editor.perform("palette.open", { point, screen, ...(isInput ? { input: place } : { output: place }) });
}

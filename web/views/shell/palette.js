/** The palette: all node types, narrowed by a few letters; for a link that was dropped only those that it fits. */

import { layout } from "../../geometry/boxes.js";
import { grown, overlaps } from "../../geometry/transform.js";
import { bestPort } from "../../store/checks.js";
import { newNode } from "../../store/document.js";
import { addNode, connect, insertOnLink } from "../../store/edits.js";
import { outputType } from "../../store/flow.js";
import { isObject } from "../../store/json.js";
import { join, split } from "../../store/names.js";
import { inReach } from "../../store/scopes.js";
import { fuzzy } from "../../store/search.js";
import { icon, portIcon } from "../icons.js";
import { openChooser } from "./chooser.js";
import { typeSummary } from "./types.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../editor.js").PaletteDetail} PaletteDetail */
/** @typedef {import("../../store/types.js").Box} Box */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").NodeType} NodeType */
/** @typedef {import("../../store/types.js").Point} Point */
/** @typedef {import("../../store/catalogue.js").Catalogue} Catalogue */
/**
 * A type that may be added. `port`: the one that the dropped link goes to.
 * @typedef {import("./chooser.js").Row & {id: string, type: NodeType, more: string, boost: number,
 *   port: string | null, recent: number}} Entry
 */

const MOST_RECENT = 6;
const HEAD = 30;
const BESIDE = 40;
const REMEMBERED = 24;
/** @type {WeakMap<Catalogue, Entry[]>} */
const known = new WeakMap();

/**
 * Open the palette.
 * @param {Editor} editor
 * @param {PaletteDetail} [detail]
 */
export function openPalette(editor, detail = {}) {
  const point = detail.point ?? editor.canvas?.here ?? { x: 0, y: 0 };
  const end = endOf(editor, detail);
  const fits = entriesFor(editor, end);
  const entries = detail.into === undefined ? fits : passing(editor, fits, detail.into);
  const from = end === null ? "" : "source" in end ? ` for ${end.source}` : ` that gives ${end.target}`;
  return openChooser({
    name: "palette",
    label: `Add a node${from}`,
    placeholder: end === null ? "Search nodes" : `Nodes${from}`,
    screen: detail.screen ?? null,
    search: (query) => search(query, entries, end !== null),
    choose: (entry) => add(editor, entry, point, detail),
    empty: () => (end === null ? "No node of that name. Try fewer letters." : "No node fits this link."),
    aside: (entry) => typeSummary(editor.catalogue, entry.type, entry.port),
  });
}

/**
 * What a dropped link gives or takes, as a type's name.
 * @param {Editor} editor
 * @param {PaletteDetail} detail
 * @returns {{source: string} | {target: string} | null}
 */
function endOf({ session, catalogue }, { output, input }) {
  if (output !== undefined) {
    const source = outputType(session.graph, output, catalogue);
    return source === null ? null : { source };
  }
  if (input === undefined) return null;
  const [id, name] = split(input);
  const node = session.graph.nodes.get(id);
  const port = node && catalogue.type(node, session.graph).inputs.get(name);
  return port ? { target: port.type } : null;
}

/**
 * @param {Editor} editor
 * @param {ReturnType<typeof endOf>} end
 * @returns {Entry[]} those that fit, each with how well
 */
function entriesFor(editor, end) {
  const { catalogue, session, settings } = editor;
  const all = [...typeEntries(catalogue), ...subgraphEntries(session.graph, catalogue)];
  const recent = settings.get("recent");
  const found = [];
  for (const entry of all) {
    const best = end === null ? null : bestPort(catalogue, entry.type, end);
    if (end !== null && best === null) continue;
    const used = Object.hasOwn(recent, entry.id) ? Number(recent[entry.id]) : 0;
    entry.port = best?.name ?? null;
    entry.recent = used;
    entry.boost = (best?.score ?? 0) + (used > 0 ? 1.5 : 0) - (entry.type.deprecated === null ? 0 : 30);
    found.push(entry);
  }
  return end === null ? found : found.sort((a, b) => b.boost - a.boost);
}

/**
 * Those that also give what the link leads to.
 * @param {Editor} editor
 * @param {readonly Entry[]} entries
 * @param {string} input
 */
function passing(editor, entries, input) {
  const end = endOf(editor, { input });
  return end === null ? [] : entries.filter((entry) => bestPort(editor.catalogue, entry.type, end) !== null);
}

/** @param {Catalogue} catalogue @returns {Entry[]} */
function typeEntries(catalogue) {
  const entries = known.get(catalogue) ?? makeEntries(catalogue);
  known.set(catalogue, entries);
  return entries;
}

/** @param {Catalogue} catalogue */
function makeEntries(catalogue) {
  /** @type {Map<string, string[]>} */
  const older = new Map();
  for (const [name, id] of catalogue.aliases) older.set(id, [...(older.get(id) ?? []), name]);
  const entries = [...catalogue.types.values()].map((type) => entryOf(type, catalogue, older.get(type.id) ?? []));
  return entries.sort((a, b) => compare(rank(a), rank(b)) || compare(a.text, b.text));
}

/** What is for few comes last. @param {Entry} entry */
function rank({ type }) {
  return `${type.deprecated === null ? 0 : 1}${/^advanced\b/i.test(type.category) ? 1 : 0} ${type.category}`;
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

/**
 * @param {NodeType} type
 * @param {Catalogue} catalogue
 * @param {readonly string[]} names older ones
 * @returns {Entry}
 */
function entryOf(type, catalogue, names) {
  const [first] = type.outputs.values();
  const lead = () => (first ? portIcon(catalogue.look(first.type)) : icon("download"));
  const told = type.doc.split("\n", 1)[0];
  const more = [type.id === type.title ? "" : type.id, type.category, ...names, told].join(" ");
  return { id: type.id, type, text: type.title, more, hint: type.category, lead, boost: 0, port: null, recent: 0,
    data: { type: type.id } };
}

/**
 * Subgraphs of the file, but for those that the open one is part of.
 * @param {Graph} graph
 * @param {Catalogue} catalogue
 * @returns {Entry[]}
 */
function subgraphEntries(graph, catalogue) {
  const found = [];
  for (const [name, subgraph] of inReach(graph)) {
    if (holds(subgraph, graph)) continue;
    const type = catalogue.type(newNode(`graph:${name}`, { x: 0, y: 0 }), graph);
    if (type.missing !== null) continue;
    const lead = () => icon("subgraph");
    found.push({ ...entryOf(type, catalogue, []), id: `graph:${name}`, hint: "subgraph of this file", lead,
      data: { type: `graph:${name}` } });
  }
  return found;
}

/** Tell whether a graph is another or has it inside. @param {Graph} outer @param {Graph} graph @returns {boolean} */
function holds(outer, graph) {
  return outer === graph || [...outer.subgraphs.values()].some((inner) => holds(inner, graph));
}

/**
 * @param {string} query
 * @param {Entry[]} entries
 * @param {boolean} linked whether they are in the order of how well they fit
 */
function search(query, entries, linked) {
  if (query !== "") {
    return fuzzy(query, entries).map(({ entry, marks }) => ({ row: { ...entry, group: undefined }, marks }));
  }
  if (linked) return entries.map((row) => ({ row, marks: [] }));
  const recent = entries.filter((entry) => entry.recent > 0).sort((a, b) => b.recent - a.recent).slice(0, MOST_RECENT);
  const listed = [...recent.map((entry) => ({ ...entry, group: "Recent" })),
    ...entries.map((entry) => ({ ...entry, group: entry.hint || "Other", hint: "" }))];
  return listed.map((row) => ({ row, marks: [] }));
}

/**
 * Add what was chosen, wired where a link was dropped.
 * @param {Editor} editor
 * @param {Entry} entry
 * @param {Point} point
 * @param {PaletteDetail} detail
 */
function add(editor, entry, point, detail) {
  const { catalogue, session } = editor;
  const box = boxFor(editor, entry, point, detail);
  const pointed = detail.point !== undefined || editor.canvas?.pointer.over === true;
  const at = pointed ? apart(session.graph, box) : freePlace(editor, box);
  const made = addNode(session.graph, entry.id, at, catalogue);
  const port = entry.port === null ? null : join(made.id, entry.port);
  let graph = made.graph;
  if (detail.into !== undefined) graph = insertOnLink(graph, made.id, detail.into, catalogue);
  else if (port !== null && detail.output !== undefined) graph = connect(graph, detail.output, port);
  if (port !== null && detail.input !== undefined) graph = connect(graph, port, detail.input);
  editor.apply(`Add ${entry.text}`, () => graph, { select: [`node:${made.id}`] });
  remember(editor, entry.id);
  editor.say(`${entry.text} added`);
  if (!pointed) editor.canvas?.reveal([`node:${made.id}`]);
  editor.canvas?.focus(made.id);
  detail.added?.(made.id);
}

/**
 * The dropped link's end is where the port comes to be; else the node's head is at the point.
 * @param {Editor} editor
 * @param {Entry} entry
 * @param {Point} point
 * @param {PaletteDetail} detail
 * @returns {Box}
 */
function boxFor({ session, catalogue }, entry, point, detail) {
  const node = newNode(entry.id, { x: 0, y: 0 });
  const laid = layout(node, catalogue.type(node, session.graph));
  const ports = detail.output !== undefined ? laid.inputs : detail.input !== undefined ? laid.outputs : null;
  const port = entry.port === null ? undefined : ports?.get(entry.port);
  const { width, height } = laid;
  const [left, top] = port ? [port.x, port.y] : [width / 2, HEAD / 2];
  return { x: Math.round(point.x - left), y: Math.round(point.y - top), width, height };
}

/** Two nodes do not come to lie on one another exactly. @param {Graph} graph @param {Point} point @returns {Point} */
function apart(graph, { x, y }) {
  const taken = [...graph.nodes.values()].some(({ view }) => Math.abs(view.x - x) + Math.abs(view.y - y) < 16);
  return taken ? apart(graph, { x: x + 24, y: y + 24 }) : { x, y };
}

/**
 * Where nobody points at a place, a node comes to lie beside those that are there.
 * @param {Editor} editor
 * @param {Box} wanted
 * @returns {Point}
 */
function freePlace({ canvas }, wanted) {
  const others = [...(canvas?.scene.nodes.values() ?? [])].filter(({ hidden }) => hidden === null);
  let box = wanted;
  for (;;) {
    const taken = others.find((other) => overlaps(grown(box, BESIDE / 2), other.box));
    if (taken === undefined) return { x: box.x, y: box.y };
    box = { ...box, x: Math.ceil(taken.box.x + taken.box.width + BESIDE) };
  }
}

/** Types that were added lately, the last with the highest number. @param {Editor} editor @param {string} id */
function remember({ settings }, id) {
  const before = settings.get("recent");
  const kept = Object.entries(isObject(before) ? before : {}).filter(([other]) => other !== id)
    .sort(([, a], [, b]) => Number(b) - Number(a)).slice(0, REMEMBERED - 1);
  const most = kept.reduce((high, [, value]) => Math.max(high, Number(value)), 0);
  settings.set("recent", Object.fromEntries([[id, most + 1], ...kept]));
}

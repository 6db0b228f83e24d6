/** Commands that change the graph: what is selected, where it lies, how it is wired and run. */

import { around } from "../geometry/transform.js";
import * as edits from "../store/edits.js";
import { idsOf, parseItem, split } from "../store/names.js";
import { makeSubgraph, unpack } from "../store/subgraphs.js";
import { COLORS } from "../store/types.js";
import { layoutCommands } from "./layout.js";
import { inGroup, some, someNodes } from "./make.js";

/** @import {Editor} from "../editor.js" */
/** @import {Command, Graph, Item, Point} from "../store/types.js" */
/** @import {Hit} from "../views/canvas/hit.js" */

/** @typedef {{client: Point, hit: Hit}} OpenDetail what was double-clicked, and where in the window */

/** @returns {Command[]} */
export function graphCommands() {
  return [
    ...selectCommands(),
    ...removeCommands(),
    ...layoutCommands(),
    ...groupCommands(),
    ...modeCommands(),
    ...lookCommands(),
  ];
}

/** @returns {Command[]} */
function selectCommands() {
  const make = inGroup("Select");
  const enter = inGroup("Subgraphs");
  const inside = (/** @type {Editor} */ editor) => editor.session.path.length > 0 && !some(editor);
  return [
    make("graph.selectAll", "Select all", ["Mod+A"], selectAll),
    make("graph.selectNone", "Select nothing", ["Escape"], (editor) => editor.session.select([]), some),
    enter("graph.leave", "Go out of the subgraph", ["Escape"], (editor) => editor.session.leave(), inside),
    enter("graph.open", "Go into the subgraph", ["Enter"], open, canOpen),
  ];
}

/** @param {Editor} editor */
function selectAll(editor) {
  const { graph } = editor.session;
  /** @type {Item[]} */
  const items = [];
  for (const id of graph.nodes.keys()) items.push(`node:${id}`);
  for (const id of graph.frames.keys()) items.push(`frame:${id}`);
  for (const id of graph.notes.keys()) items.push(`note:${id}`);
  editor.session.select(items);
}

/** @param {Editor} editor */
function canOpen(editor) {
  return editor.canvas !== null;
}

/**
 * Open what was double-clicked: an instance is gone into, a title is typed, a link gets a bend, and space asks for a
 * node. Without a place it is what is selected.
 * @param {Editor} editor @param {unknown} [detail]
 */
function open(editor, detail) {
  const asked = /** @type {OpenDetail | undefined} */ (detail);
  if (asked === undefined) return openSelected(editor);
  const { hit, client } = asked;
  if (hit.kind === "canvas")
    return editor.perform("palette.open", { point: editor.canvas?.pointOf(client), screen: client });
  if (hit.kind === "wire") return bend(editor, hit);
  if (hit.kind === "bend") return straighten(editor, hit);
  if (hit.kind === "frame" || hit.kind === "note") return editor.canvas?.rename(`${hit.kind}:${hit.id}`);
  if (hit.kind !== "node") return undefined;
  const isInstance = editor.session.graph.nodes.get(hit.id)?.graph != null;
  if (isInstance && hit.part !== "header") return editor.session.enter(hit.id);
  return hit.part === "header" ? editor.canvas?.rename(`node:${hit.id}`) : undefined;
}

/** @param {Editor} editor */
function openSelected(editor) {
  const [id] = editor.selectedNodes;
  if (id === undefined || editor.session.graph.nodes.get(id)?.graph == null) return;
  editor.session.enter(id);
  editor.canvas?.focus(); // what had the focus is not shown any more
}

/** @param {Editor} editor @param {{key: string, piece: number, point: Point}} hit */
function bend(editor, { key, piece, point }) {
  const at = { x: Math.round(point.x), y: Math.round(point.y) };
  const edit = (/** @type {Graph} */ graph) =>
    edits.setRoute(graph, key, (graph.routes.get(key) ?? []).toSpliced(piece, 0, at));
  editor.apply("Bend link", edit, { select: [`route:${key}:${piece}`] });
}

/** @param {Editor} editor @param {{key: string, index: number}} hit */
function straighten(editor, { key, index }) {
  editor.apply("Remove bend", (graph) => edits.setRoute(graph, key, (graph.routes.get(key) ?? []).toSpliced(index, 1)));
}

/** @returns {Command[]} */
function removeCommands() {
  const remove = (/** @type {boolean} */ dissolve) => (/** @type {Editor} */ editor) => {
    const { selection } = editor.session;
    const { catalogue } = editor;
    const label = dissolve ? "Dissolve" : "Delete";
    editor.apply(label, (graph) => edits.remove(graph, selection, { dissolve, catalogue }), { select: [] });
  };
  const make = inGroup("Edit");
  const several = (/** @type {Editor} */ editor) => editor.selectedNodes.length > 1;
  const again = (/** @type {boolean} */ keepInputs) => (/** @type {Editor} */ editor) => duplicate(editor, keepInputs);
  return [
    make("graph.delete", "Delete", ["Delete", "Backspace"], remove(false), some),
    make("graph.dissolve", "Delete and wire through", ["Alt+Delete", "Alt+Backspace"], remove(true), someNodes),
    make("graph.duplicate", "Duplicate", ["Mod+D"], again(false), some),
    make("graph.duplicateWired", "Duplicate with incoming links", ["Mod+Shift+D"], again(true), some),
    make("graph.connect", "Connect the selected nodes", ["F"], autoConnect, several),
    make("graph.disconnect", "Remove all links of the selected nodes", [], disconnect, someNodes),
    make("graph.removeLink", "Remove the link", [], removeLink),
  ];
}

/** @param {Editor} editor @param {boolean} keepInputs */
function duplicate(editor, keepInputs) {
  const { session } = editor;
  const made = edits.duplicate(session.graph, session.selection, { keepInputs });
  session.apply("Duplicate", () => made.graph, { select: made.items });
}

/** @param {Editor} editor */
function autoConnect(editor) {
  const ids = editor.selectedNodes;
  const before = editor.session.graph;
  editor.apply("Connect", (graph) => edits.autoConnect(graph, ids, editor.catalogue));
  if (editor.session.graph === before) {
    editor.notify({
      text: "No two ports of the selected nodes fit only each other. Drag a link between them instead.",
      kind: "info",
    });
  }
}

/** @param {Editor} editor */
function disconnect(editor) {
  const ids = new Set(editor.selectedNodes);
  editor.apply("Remove links", (graph) => {
    const targets = [];
    for (const [id, node] of graph.nodes) {
      for (const [input, source] of node.links)
        if (ids.has(id) || ids.has(split(source)[0])) targets.push(`${id}.${input}`);
    }
    return edits.disconnectAll(graph, targets);
  });
}

/** @param {Editor} editor @param {unknown} target `"node.input"` that the link leads to */
function removeLink(editor, target) {
  if (typeof target === "string") editor.apply("Remove link", (graph) => edits.disconnect(graph, target));
}

/** @returns {Command[]} */
function groupCommands() {
  const [make, edit] = [inGroup("Subgraphs"), inGroup("Edit")];
  return [
    edit("graph.frame", "Put a frame around", ["Mod+G"], frame),
    edit("graph.note", "Add a note", ["Shift+N"], note),
    make("graph.subgraph", "Make a subgraph of the selection", ["Mod+Shift+E"], subgraph, someNodes),
    make("graph.unpack", "Unpack the subgraph", ["Mod+Shift+U"], unpackAll, someInstances),
  ];
}

/** @param {Editor} editor */
function frame(editor) {
  const { canvas, session } = editor;
  if (!canvas) return;
  const boxes = [...session.selection].map((item) => canvas.boxOf(item)).filter((box) => box !== null);
  const { x, y } = canvas.here;
  const box = boxes.length ? edits.frameAround(boxes) : { x, y, width: 400, height: 300 };
  const made = edits.addFrame(session.graph, { title: "Frame", ...rounded(box) });
  session.apply("Add frame", () => made.graph, { select: [`frame:${made.id}`] });
  canvas.rename(`frame:${made.id}`);
}

/** @param {Editor} editor @param {unknown} [detail] */
function note(editor, detail) {
  const { canvas, session } = editor;
  if (!canvas) return;
  const { x, y } = /** @type {{point?: Point} | undefined} */ (detail)?.point ?? canvas.here;
  const made = edits.addNote(session.graph, { text: "", ...rounded({ x, y, width: 260, height: 120 }) });
  session.apply("Add note", () => made.graph, { select: [`note:${made.id}`] });
  canvas.rename(`note:${made.id}`);
}

/** @param {{x: number, y: number, width: number, height: number}} box */
function rounded({ x, y, width, height }) {
  return { x: Math.round(x), y: Math.round(y), width: Math.round(width), height: Math.round(height) };
}

/** @param {Editor} editor */
function subgraph(editor) {
  const { session } = editor;
  const made = makeSubgraph(session.graph, editor.selectedNodes, "subgraph");
  if ("reason" in made) editor.notify({ text: made.reason, kind: "warn" });
  else session.apply("Make subgraph", () => made.graph, { select: [`node:${made.id}`] });
}

/** @param {Editor} editor */
function someInstances(editor) {
  return editor.selectedNodes.some((id) => editor.session.graph.nodes.get(id)?.graph != null);
}

/** One after another, as one step: what is unpacked knows its subgraphs by where it lies. @param {Editor} editor */
function unpackAll(editor) {
  const { session } = editor;
  /** @type {Set<Item>} */
  const items = new Set();
  session.settle();
  for (const id of editor.selectedNodes) {
    const made = unpack(session.graph, id);
    if (!made) continue;
    for (const item of made.items) items.add(item);
    session.apply("Unpack", () => made.graph, { select: items, merge: "unpack" });
  }
  session.settle();
}

/** @returns {Command[]} */
function modeCommands() {
  const group = "Run";
  const mode = (/** @type {"mute" | "bypass"} */ wanted) => (/** @type {Editor} */ editor) => {
    const ids = withFramed(editor);
    const all = ids.every((id) => editor.session.graph.nodes.get(id)?.mode === wanted);
    editor.apply(all ? "Run again" : wanted === "mute" ? "Mute" : "Bypass", (graph) =>
      edits.setMode(graph, ids, all ? null : wanted),
    );
  };
  const any = (/** @type {Editor} */ editor) => withFramed(editor).length > 0;
  return [
    { id: "graph.mute", title: "Mute, or let run", group, keys: ["Mod+M"], when: any, run: mode("mute") },
    { id: "graph.bypass", title: "Bypass, or let run", group, keys: ["Mod+B"], when: any, run: mode("bypass") },
  ];
}

/** The selected nodes and those in selected frames. @param {Editor} editor @returns {string[]} */
function withFramed(editor) {
  const { graph, selection } = editor.session;
  const ids = new Set(editor.selectedNodes);
  for (const id of idsOf(selection, "frame"))
    for (const inner of idsOf(edits.inFrame(graph, id), "node")) ids.add(inner);
  return [...ids];
}

/** @returns {Command[]} */
function lookCommands() {
  const make = inGroup("Look");
  const paint = (/** @type {string | undefined} */ color) => (/** @type {Editor} */ editor) => setColor(editor, color);
  return [
    make("graph.collapse", "Collapse, or open", ["Alt+C"], collapse, some),
    make("graph.pin", "Pin, or let go", ["P"], pin, someNodes),
    make("graph.rename", "Rename", ["F2"], rename, some),
    ...COLORS.map((color) => make(`graph.color.${color}`, `Colour: ${color}`, [], paint(color), some)),
    make("graph.color.none", "Colour: none", [], paint(undefined), some),
  ];
}

/** @param {Editor} editor */
function collapse(editor) {
  const { graph, selection } = editor.session;
  const frames = [...idsOf(selection, "frame")];
  const nodes = editor.selectedNodes;
  const isOpen =
    nodes.some((id) => !graph.nodes.get(id)?.view.collapsed) || frames.some((id) => !graph.frames.get(id)?.collapsed);
  editor.apply(isOpen ? "Collapse" : "Open", (now) => {
    const next = edits.setView(now, nodes, { collapsed: isOpen || undefined });
    return frames.reduce((at, id) => edits.setFrame(at, id, { collapsed: isOpen }), next);
  });
}

/** @param {Editor} editor */
function pin(editor) {
  const nodes = editor.selectedNodes;
  const free = nodes.some((id) => !editor.session.graph.nodes.get(id)?.view.pinned);
  editor.apply(free ? "Pin" : "Let go", (graph) => edits.setView(graph, nodes, { pinned: free || undefined }));
}

/** @param {Editor} editor */
function rename(editor) {
  const item = [...editor.session.selection].find((one) => !one.startsWith("route:"));
  return item !== undefined && editor.canvas?.rename(item);
}

/** @param {Editor} editor @param {string | undefined} color */
function setColor(editor, color) {
  const { selection } = editor.session;
  editor.apply("Colour", (graph) => {
    let next = edits.setView(graph, editor.selectedNodes, { color });
    for (const item of selection) {
      const { kind, id } = parseItem(item);
      if (kind === "frame") next = edits.setFrame(next, id, { color });
      if (kind === "note") next = edits.setNote(next, id, { color });
    }
    return next;
  });
}

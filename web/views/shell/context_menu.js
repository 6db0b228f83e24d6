/** Menus of what is pointed at: by the right button, a long touch, Shift+F10. They do what keys do. */

import { exposedAs } from "../../store/edits.js";
import { join } from "../../store/names.js";
import { COLORS } from "../../store/types.js";
import { isTyping } from "../dom.js";
import { openMenu } from "./menu.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../editor.js").MenuDetail} MenuDetail */
/** @typedef {import("../../store/types.js").Item} Item */
/** @typedef {import("./menu.js").Entry} Entry */

/**
 * Open the menu of what is pointed at; without that, of what is selected.
 * @param {Editor} editor
 * @param {unknown} detail
 */
export function openContextMenu(editor, detail) {
  const asked = isDetail(detail) ? detail : detailOfFocus(editor);
  const item = itemOf(asked);
  if (item !== null && !editor.session.selection.has(item)) editor.session.select([item]);
  const entries = { canvas: canvasEntries, node: nodeEntries, link: linkEntries, port: portEntries, frame: thingEntries,
    note: thingEntries, tab: tabEntries, field: fieldEntries }[asked.kind](editor, asked);
  openMenu(editor, entries, asked.screen, { label: `What can be done: ${asked.kind}`, name: asked.kind });
}

/** @param {unknown} detail @returns {detail is MenuDetail} */
function isDetail(detail) {
  return typeof detail === "object" && detail !== null && "kind" in detail && "screen" in detail;
}

/** @param {MenuDetail} detail @returns {Item | null} what is selected with it */
function itemOf({ kind, id }) {
  if (id === undefined || (kind !== "node" && kind !== "frame" && kind !== "note")) return null;
  return `${kind}:${id}`;
}

/**
 * What has the focus: a port, a node, a tab; else what is selected.
 * @param {Editor} editor
 * @returns {MenuDetail}
 */
function detailOfFocus(editor) {
  const focused = document.activeElement;
  const box = (focused ?? document.body).getBoundingClientRect();
  const screen = { x: box.left + Math.min(24, box.width / 2), y: box.top + Math.min(24, box.height) };
  const port = focused?.closest("[data-port]");
  const node = focused?.closest("[data-node]");
  const tab = focused?.closest("[data-tab]");
  if (tab instanceof HTMLElement) return { kind: "tab", id: tab.dataset.tab, screen };
  if (port instanceof HTMLElement && node instanceof HTMLElement) {
    return { kind: "port", id: node.dataset.node, port: port.dataset.port, screen };
  }
  if (node instanceof HTMLElement) return { kind: "node", id: node.dataset.node, screen };
  return detailOfSelection(editor);
}

/** @param {Editor} editor @returns {MenuDetail} */
function detailOfSelection({ session, canvas }) {
  const [first] = session.selection;
  const [kind, ...rest] = (first ?? "").split(":");
  const box = first && canvas?.boxOf(first);
  const middle = canvas ? canvas.clientOf(canvas.middle) : { x: innerWidth / 2, y: innerHeight / 2 };
  const screen = canvas && box ? canvas.clientOf({ x: box.x + 24, y: box.y + 24 }) : middle;
  if (kind === "node" || kind === "frame" || kind === "note") return { kind, id: rest.join(":"), screen };
  return { kind: "canvas", screen, point: canvas?.middle };
}

/** @param {Editor} editor @param {MenuDetail} detail @returns {Entry[]} */
function canvasEntries(editor, { point, screen }) {
  return [
    { command: "palette.open", icon: "plus", detail: { point, screen } },
    { command: "edit.paste", icon: "paste", detail: { point } },
    { command: "graph.note", icon: "note", detail: { point } },
    { command: "graph.frame", icon: "frame" },
    null,
    { command: "graph.selectAll" },
    { command: "graph.arrange", icon: "align" },
    { command: "find.open", icon: "search" },
    null,
    { command: "view.fit", icon: "fit" },
    { command: "view.minimap", title: "Map", icon: "map", checked: editor.settings.get("minimap") },
    { command: "view.snap", title: "Snap to the grid", checked: editor.settings.get("snap") },
    { command: "graph.leave" },
    null,
    { command: "run.run", icon: "play" },
  ];
}

/** @param {Editor} editor @param {MenuDetail} detail @returns {Entry[]} */
function nodeEntries(editor, { id = "" }) {
  const node = editor.session.graph.nodes.get(id);
  const several = editor.session.selection.size > 1;
  const isInstance = node?.graph != null;
  return [
    { command: "run.toNode", icon: "play", title: "Run up to here" },
    { command: "graph.mute", icon: "mute", checked: node?.mode === "mute", title: "Mute" },
    { command: "graph.bypass", icon: "bypass", checked: node?.mode === "bypass", title: "Bypass" },
    null,
    { command: "edit.cut", icon: "cut" },
    { command: "edit.copy", icon: "copy" },
    { command: "graph.duplicate" },
    { command: "graph.delete", icon: "trash" },
    { command: "graph.dissolve" },
    null,
    { command: "graph.rename", icon: "edit" },
    { title: "Colour", icon: "theme", entries: colors(editor) },
    { command: "graph.collapse", checked: node?.view.collapsed === true, title: "Collapsed" },
    { command: "graph.pin", checked: node?.view.pinned === true, title: "Pinned" },
    several ? { title: "Align", icon: "align", entries: alignEntries() } : null,
    several ? { command: "graph.connect", icon: "link" } : { command: "connect.open", icon: "link" },
    { command: "graph.disconnect", icon: "unlink", title: "Remove all links" },
    null,
    { command: "graph.frame", icon: "frame" },
    ...(isInstance ? /** @type {Entry[]} */ ([{ command: "graph.open" }, { command: "graph.unpack" }]) : []),
    { command: "graph.subgraph", icon: "subgraph", title: "Make a subgraph" },
    { command: "help.node", icon: "help" },
  ];
}

/** @returns {Entry[]} */
function alignEntries() {
  return [
    ...["left", "right", "top", "bottom", "center", "middle"]
      .map((side) => ({ command: `graph.align.${side}` })),
    null,
    { command: "graph.distribute.x" },
    { command: "graph.distribute.y" },
    { command: "graph.arrange" },
  ];
}

/** @param {Editor} editor @returns {Entry[]} */
function colors(editor) {
  return ["none", ...COLORS].map((color) => ({ title: color[0].toUpperCase() + color.slice(1),
    swatch: color === "none" ? "var(--surface)" : `var(--color-${color})`,
    run: () => editor.perform(`graph.color.${color}`) }));
}

/** @param {Editor} editor @param {MenuDetail} detail @returns {Entry[]} */
function linkEntries(editor, { id, point, screen }) {
  return [
    { command: "graph.removeLink", icon: "unlink", detail: id },
    { command: "palette.insert", icon: "plus", detail: { target: id, point, screen } },
  ];
}

/** @param {Editor} editor @param {MenuDetail} detail @returns {Entry[]} */
function portEntries(editor, { id = "", port = "" }) {
  const name = port.slice(port.indexOf(":") + 1);
  const place = join(id, name);
  const isInput = port.startsWith("in:");
  const linked = editor.session.graph.nodes.get(id)?.links.has(name) === true;
  return [
    { command: "connect.open", icon: "link", detail: { node: id, port } },
    { command: "palette.open", icon: "plus", title: "Add a node here",
      detail: isInput ? { input: place } : { output: place } },
    isInput && linked ? { command: "graph.removeLink", icon: "unlink", detail: place } : null,
    ...(isInput ? exposing(editor, place) : []),
  ];
}

/**
 * An input of the workflow is what its form asks for, and what a subgraph takes from outside.
 * @param {Editor} editor
 * @param {string} place
 * @returns {Entry[]}
 */
function exposing(editor, place) {
  const name = exposedAs(editor.session.graph, place);
  if (name === null) return [{ command: "edit.expose", icon: "form", detail: place }];
  return [{ command: "edit.unexpose", detail: place, title: `Not an input any more (“${name}”)` }];
}

/** @param {Editor} editor @returns {Entry[]} */
function thingEntries(editor) {
  return [
    { command: "graph.rename", icon: "edit" },
    { title: "Colour", icon: "theme", entries: colors(editor) },
    { command: "graph.collapse" },
    null,
    { command: "edit.cut", icon: "cut" },
    { command: "edit.copy", icon: "copy" },
    { command: "graph.duplicate" },
    { command: "graph.delete", icon: "trash" },
    null,
    { command: "graph.mute", icon: "mute" },
    { command: "graph.bypass", icon: "bypass" },
  ];
}

/** @param {Editor} editor @param {MenuDetail} detail @returns {Entry[]} */
function fieldEntries(editor, { id = "", port = "" }) {
  const place = join(id, port);
  return [
    { command: "field.reset", icon: "undo", detail: { node: id, field: port } },
    { command: "field.roll", icon: "dice" },
    ...exposing(editor, place),
    { command: "connect.open", icon: "link", detail: { node: id, port: `in:${port}` } },
    null,
    { command: "help.node", icon: "help" },
  ];
}

/** @param {Editor} editor @param {MenuDetail} detail @returns {Entry[]} */
function tabEntries(editor, { id }) {
  return [
    { command: "tab.rename", icon: "edit", detail: id },
    { command: "tab.duplicate", icon: "copy", detail: id },
    { command: "tab.moveLeft", icon: "left", detail: id },
    { command: "tab.moveRight", icon: "right", detail: id },
    null,
    { command: "tab.close", icon: "close", detail: id },
    { command: "tab.closeOthers", detail: id },
    { command: "tab.new", icon: "plus" },
  ];
}

/**
 * A text field keeps the browser's own menu.
 * @param {Editor} editor
 */
export function mount(editor) {
  const listener = (/** @type {MouseEvent} */ event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (isTyping(target) || target?.closest("dialog, .menu, .chooser, a[href], img, .panel-body")) return;
    event.preventDefault();
  };
  document.addEventListener("contextmenu", listener);
  return { destroy: () => document.removeEventListener("contextmenu", listener) };
}

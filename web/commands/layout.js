/** Commands that move things: by arrows, in line, at equal distances, in columns. */

import { align, distribute, STEP } from "../geometry/align.js";
import { arrange } from "../geometry/arrange.js";
import { move, place } from "../store/edits.js";
import { split } from "../store/names.js";
import { some } from "./make.js";

/** @import {Editor} from "../editor.js" */
/** @import {Box, Command, Graph, Item, Point} from "../store/types.js" */
/** @import {Shift} from "../geometry/align.js" */

/** @returns {Command[]} */
export function layoutCommands() {
  return [...moves(), ...walks(), ...aligns(), ...arranges()];
}

const WAYS = /** @type {const} */ ([
  ["Left", -1, 0],
  ["Right", 1, 0],
  ["Up", 0, -1],
  ["Down", 0, 1],
]);

/** @returns {Command[]} */
function moves() {
  return WAYS.flatMap(([name, x, y]) =>
    [1, 10].map((times) => ({
      id: `graph.move${name}${times > 1 ? "Far" : ""}`,
      title: `Move ${name.toLowerCase()}${times > 1 ? " ten times as far" : ""}`,
      group: "Layout",
      keys: [`${times > 1 ? "Shift+" : ""}Arrow${name}`],
      when: some,
      run: (/** @type {Editor} */ editor) => nudge(editor, x * times, y * times),
    })),
  );
}

/** @param {Editor} editor @param {number} x @param {number} y */
function nudge(editor, x, y) {
  const step = editor.settings.get("snap") ? STEP : 2;
  const { selection } = editor.session;
  editor.apply("Move", (graph) => move(graph, selection, x * step, y * step), { merge: "nudge" });
}

/** From node to node. @returns {Command[]} */
function walks() {
  return WAYS.map(([name, x, y]) => ({
    id: `graph.go${name}`,
    title: `Go to the next node ${name.toLowerCase()}`,
    group: "Select",
    keys: [`Mod+Arrow${name}`],
    when: (/** @type {Editor} */ editor) => editor.session.graph.nodes.size > 0,
    run: (/** @type {Editor} */ editor) => walk(editor, x, y),
  }));
}

/** @param {Editor} editor @param {number} x @param {number} y */
function walk(editor, x, y) {
  const { canvas } = editor;
  if (!canvas) return;
  const [from] = editor.selectedNodes;
  const box = from === undefined ? null : canvas.boxOf(`node:${from}`);
  const start = box ? middle(box) : canvas.middle;
  let [best, least] = [/** @type {string | null} */ (null), Infinity];
  for (const [id, placed] of canvas.scene.nodes) {
    if (id === from || placed.hidden !== null) continue;
    const at = middle(placed.box);
    const [along, across] = [(at.x - start.x) * x + (at.y - start.y) * y, (at.x - start.x) * y + (at.y - start.y) * x];
    const far = box === null ? Math.hypot(along, across) : along <= 0 ? Infinity : along + 2 * Math.abs(across);
    if (far < least) [best, least] = [id, far];
  }
  if (best !== null) canvas.goTo(best);
}

/** @param {Box} box @returns {Point} */
const middle = (box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });

/** @returns {Command[]} */
function aligns() {
  const several = (/** @type {Editor} */ editor) => boxesOf(editor).size > 1;
  const sides = /** @type {const} */ ([
    ["left", "Align left", "ArrowLeft"],
    ["right", "Align right", "ArrowRight"],
    ["top", "Align at the top", "ArrowUp"],
    ["bottom", "Align at the bottom", "ArrowDown"],
    ["center", "Align the middles in a column", ""],
    ["middle", "Align the middles in a row", ""],
  ]);
  const aligned = sides.map(([side, title, key]) => ({
    id: `graph.align.${side}`,
    title,
    group: "Layout",
    keys: key ? [`Mod+Shift+${key}`] : [],
    when: several,
    run: (/** @type {Editor} */ editor) => shiftAll(editor, title, align(boxesOf(editor), side)),
  }));
  const spread = /** @type {const} */ ([
    ["x", "Distribute across", "H"],
    ["y", "Distribute down", "V"],
  ]);
  const distributed = spread.map(([axis, title, key]) => ({
    id: `graph.distribute.${axis}`,
    title,
    group: "Layout",
    keys: [`Alt+Shift+${key}`],
    when: several,
    run: (/** @type {Editor} */ editor) => shiftAll(editor, title, distribute(boxesOf(editor), axis)),
  }));
  return [...aligned, ...distributed];
}

/** What is selected and may move. @param {Editor} editor @returns {Map<Item, Box>} */
function boxesOf(editor) {
  /** @type {Map<Item, Box>} */
  const boxes = new Map();
  const { graph, selection } = editor.session;
  for (const item of selection) {
    const pinned = item.startsWith("node:") && graph.nodes.get(item.slice("node:".length))?.view.pinned;
    const box = pinned || item.startsWith("route:") ? null : editor.canvas?.boxOf(item);
    if (box) boxes.set(item, box);
  }
  return boxes;
}

/** @param {Editor} editor @param {string} label @param {ReadonlyMap<Item, Shift>} shifts */
function shiftAll(editor, label, shifts) {
  editor.apply(label, (graph) => {
    let next = graph;
    for (const [item, { dx, dy }] of shifts) next = move(next, [item], Math.round(dx), Math.round(dy));
    return next;
  });
}

/** @returns {Command[]} */
function arranges() {
  return [
    {
      id: "graph.arrange",
      title: "Arrange in columns",
      group: "Layout",
      keys: ["Alt+Shift+T"],
      when: (editor) => editor.session.graph.nodes.size > 0,
      run: arrangeAll,
    },
  ];
}

/** Arrange what is selected, or else everything. @param {Editor} editor */
function arrangeAll(editor) {
  const { canvas, session } = editor;
  if (!canvas) return;
  const chosen = editor.selectedNodes.length > 1 ? new Set(editor.selectedNodes) : new Set(session.graph.nodes.keys());
  /** @type {Map<string, Box>} */
  const boxes = new Map();
  for (const id of chosen) {
    const placed = canvas.scene.nodes.get(id);
    if (placed && !placed.node.view.pinned && placed.hidden === null) boxes.set(id, placed.box);
  }
  /** @type {[string, string][]} */
  const links = [];
  for (const wire of canvas.scene.wires.values()) links.push([wire.source, wire.target]);
  const points = arrange(boxes, links);
  editor.apply("Arrange", (graph) => withoutBends(place(graph, points), points));
  canvas.reveal([...points.keys()].map((id) => /** @type {Item} */ (`node:${id}`)));
}

/**
 * Bends were for where the nodes were.
 * @param {Graph} graph @param {ReadonlyMap<string, Point>} points @returns {Graph}
 */
function withoutBends(graph, points) {
  const kept = [...graph.routes].filter(([key]) => !points.has(split(key)[0]));
  return kept.length === graph.routes.size ? graph : { ...graph, routes: new Map(kept) };
}

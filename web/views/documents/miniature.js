/** A small drawing of a workflow: its nodes and links where they lie, coloured by what they give. */

import { layout } from "../../geometry/boxes.js";
import { split } from "../../store/names.js";
import { svg } from "../dom.js";

/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").Box} Box */
/** @typedef {import("../../store/catalogue.js").Catalogue} Catalogue */

const HEADER = 30;

/**
 * @param {Graph} graph
 * @param {Catalogue} catalogue
 * @param {string} label
 */
export function miniature(graph, catalogue, label) {
  const boxes = boxesOf(graph, catalogue);
  const all = [...boxes.values(), ...graph.frames.values(), ...graph.notes.values()];
  const left = Math.min(0, ...all.map(({ x }) => x));
  const top = Math.min(0, ...all.map(({ y }) => y));
  const width = Math.max(200, ...all.map((box) => box.x + box.width - left));
  const height = Math.max(120, ...all.map((box) => box.y + box.height - top));
  const drawing = svg("svg", { class: "miniature", viewBox: `${left - 20} ${top - 20} ${width + 40} ${height + 40}`,
    role: "img", "aria-label": label, preserveAspectRatio: "xMidYMid meet" });
  for (const frame of graph.frames.values()) drawing.append(rect(frame, "miniature-frame"));
  for (const [id, node] of graph.nodes) {
    for (const source of node.links.values()) drawLink(drawing, boxes.get(split(source)[0]), boxes.get(id));
  }
  for (const [id, node] of graph.nodes) {
    const box = boxes.get(id);
    if (box === undefined) continue;
    const [output] = catalogue.type(node, graph).outputs.values();
    const head = rect({ ...box, height: Math.min(HEADER, box.height) }, "miniature-head");
    head.style.setProperty("fill", output ? `var(--type-${catalogue.look(output.type).hue})` : "var(--text-dim)");
    drawing.append(rect(box, "miniature-node"), head);
  }
  for (const note of graph.notes.values()) drawing.append(rect(note, "miniature-note"));
  return drawing;
}

/** @param {Graph} graph @param {Catalogue} catalogue @returns {Map<string, Box>} */
function boxesOf(graph, catalogue) {
  const boxes = new Map();
  for (const [id, node] of graph.nodes) {
    const { width, height } = layout(node, catalogue.type(node, graph));
    boxes.set(id, { x: node.view.x, y: node.view.y, width, height });
  }
  return boxes;
}

/** @param {Box} box @param {string} name */
function rect({ x, y, width, height }, name) {
  return svg("rect", { class: name, x, y, width, height, rx: 10 });
}

/** @param {SVGElement} drawing @param {Box | undefined} from @param {Box | undefined} to */
function drawLink(drawing, from, to) {
  if (from === undefined || to === undefined) return;
  const [x, y, a, b] = [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2];
  const bend = Math.max(40, Math.abs(a - x) / 2);
  drawing.append(svg("path", { class: "miniature-link", d: `M${x} ${y}C${x + bend} ${y} ${a - bend} ${b} ${a} ${b}` }));
}

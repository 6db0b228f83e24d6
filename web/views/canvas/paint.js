/**
 * Draws what is no element: the dots of the ground, the links, and nodes as boxes where they are small or still to
 * come.
 */

import { HEADER } from "../../geometry/boxes.js";
import { visible } from "../../geometry/transform.js";
import { BOX_ZOOM } from "./hit.js";

/** @import {Box, Item} from "../../store/types.js" */
/** @import {View, Size} from "../../geometry/transform.js" */
/** @import {Placed, Scene, Wire} from "./scene.js" */
/** @import {Theme} from "./theme.js" */

/**
 * @typedef {Object} Painted
 * @property {Scene} scene
 * @property {View} view
 * @property {Size} size
 * @property {number} ratio device pixels to one of the page
 * @property {Theme} theme
 * @property {ReadonlySet<Item>} selection
 * @property {readonly Placed[]} boxes nodes that are drawn as boxes
 * @property {ReadonlySet<string>} lit keys of the links to be seen first
 * @property {string | null} hovered key of the link below the pointer
 * @property {ReadonlySet<string>} faint keys of the links that are being moved away
 * @property {(type: string) => {hue: number}} look
 * @property {(id: string) => string} state what a node does in the tab's last job
 */

const NAME = 11;
/** Below this zoom boxes have no ports. */
const PORTS = 0.2;

/** @param {CanvasRenderingContext2D} context @param {Painted} painted */
export function paint(context, painted) {
  const { view, size, ratio, theme } = painted;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = theme.canvas;
  context.fillRect(0, 0, Math.ceil(size.width * ratio), Math.ceil(size.height * ratio));
  paintDots(context, painted);
  context.setTransform(view.zoom * ratio, 0, 0, view.zoom * ratio, view.x * ratio, view.y * ratio);
  paintFrames(context, painted);
  paintWires(context, painted);
  if (painted.boxes.length) paintBoxes(context, painted);
}

/** One row of dots, from which all others are copied: far cheaper than a pattern or thousands of dots. */
const row = { canvas: /** @type {HTMLCanvasElement | null} */ (null), key: "" };

/** Dots 20 apart; when small, only each fifth. @param {CanvasRenderingContext2D} context @param {Painted} painted */
function paintDots(context, { view, size, ratio, theme }) {
  let step = 20 * view.zoom * ratio;
  while (step < 14 * ratio) step *= 5;
  const dot = Math.max(1, Math.round(1.5 * ratio));
  const width = Math.ceil(size.width * ratio);
  const start = ((view.x * ratio) % step) - step / 2;
  const strip = rowOfDots(start, step, dot, width, theme.dot);
  if (!strip) return;
  const first = ((view.y * ratio) % step) - step / 2;
  for (let y = first; y < size.height * ratio; y += step) context.drawImage(strip, 0, Math.round(y));
}

/** @param {number} start @param {number} step @param {number} dot @param {number} width @param {string} color */
function rowOfDots(start, step, dot, width, color) {
  row.canvas ??= document.createElement("canvas");
  const key = [start, step, dot, width, color].join(" ");
  const context = row.canvas.getContext("2d");
  if (!context || key === row.key) return row.canvas;
  row.key = key;
  if (row.canvas.width !== width || row.canvas.height !== dot) {
    row.canvas.width = width;
    row.canvas.height = dot;
  } else context.clearRect(0, 0, width, dot);
  context.fillStyle = color;
  for (let x = start; x < width; x += step) context.fillRect(Math.round(x), 0, dot, dot);
  return row.canvas;
}

/**
 * The grounds of frames, so that links lie above them.
 * @param {CanvasRenderingContext2D} context @param {Painted} painted
 */
function paintFrames(context, { scene, theme }) {
  for (const [id, frame] of scene.frames) {
    const box = scene.frameBox(id);
    if (!box) continue;
    context.fillStyle = theme.colors.get(frame.color ?? "") ?? theme.frame;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, 10);
    context.globalAlpha = 0.4;
    context.fill();
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, Math.min(HEADER, box.height), frame.collapsed ? 10 : [10, 10, 0, 0]);
    context.globalAlpha = 0.6;
    context.fill();
  }
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {Painted} painted */
function paintWires(context, { scene, view, size, ratio, theme, lit, faint, hovered }) {
  /** @type {Wire[][]} */
  const byHue = theme.hues.map(() => []);
  const broken = /** @type {Wire[]} */ ([]);
  const bright = /** @type {Wire[]} */ ([]);
  const lists = /** @type {Wire[]} */ ([]);
  for (const key of scene.wireGrid.query(visible(view, size, 4))) {
    const wire = scene.wires.get(key);
    if (!wire || faint.has(key)) continue;
    if (wire.fit === null) broken.push(wire);
    else if (lit.has(key) || key === hovered) bright.push(wire);
    else byHue[wire.hue % byHue.length].push(wire);
    if (wire.list && wire.fit !== null) lists.push(wire);
  }
  const far = view.zoom < BOX_ZOOM;
  const width = Math.max(2, (far ? 1 / ratio : 1.2) / view.zoom);
  context.lineCap = "butt";
  context.globalAlpha = lit.size ? 0.5 : far ? 0.6 : 0.85;
  byHue.forEach((wires, hue) => stroke(context, wires, theme.hues[hue], width));
  context.globalAlpha = 1;
  for (const wire of bright) stroke(context, [wire], theme.hues[wire.hue % 12], width * 1.5);
  if (!far) stroke(context, lists, theme.canvas, width / 2);
  if (broken.length) {
    context.setLineDash([6, 6]);
    stroke(context, broken, theme.danger, width);
    context.setLineDash([]);
  }
  if (!far) paintBends(context, scene, [...byHue.flat(), ...bright], theme);
}

/**
 * @param {CanvasRenderingContext2D} context @param {readonly Wire[]} wires @param {string} color
 * @param {number} width
 */
function stroke(context, wires, color, width) {
  if (!wires.length) return;
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  for (const { path } of wires) trace(context, path);
  context.stroke();
}

/** Draw along a curve. @param {CanvasRenderingContext2D} context @param {readonly number[]} path */
export function trace(context, path) {
  context.moveTo(path[0], path[1]);
  for (let i = 2; i < path.length; i += 6) {
    context.bezierCurveTo(path[i], path[i + 1], path[i + 2], path[i + 3], path[i + 4], path[i + 5]);
  }
}

/**
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {readonly Wire[]} wires @param {Theme} theme
 */
function paintBends(context, scene, wires, theme) {
  for (const wire of wires) {
    if (!wire.bends.length) continue;
    context.fillStyle = theme.canvas;
    context.strokeStyle = theme.hues[wire.hue % 12];
    context.lineWidth = 2;
    for (const bend of wire.bends) {
      context.beginPath();
      context.arc(bend.x, bend.y, 5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }
}

/** How high a header is drawn: high enough for its title, however small the node. @param {number} zoom */
const headerAt = (zoom) => Math.max(HEADER, (NAME * 1.7) / zoom);

/** @param {CanvasRenderingContext2D} context @param {Painted} painted */
function paintBoxes(context, { boxes, theme, view, ratio, selection, state, look }) {
  const line = 1 / view.zoom;
  const header = headerAt(view.zoom);
  /** @type {Map<string, Box[]>} */
  const headers = new Map();
  context.fillStyle = theme.surface;
  context.strokeStyle = theme.dot;
  context.lineWidth = line;
  context.globalAlpha = 1;
  context.beginPath();
  for (const { box, node } of boxes) {
    context.rect(box.x, box.y, box.width, box.height);
    const color = theme.colors.get(node.view.color ?? "") ?? theme.header;
    const same = headers.get(color);
    if (same) same.push(box);
    else headers.set(color, [box]);
  }
  context.fill();
  for (const [color, same] of headers) {
    context.fillStyle = color;
    context.beginPath();
    for (const box of same) context.rect(box.x, box.y, box.width, Math.min(header, box.height));
    context.fill();
  }
  context.beginPath();
  for (const { box } of boxes) context.rect(box.x, box.y, box.width, box.height);
  context.stroke();
  paintMarks(context, { boxes, theme, view, ratio, selection, state, look });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Pick<Painted, "boxes" | "theme" | "view" | "ratio" | "selection" | "state" | "look">} painted
 */
function paintMarks(context, { boxes, theme, view, ratio, selection, state, look }) {
  /** @type {Map<string, string>} */
  const colors = new Map([
    ["failed", theme.danger],
    ["running", theme.accent],
    ["finished", theme.ok],
    ["cached", theme.cached],
  ]);
  for (const { id, box } of boxes) {
    const color = colors.get(state(id));
    if (color) {
      context.fillStyle = color;
      context.fillRect(box.x, box.y, box.width, Math.max(6, 3 / view.zoom));
    }
    if (!selection.has(`node:${id}`)) continue;
    context.strokeStyle = theme.accent;
    context.lineWidth = 2 / view.zoom;
    context.strokeRect(box.x, box.y, box.width, box.height);
  }
  if (view.zoom >= PORTS) paintPorts(context, boxes, theme, look);
  if (view.zoom >= 0.1) paintNames(context, { boxes, theme, view, ratio });
}

/**
 * @param {CanvasRenderingContext2D} context @param {readonly Placed[]} boxes @param {Theme} theme
 * @param {Painted["look"]} look
 */
function paintPorts(context, boxes, theme, look) {
  /** @type {number[][]} */
  const byHue = theme.hues.map(() => []);
  for (const { box, laid, type } of boxes) {
    for (const [name, { x, y }] of laid.inputs) {
      const port = type.inputs.get(name);
      if (port && !port.field) byHue[look(port.type).hue].push(box.x + x, box.y + y);
    }
    for (const [name, { x, y }] of laid.outputs)
      byHue[look(type.outputs.get(name)?.type ?? "").hue].push(box.x + x, box.y + y);
  }
  byHue.forEach((places, hue) => {
    context.fillStyle = theme.hues[hue];
    for (let i = 0; i < places.length; i += 2) context.fillRect(places[i] - 5, places[i + 1] - 5, 10, 10);
  });
}

/**
 * Titles stay readable: of one size on the screen, however small the node. That is also by far the quickest way, as the
 * letters have to be drawn once only.
 * @param {CanvasRenderingContext2D} context @param {Pick<Painted, "boxes" | "theme" | "view" | "ratio">} painted
 */
function paintNames(context, { boxes, theme, view, ratio }) {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `500 ${NAME}px ${theme.font}`;
  context.fillStyle = theme.text;
  context.textBaseline = "middle";
  const header = headerAt(view.zoom) * view.zoom;
  for (const { box, node, type } of boxes) {
    const [width, height] = [box.width * view.zoom, box.height * view.zoom];
    const most = Math.floor((width - NAME) / (NAME * 0.6));
    if (most < 4 || height < NAME) continue;
    const title = node.view.title ?? type.title;
    const text = title.length > most ? `${title.slice(0, most - 1)}…` : title;
    const middle = Math.min(height, header) / 2;
    context.fillText(text, box.x * view.zoom + view.x + NAME / 2, box.y * view.zoom + view.y + middle);
  }
}

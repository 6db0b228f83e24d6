/** Draws what is no element: the dots of the ground, the links, and nodes as boxes where they are small or still to come. */

import { HEADER } from "../../geometry/boxes.js";
import { visible } from "../../geometry/transform.js";

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
 * @property {ReadonlySet<string>} faint keys of the links that are being moved away
 * @property {(id: string) => string} state what a node does in the tab's last job
 */

const FAR = 0.25;

/** @param {CanvasRenderingContext2D} context @param {Painted} painted */
export function paint(context, painted) {
  const { view, size, ratio, theme } = painted;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = theme.canvas;
  context.fillRect(0, 0, Math.ceil(size.width * ratio), Math.ceil(size.height * ratio));
  paintDots(context, painted);
  context.setTransform(view.zoom * ratio, 0, 0, view.zoom * ratio, view.x * ratio, view.y * ratio);
  paintWires(context, painted);
  if (painted.boxes.length) paintBoxes(context, painted);
}

/** @type {{key: string, tile: HTMLCanvasElement} | null} */
let dots = null;

/** Dots 20 apart; when small, only each fifth. @param {CanvasRenderingContext2D} context @param {Painted} painted */
function paintDots(context, { view, size, ratio, theme }) {
  let step = 20 * view.zoom * ratio;
  while (step < 14 * ratio) step *= 5;
  const side = Math.max(1, Math.round(step));
  const key = `${side} ${theme.dot} ${ratio}`;
  if (dots?.key !== key) dots = { key, tile: dotTile(side, theme.dot, ratio) };
  const pattern = context.createPattern(dots.tile, "repeat");
  if (!pattern) return;
  const scale = step / side;
  pattern.setTransform(new DOMMatrix([scale, 0, 0, scale, view.x * ratio - step / 2, view.y * ratio - step / 2]));
  context.fillStyle = pattern;
  context.fillRect(0, 0, Math.ceil(size.width * ratio), Math.ceil(size.height * ratio));
}

/** @param {number} side @param {string} color @param {number} ratio */
function dotTile(side, color, ratio) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = side;
  const context = tile.getContext("2d");
  if (context) {
    context.fillStyle = color;
    context.beginPath();
    context.arc(side / 2, side / 2, 1 * ratio, 0, 2 * Math.PI);
    context.fill();
  }
  return tile;
}

/** @param {CanvasRenderingContext2D} context @param {Painted} painted */
function paintWires(context, { scene, view, size, theme, lit, faint }) {
  /** @type {Wire[][]} */
  const byHue = theme.hues.map(() => []);
  const broken = /** @type {Wire[]} */ ([]);
  const bright = /** @type {Wire[]} */ ([]);
  const lists = /** @type {Wire[]} */ ([]);
  for (const key of scene.wireGrid.query(visible(view, size, 4))) {
    const wire = scene.wires.get(key);
    if (!wire || faint.has(key)) continue;
    if (wire.fit === null) broken.push(wire);
    else if (lit.has(key)) bright.push(wire);
    else byHue[wire.hue % byHue.length].push(wire);
    if (wire.list && wire.fit !== null) lists.push(wire);
  }
  const far = view.zoom < FAR;
  const width = Math.max(2, 1.2 / view.zoom);
  context.lineCap = "round";
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

/** @param {CanvasRenderingContext2D} context @param {readonly Wire[]} wires @param {string} color @param {number} width */
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

/** @param {CanvasRenderingContext2D} context @param {Scene} scene @param {readonly Wire[]} wires @param {Theme} theme */
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

/** @param {CanvasRenderingContext2D} context @param {Painted} painted */
function paintBoxes(context, { boxes, theme, view, selection, state }) {
  const line = 1 / view.zoom;
  /** @type {Map<string, Box[]>} */
  const headers = new Map();
  context.fillStyle = theme.surface;
  context.strokeStyle = theme.line;
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
    for (const box of same) context.rect(box.x, box.y, box.width, Math.min(HEADER, box.height));
    context.fill();
  }
  context.beginPath();
  for (const { box } of boxes) context.rect(box.x, box.y, box.width, box.height);
  context.stroke();
  paintMarks(context, { boxes, theme, view, selection, state });
}

/** @param {CanvasRenderingContext2D} context @param {Pick<Painted, "boxes" | "theme" | "view" | "selection" | "state">} painted */
function paintMarks(context, { boxes, theme, view, selection, state }) {
  /** @type {Map<string, string>} */
  const colors = new Map([["failed", theme.danger], ["running", theme.accent], ["finished", theme.ok], ["cached", theme.cached]]);
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
  if (view.zoom >= 0.1) paintNames(context, boxes, theme, view);
}

/** Titles stay readable: they fill the box as the node gets small. @param {CanvasRenderingContext2D} context @param {readonly Placed[]} boxes @param {Theme} theme @param {View} view */
function paintNames(context, boxes, theme, view) {
  const size = Math.min(60, 11 / view.zoom);
  context.font = `500 ${size}px ${theme.font}`;
  context.fillStyle = theme.text;
  context.textBaseline = "middle";
  for (const { box, node, type } of boxes) {
    if (box.height < size) continue;
    const title = node.view.title ?? type.title;
    const most = Math.floor((box.width - size) / (size * 0.56));
    const text = title.length > most ? `${title.slice(0, Math.max(1, most - 1))}…` : title;
    const middle = box.height > HEADER + size * 1.4 ? box.y + HEADER + (box.height - HEADER) / 2 : box.y + box.height / 2;
    context.fillText(text, box.x + size / 2, middle);
  }
}

/** Draws, above all nodes, what is there only while something is done: the new link, the marquee, guides, the cut. */

import { trace } from "./paint.js";

/** @import {Box, Point} from "../../store/types.js" */
/** @import {View, Size} from "../../geometry/transform.js" */
/** @import {Curve} from "../../geometry/curves.js" */
/** @import {Guide} from "../../geometry/align.js" */
/** @import {Theme} from "./theme.js" */
/** @import {Scene} from "./scene.js" */

/**
 * What a gesture shows.
 * @typedef {Object} Marks
 * @property {readonly {path: Curve, hue: number, refused: boolean}[]} [drafts]
 * @property {{box: Box, touch: boolean}} [marquee]
 * @property {readonly Guide[]} [guides]
 * @property {{points: readonly Point[], keys: ReadonlySet<string>, kind: "cut" | "bend"}} [stroke]
 * @property {string} [insert] key of the link that the moved node would be put on
 */

/**
 * @param {CanvasRenderingContext2D} context @param {Marks} marks
 * @param {{scene: Scene, view: View, size: Size, ratio: number, theme: Theme}} painted
 */
export function paintMarks(context, marks, { scene, view, size, ratio, theme }) {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, Math.ceil(size.width * ratio), Math.ceil(size.height * ratio));
  context.setTransform(view.zoom * ratio, 0, 0, view.zoom * ratio, view.x * ratio, view.y * ratio);
  const pixel = 1 / view.zoom;
  context.lineCap = "round";
  paintDrafts(context, marks, theme, pixel);
  if (marks.insert) paintKeys(context, scene, [marks.insert], theme.accent, Math.max(4, 3 * pixel));
  if (marks.stroke) paintStroke(context, scene, marks.stroke, theme, pixel);
  if (marks.guides) paintGuides(context, marks.guides, theme, pixel);
  if (marks.marquee) paintMarquee(context, marks.marquee, theme, pixel);
}

/** @param {CanvasRenderingContext2D} context @param {Marks} marks @param {Theme} theme @param {number} pixel */
function paintDrafts(context, { drafts = [] }, theme, pixel) {
  for (const { path, hue, refused } of drafts) {
    context.strokeStyle = refused ? theme.danger : theme.hues[hue % 12];
    context.lineWidth = Math.max(2.5, 2 * pixel);
    context.setLineDash(refused ? [4 * pixel, 6 * pixel] : []);
    context.beginPath();
    trace(context, path);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = context.strokeStyle;
    context.beginPath();
    context.arc(path[path.length - 2], path[path.length - 1], Math.max(4, 3 * pixel), 0, 2 * Math.PI);
    context.arc(path[0], path[1], Math.max(4, 3 * pixel), 0, 2 * Math.PI);
    context.fill();
  }
}

/**
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Iterable<string>} keys @param {string} color
 * @param {number} width
 */
function paintKeys(context, scene, keys, color, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  for (const key of keys) {
    const wire = scene.wires.get(key);
    if (wire) trace(context, wire.path);
  }
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {NonNullable<Marks["stroke"]>} stroke
 * @param {Theme} theme @param {number} pixel
 */
function paintStroke(context, scene, { points, keys, kind }, theme, pixel) {
  const color = kind === "cut" ? theme.danger : theme.accent;
  paintKeys(context, scene, keys, color, Math.max(3, 2.5 * pixel));
  context.strokeStyle = color;
  context.lineWidth = 1.5 * pixel;
  context.setLineDash([5 * pixel, 5 * pixel]);
  context.beginPath();
  points.forEach((point, i) => (i ? context.lineTo(point.x, point.y) : context.moveTo(point.x, point.y)));
  context.stroke();
  context.setLineDash([]);
}

/**
 * @param {CanvasRenderingContext2D} context @param {readonly Guide[]} guides @param {Theme} theme
 * @param {number} pixel
 */
function paintGuides(context, guides, theme, pixel) {
  context.strokeStyle = theme.accent;
  context.lineWidth = pixel;
  context.beginPath();
  for (const { axis, at, from, to } of guides) {
    const [a, b] = [from - 12, to + 12];
    context.moveTo(axis === "x" ? at : a, axis === "x" ? a : at);
    context.lineTo(axis === "x" ? at : b, axis === "x" ? b : at);
  }
  context.stroke();
}

/**
 * What is touched is taken by a dashed marquee, what is contained by a full one.
 * @param {CanvasRenderingContext2D} context @param {NonNullable<Marks["marquee"]>} marquee @param {Theme} theme
 * @param {number} pixel
 */
function paintMarquee(context, { box, touch }, theme, pixel) {
  context.fillStyle = theme.accent;
  context.globalAlpha = 0.12;
  context.fillRect(box.x, box.y, box.width, box.height);
  context.globalAlpha = 1;
  context.strokeStyle = theme.accent;
  context.lineWidth = pixel;
  context.setLineDash(touch ? [5 * pixel, 4 * pixel] : []);
  context.strokeRect(box.x, box.y, box.width, box.height);
  context.setLineDash([]);
}

/** The map in the corner: where all nodes lie, what of them is seen; a press moves the view there. */

import { fit, toCanvas, toScreen, visible } from "../geometry/transform.js";
import { COLORS } from "../store/types.js";
import { problemOf } from "./canvas/bodies.js";
import { readTheme, watchTheme } from "./canvas/theme.js";
import { el } from "./dom.js";

/** @import {Editor} from "../editor.js" */
/** @import {Box} from "../store/types.js" */
/** @import {View} from "../geometry/transform.js" */

const SIZE = { width: 200, height: 130 };

/** @param {Editor} editor @param {HTMLElement} host */
export function mount(editor, host) {
  return new Minimap(editor, host);
}

/** The map. What lies there is drawn anew only when it changed; the frame of the view is laid over. */
class Minimap {
  /** @param {Editor} editor @param {HTMLElement} host */
  constructor(editor, host) {
    this.editor = editor;
    this.host = host;
    const ratio = window.devicePixelRatio || 1;
    const size = { width: SIZE.width * ratio, height: SIZE.height * ratio };
    this.ratio = ratio;
    this.nodes = el("canvas", { "aria-hidden": "true", ...size });
    this.seen = el("canvas", { "aria-hidden": "true", ...size });
    this.element = el(
      "div",
      { class: "minimap", role: "img", "aria-label": "Map of the workflow" },
      this.nodes,
      this.seen,
    );
    this.element.dataset.panel = "minimap";
    host.append(this.element);
    this.theme = readTheme(COLORS);
    /** @type {View} from the canvas to the map */
    this.view = { x: 0, y: 0, zoom: 1 };
    this.stale = true;
    this.frame = 0;
    this.offs = this.listen();
    this.pointer();
    this.redraw();
  }

  listen() {
    const { editor } = this;
    const all = /** @type {const} */ (["document", "session", "scope", "catalogue", "problems", "run", "outputs"]);
    return [
      ...all.map((type) => editor.on(type, () => this.redraw())),
      editor.on("view", () => this.later()),
      editor.settings.onChange(() => this.redraw()),
      watchTheme(() => {
        this.theme = readTheme(COLORS);
        this.redraw();
      }),
    ];
  }

  pointer() {
    const { element } = this;
    const go = (/** @type {PointerEvent} */ event) => {
      const { left, top } = element.getBoundingClientRect();
      const point = toCanvas(this.view, { x: event.clientX - left, y: event.clientY - top });
      const { canvas } = this.editor;
      if (!canvas) return;
      const { zoom } = canvas.camera.view;
      const { width, height } = canvas.camera.size;
      canvas.camera.set({ x: width / 2 - point.x * zoom, y: height / 2 - point.y * zoom, zoom });
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
      go(event);
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && go(event));
    element.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.editor.canvas?.camera.zoomBy(Math.exp(-event.deltaY * 0.002));
      },
      { passive: false },
    );
  }

  redraw() {
    this.stale = true;
    this.later();
  }

  later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { canvas, settings } = this.editor;
    this.host.hidden = !settings.get("minimap") || !canvas || canvas.scene.nodes.size === 0;
    if (this.host.hidden || !canvas) return;
    if (this.stale) this.drawNodes(canvas);
    this.stale = false;
    this.drawSeen(canvas);
  }

  /** @param {import("./canvas/canvas.js").Canvas} canvas */
  drawNodes(canvas) {
    const context = this.nodes.getContext("2d");
    const extent = canvas.scene.extent();
    if (!context || !extent) return;
    this.view = fit(extent, SIZE, { margin: 10, largest: 0.12, least: 1e-6 });
    const { x, y, zoom } = this.view;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.nodes.width, this.nodes.height);
    context.setTransform(zoom * this.ratio, 0, 0, zoom * this.ratio, x * this.ratio, y * this.ratio);
    const { theme, editor } = this;
    for (const [id] of canvas.scene.frames) {
      const box = canvas.scene.frameBox(id);
      context.fillStyle = theme.colors.get(canvas.scene.frames.get(id)?.color ?? "") ?? theme.dot;
      context.globalAlpha = 0.5;
      if (box) context.fillRect(box.x, box.y, box.width, box.height);
    }
    context.globalAlpha = 1;
    /** @type {Box[]} */
    const wrong = [];
    for (const placed of canvas.scene.nodes.values()) {
      if (placed.hidden !== null) continue;
      const state = canvas.runOf(placed.id).state;
      if (state === "failed" || problemOf(editor, placed.id)) wrong.push(placed.box);
      context.fillStyle =
        state === "running" ? theme.accent : (theme.colors.get(placed.node.view.color ?? "") ?? theme.node);
      drawBox(context, placed.box, 2 / zoom);
    }
    context.fillStyle = theme.danger;
    for (const box of wrong) drawBox(context, box, 5 / zoom);
    this.element.dataset.errors = String(wrong.length);
  }

  /** @param {import("./canvas/canvas.js").Canvas} canvas */
  drawSeen(canvas) {
    const context = this.seen.getContext("2d");
    if (!context) return;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, SIZE.width, SIZE.height);
    const seen = visible(canvas.camera.view, canvas.camera.size);
    const a = toScreen(this.view, seen);
    const b = toScreen(this.view, { x: seen.x + seen.width, y: seen.y + seen.height });
    const [left, top] = [Math.max(1, a.x), Math.max(1, a.y)];
    const [right, bottom] = [Math.min(SIZE.width - 1, b.x), Math.min(SIZE.height - 1, b.y)];
    context.strokeStyle = this.theme.accent;
    context.lineWidth = 1.5;
    context.strokeRect(left, top, Math.max(2, right - left), Math.max(2, bottom - top));
  }

  destroy() {
    for (const off of this.offs) off();
    cancelAnimationFrame(this.frame);
    this.element.remove();
  }
}

/**
 * Even far out a node is to be seen.
 * @param {CanvasRenderingContext2D} context @param {Box} box @param {number} least
 */
function drawBox(context, box, least) {
  context.fillRect(box.x, box.y, Math.max(least, box.width), Math.max(least, box.height));
}

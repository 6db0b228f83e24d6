/** The canvas: the scene of the open tab, drawn, and all that is asked of it by commands and panels. */

import { visible } from "../../geometry/transform.js";
import { COLORS } from "../../store/types.js";
import { idsOf } from "../../store/names.js";
import { el, set } from "../dom.js";
import { mediaHeight } from "../media.js";
import { Camera } from "./camera.js";
import { FrameLayer } from "./frames.js";
import { hit } from "./hit.js";
import { Legend } from "./legend.js";
import { NodeLayer } from "./nodes.js";
import { paintMarks } from "./overlay.js";
import { paint } from "./paint.js";
import { Pointer } from "./pointer.js";
import { Scene } from "./scene.js";
import { States } from "./states.js";
import { readTheme, watchTheme } from "./theme.js";
import { editText } from "./typing.js";

/** @import {Editor} from "../../editor.js" */
/** @import {Box, Item, NodeRun, Point} from "../../store/types.js" */
/** @import {View} from "../../geometry/transform.js" */
/** @import {Marks} from "./overlay.js" */
/** @import {NodeView} from "./node.js" */

/** @type {ReadonlySet<string>} */
const NONE = new Set();
/** Farther out, titles are drawn larger. */
const FAR_ZOOM = 0.62;
const NARROW = 700;
/** Scenes that are kept, so that going to and fro between tabs measures nothing anew. */
const SCENES = 6;

/** Tab, and place in it. @param {Editor["session"]} session */
const pathOf = (session) => `${session.id}/${session.path.join("/")}`;

/**
 * Put the canvas into its place.
 * @param {Editor} editor @param {HTMLElement} host
 */
export function mount(editor, host) {
  const canvas = new Canvas(editor, host);
  editor.canvas = canvas;
  return canvas;
}

/** What commands and panels ask; `point` is on the canvas, `place` in its element, `client` in the window. */
export class Canvas {
  /** @param {Editor} editor @param {HTMLElement} host */
  constructor(editor, host) {
    this.editor = editor;
    this.host = host;
    this.ground = el("canvas", { class: "canvas-ground", "aria-hidden": "true" });
    this.below = el("div", { class: "canvas-layer" });
    this.layer = el("div", { class: "canvas-layer" });
    this.above = el("canvas", { class: "canvas-above", "aria-hidden": "true", hidden: true });
    this.hint = el("div", { class: "canvas-hint", hidden: true });
    this.legend = new Legend(this);
    host.append(this.ground, this.below, this.layer, this.above, this.hint, this.legend.element);
    set(host, { class: "canvas", tabindex: "0", role: "application", "aria-label": "Canvas" });
    this.camera = new Camera((view) => this.onView(view));
    this.frames = new FrameLayer(this.below);
    this.nodes = new NodeLayer(this.newHost(), this.layer);
    /** Those that were shown last, by tab and place in it. @type {Map<string, Scene>} */
    this.scenes = new Map();
    this.scene = this.newScene();
    this.path = "";
    this.theme = readTheme(COLORS);
    /** @type {Marks} what the gesture of the moment shows */
    this.marks = {};
    /** @type {ReadonlySet<string>} links that are being moved away */
    this.faint = NONE;
    /** @type {ReadonlySet<string>} */
    this.lit = NONE;
    /** @type {((node: NodeView) => void) | null} */
    this.decoration = null;
    this.frame = 0;
    /** @type {string | null} the link below the pointer */
    this.hovered = null;
    this.hurry = true;
    this.pointer = new Pointer(this);
    this.states = new States(this);
    this.offs = this.listen();
    this.resize();
    this.show();
  }

  listen() {
    const { editor } = this;
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(this.host);
    const offs = [
      editor.on("document", () => this.follow()),
      editor.on("selection", () => this.onSelection()),
      editor.on("scope", () => this.show()),
      editor.on("session", () => this.show()),
      editor.on("catalogue", () => this.retype()),
      editor.settings.onChange(() => this.invalidate()),
      watchTheme(() => this.retheme()),
      () => observer.disconnect(),
    ];
    return offs;
  }

  /** @returns {import("./rows.js").RowHost} */
  newHost() {
    const { editor } = this;
    return {
      editor,
      look: (type) => editor.catalogue.look(type),
      read: (id, output) => this.isRead(id, output),
      decorate: (node) => this.decorate(node),
    };
  }

  newScene() {
    const { editor } = this;
    return new Scene({
      type: (node, graph) => editor.catalogue.type(node, graph),
      settled: (node) => node.graph === null && editor.catalogue.find(node.type ?? "") !== undefined,
      fit: (source, target) => editor.catalogue.fit(source, target),
      look: (type) => editor.catalogue.look(type),
      media: (id, width) => mediaHeight(editor, id, width),
    });
  }

  // What happens in the editor

  /** Show the open tab's graph from its start. */
  show() {
    const { session } = this.editor;
    this.pointer.cancel();
    this.nodes.clear();
    this.path = pathOf(session);
    this.scene = this.scenes.get(this.path) ?? this.newScene();
    this.scenes.delete(this.path);
    this.scenes.set(this.path, this.scene);
    for (const path of [...this.scenes.keys()].slice(0, -SCENES)) this.scenes.delete(path);
    this.scene.update(session.graph, { remeasure: "all" });
    this.scene.touched.clear();
    this.hurry = true;
    this.legend.update();
    this.onSelection();
    if (session.view) this.camera.set(session.view);
    else this.fit(undefined, { animate: false });
  }

  /** Node types are others now. */
  retype() {
    for (const [path, scene] of this.scenes) if (scene !== this.scene) this.scenes.delete(path);
    this.follow({ retype: true });
  }

  /**
   * Take over what changed in the document.
   * @param {{retype?: boolean, remeasure?: ReadonlySet<string> | "all"}} [options]
   */
  follow(options) {
    const { session } = this.editor;
    if (this.path !== pathOf(session)) return this.show();
    this.scene.update(session.graph, options);
    for (const id of this.scene.touched) this.nodes.get(id)?.refresh();
    this.scene.touched.clear();
    this.relight();
    this.legend.update();
    this.invalidate();
  }

  onSelection() {
    const ids = idsOf(this.editor.session.selection, "node");
    this.scene.raise(ids);
    const last = [...ids].at(-1);
    if (last !== undefined) this.nodes.rove(last);
    this.relight();
    this.invalidate();
  }

  /** Links of selected nodes are seen first. */
  relight() {
    const ids = idsOf(this.editor.session.selection, "node");
    if (!ids.size || ids.size > 50) {
      this.lit = NONE;
      return;
    }
    const lit = new Set();
    for (const id of ids) for (const key of this.scene.around.get(id) ?? []) lit.add(key);
    this.lit = lit;
  }

  /** @param {View} view */
  onView(view) {
    this.editor.session.setView(view);
    this.invalidate();
  }

  retheme() {
    this.theme = readTheme(COLORS);
    this.invalidate();
  }

  resize() {
    const { width, height } = this.host.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.camera.size = { width: Math.max(1, width), height: Math.max(1, height) };
    this.ratio = ratio;
    // On a phone the form is what is worked with; the canvas is only looked at.
    this.host.toggleAttribute("data-readonly", window.innerWidth < NARROW);
    for (const canvas of [this.ground, this.above]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    this.draw();
  }

  // Drawing

  /** Have everything drawn in the next frame. */
  invalidate() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { scene, theme, lit, faint, hovered } = this;
    const { view, size } = this.camera;
    const ratio = this.ratio ?? 1;
    const { selection } = this.editor.session;
    const near = `translate(${whole(view.x, ratio)}px, ${whole(view.y, ratio)}px) scale(${view.zoom})`;
    for (const layer of [this.layer, this.below]) {
      layer.style.transform = near;
      layer.toggleAttribute("data-far", view.zoom < FAR_ZOOM);
    }
    this.frames.sync(scene, selection, visible(view, size, 100));
    const run = (/** @type {string} */ id) => this.runOf(id);
    const { boxes, done } = this.nodes.sync({ scene, view, size, selection, hurry: this.hurry });
    this.hurry = false;
    const state = (/** @type {string} */ id) => run(id).state;
    const look = (/** @type {string} */ type) => this.editor.catalogue.look(type);
    const context = this.ground.getContext("2d", { alpha: false });
    if (context)
      paint(context, { scene, view, size, ratio, theme, selection, boxes, lit, faint, hovered, state, look });
    this.drawMarks();
    if (!done) this.invalidate();
  }

  drawMarks() {
    const empty = Object.keys(this.marks).length === 0;
    if (empty && this.above.hidden) return;
    this.above.hidden = empty;
    const context = this.above.getContext("2d");
    const { view, size } = this.camera;
    const ratio = this.ratio ?? 1;
    if (context) paintMarks(context, this.marks, { scene: this.scene, view, size, ratio, theme: this.theme });
  }

  /** Show what a gesture does; {} when it is over. @param {Marks} marks */
  mark(marks) {
    this.marks = marks;
    this.invalidate();
  }

  /**
   * Say something beside the pointer; null takes it away.
   * @param {string | null} text @param {Point} [client] @param {"plain" | "refused"} [kind]
   */
  say(text, client, kind = "plain") {
    this.hint.hidden = text === null;
    if (text === null || !client) return;
    const place = this.placeOf(client);
    this.hint.textContent = text;
    this.hint.dataset.kind = kind;
    this.hint.style.translate = `${Math.min(place.x + 16, this.camera.size.width - 240)}px ${place.y + 18}px`;
  }

  /** @param {NodeView} node */
  decorate(node) {
    this.states.show(node);
    this.decoration?.(node);
  }

  /**
   * Mark all nodes that are seen, now and as they come; null ends it.
   * @param {((node: NodeView) => void) | null} decoration
   */
  decorateAll(decoration) {
    this.decoration = decoration;
    if (decoration) for (const node of this.nodes.shown.values()) decoration(node);
  }

  // Questions

  /** What a node does in the tab's last job. @param {string} id @returns {NodeRun} */
  runOf(id) {
    return this.states.runOf(id);
  }

  /** @param {string} id @param {string} output */
  isRead(id, output) {
    for (const key of this.scene.around.get(id) ?? []) {
      const wire = this.scene.wires.get(key);
      if (wire?.source === id && wire.output === output) return true;
    }
    return false;
  }

  /** @param {Point} client @returns {Point} in this element */
  placeOf(client) {
    const { left, top } = this.host.getBoundingClientRect();
    return { x: client.x - left, y: client.y - top };
  }

  /** @param {Point} client @returns {Point} on the canvas */
  pointOf(client) {
    return this.camera.toCanvas(this.placeOf(client));
  }

  /** @param {Point} point on the canvas @returns {Point} in the window */
  clientOf(point) {
    const { left, top } = this.host.getBoundingClientRect();
    const place = this.camera.toScreen(point);
    return { x: place.x + left, y: place.y + top };
  }

  /** Light the link below the pointer. @param {string | null} key */
  hover(key) {
    if (key === this.hovered) return;
    this.hovered = key;
    this.host.toggleAttribute("data-wire", key !== null);
    this.invalidate();
  }

  /** @param {Point} client */
  hitAt(client) {
    return hit(this.scene, this.pointOf(client), this.camera.view.zoom);
  }

  /** Where the pointer is on the canvas, or the middle of what is seen. @returns {Point} */
  get here() {
    return this.pointer.over ? this.pointOf(this.pointer.last) : this.middle;
  }

  /** @returns {Point} */
  get middle() {
    return this.camera.toCanvas(this.camera.middle);
  }

  /** @param {Item} item @returns {Box | null} */
  boxOf(item) {
    return this.scene.itemBox(item);
  }

  // What is asked for

  /** Show items, or everything. @param {Iterable<Item>} [items] @param {{animate?: boolean}} [options] */
  fit(items, { animate = true } = {}) {
    this.camera.fit(this.scene.extent(items), animate);
  }

  /** Move the view so that items are seen. @param {Iterable<Item>} items */
  reveal(items) {
    const box = this.scene.extent(items);
    if (box) this.camera.reveal(box);
  }

  /** Go to a node: select it, show it, give it the focus. @param {string} id */
  goTo(id) {
    this.editor.session.select([`node:${id}`]);
    this.reveal([`node:${id}`]);
    this.focus(id);
  }

  /** Give a node the focus, or the canvas. @param {string} [id] */
  focus(id) {
    this.draw();
    const element = id === undefined ? null : this.nodes.get(id)?.element;
    if (id !== undefined) this.nodes.rove(id);
    (element ?? this.host).focus({ preventScroll: true });
  }

  /** Type a title or a text where it stands. @param {Item} item @returns {boolean} */
  rename(item) {
    return editText(this, item);
  }

  destroy() {
    for (const off of this.offs) off();
    this.states.destroy();
    cancelAnimationFrame(this.frame);
    this.pointer.destroy();
    this.nodes.clear();
    this.host.replaceChildren();
    this.editor.canvas = null;
  }
}

/** A place on whole device pixels, so that text is sharp. @param {number} value @param {number} ratio */
const whole = (value, ratio) => Math.round(value * ratio) / ratio;

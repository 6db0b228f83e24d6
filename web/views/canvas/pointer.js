/** What the pointer does on the canvas: which gesture begins, who gets its moves, and when it is over. */

import { isTyping } from "../dom.js";
import { begin, isMod } from "./gestures.js";
import { pan } from "./gestures/pan.js";
import { pinch } from "./gestures/pinch.js";
import { Wheel } from "./wheel.js";

/** @import {Point} from "../../store/types.js" */
/** @import {Canvas} from "./canvas.js" */

/**
 * Something that is done with the pointer held down.
 * @typedef {Object} Gesture
 * @property {(event: PointerEvent) => void} move
 * @property {(event: PointerEvent) => void} end
 * @property {() => void} cancel
 * @property {boolean} [autopan] whether the view moves on when the pointer comes to its edge
 * @property {string} [cursor]
 */

const EDGE = 32;
const SPEED = 14;
const LONG = 550;

/** Turns pointer events into gestures. */
export class Pointer {
  /** @param {Canvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {Gesture | null} */
    this.gesture = null;
    /** @type {Map<number, PointerEvent>} fingers that are down */
    this.touches = new Map();
    /** @type {Point} where the pointer is in the window */
    this.last = { x: 0, y: 0 };
    this.over = false;
    this.space = false;
    /** Whether a drag began since the button went down. */
    this.dragged = false;
    /** @type {PointerEvent | null} */
    this.event = null;
    this.pointerId = -1;
    this.autopan = 0;
    this.press = 0;
    this.stop = new AbortController();
    this.listen();
    this.wheel = new Wheel(canvas, this.stop.signal);
  }

  listen() {
    const { host } = this.canvas;
    const { signal } = this.stop;
    host.addEventListener("pointerdown", (event) => this.onDown(event), { signal, capture: true });
    host.addEventListener("pointermove", (event) => this.onMove(event), { signal });
    host.addEventListener("pointerup", (event) => this.onUp(event), { signal });
    host.addEventListener("pointercancel", (event) => this.onCancel(event), { signal });
    host.addEventListener("lostpointercapture", (event) => this.onLost(event), { signal });
    host.addEventListener("pointerleave", () => this.leave(), { signal });
    host.addEventListener("focusin", (event) => this.onFocus(event), { signal });
    host.addEventListener("mousedown", (event) => this.onMouse(event), { signal });
    host.addEventListener("auxclick", (event) => event.preventDefault(), { signal });
    host.addEventListener("dblclick", (event) => this.onDouble(event), { signal });
    host.addEventListener("contextmenu", (event) => this.onMenu(event), { signal });
    window.addEventListener("keydown", (event) => this.onKey(event, true), { signal, capture: true });
    window.addEventListener("keyup", (event) => this.onKey(event, false), { signal, capture: true });
    window.addEventListener("blur", () => this.release(), { signal });
  }

  /** @param {PointerEvent} event */
  onDown(event) {
    this.note(event);
    if (event.pointerType === "touch") this.touches.set(event.pointerId, event);
    if (this.touches.size === 2) return this.take(event, pinch(this.canvas, this.touches));
    if (this.gesture) return;
    if (event.button === 1 || (event.button === 0 && this.space)) return this.take(event, pan(this.canvas, event));
    if (isOwn(event.target)) return selectAround(this.canvas, event);
    this.dragged = false;
    const gesture = begin(this.canvas, event);
    if (gesture) this.take(event, gesture, false);
    if (event.pointerType === "touch") this.press = window.setTimeout(() => this.onLong(event), LONG);
  }

  /**
   * Begin a gesture.
   * @param {PointerEvent} event @param {Gesture} gesture
   * @param {boolean} [now] whether the page is to know nothing of it
   */
  take(event, gesture, now = true) {
    this.gesture?.cancel();
    clearTimeout(this.press);
    this.canvas.hover(null);
    this.gesture = gesture;
    this.pointerId = event.pointerId;
    this.event = event;
    if (!now) return;
    event.preventDefault();
    event.stopPropagation();
    this.hold(gesture);
  }

  /** From now on the pointer is the gesture's, wherever it goes. @param {Gesture} gesture */
  hold(gesture) {
    this.gesture = gesture;
    this.dragged = true;
    clearTimeout(this.press);
    const { host } = this.canvas;
    if (!host.hasPointerCapture(this.pointerId)) host.setPointerCapture(this.pointerId);
    host.dataset.gesture = gesture.cursor ?? "grab";
    if (gesture.autopan && !this.autopan) this.autopan = requestAnimationFrame(() => this.follow());
  }

  /** @param {PointerEvent} event */
  onMove(event) {
    this.note(event);
    if (this.touches.has(event.pointerId)) this.touches.set(event.pointerId, event);
    if (!this.gesture) this.hover(event);
    if (!this.gesture || (event.pointerId !== this.pointerId && this.touches.size < 2)) return;
    this.event = event;
    this.gesture.move(event);
  }

  /** @param {PointerEvent} event */
  hover(event) {
    const { host } = this.canvas;
    const free = event.target === host && event.buttons === 0 && event.pointerType !== "touch";
    const hit = free ? this.canvas.hitAt(this.last) : null;
    this.canvas.hover(hit?.kind === "wire" || hit?.kind === "bend" ? hit.key : null);
  }

  /** @param {PointerEvent} event */
  onUp(event) {
    this.note(event);
    this.touches.delete(event.pointerId);
    clearTimeout(this.press);
    const gesture = this.gesture;
    if (!gesture || (event.pointerId !== this.pointerId && event.pointerType !== "touch")) return;
    this.finish();
    gesture.end(event);
  }

  /** @param {PointerEvent} event */
  onCancel(event) {
    this.touches.delete(event.pointerId);
    this.cancel();
  }

  /** @param {PointerEvent} event */
  onLost(event) {
    if (this.gesture && event.pointerId === this.pointerId && this.dragged && !this.touches.size) this.cancel();
  }

  /** Give the gesture up; nothing comes of it. */
  cancel() {
    const gesture = this.gesture;
    this.finish();
    gesture?.cancel();
  }

  finish() {
    this.gesture = null;
    cancelAnimationFrame(this.autopan);
    this.autopan = 0;
    clearTimeout(this.press);
    const { host } = this.canvas;
    delete host.dataset.gesture;
    if (this.pointerId >= 0 && host.hasPointerCapture(this.pointerId)) host.releasePointerCapture(this.pointerId);
  }

  /** At the edge the view moves on, and the gesture with it. */
  follow() {
    if (!this.gesture?.autopan || !this.event) return void (this.autopan = 0);
    const { x, y } = this.canvas.placeOf(this.last);
    const { width, height } = this.canvas.camera.size;
    const [dx, dy] = [edge(x, width), edge(y, height)];
    if (dx || dy) {
      this.canvas.camera.pan(-dx, -dy);
      this.gesture.move(this.event);
    }
    this.autopan = requestAnimationFrame(() => this.follow());
  }

  /** @param {KeyboardEvent} event @param {boolean} down */
  onKey(event, down) {
    if (event.key === "Escape" && down && this.gesture) {
      event.preventDefault();
      event.stopPropagation();
      this.cancel();
    }
    if (event.key !== " " || isTyping(event.target)) return;
    this.space = down;
    this.canvas.host.toggleAttribute("data-space", down);
  }

  release() {
    this.space = false;
    this.canvas.host.removeAttribute("data-space");
  }

  /** The middle button scrolls nothing by itself, and a press on the ground takes no text. @param {MouseEvent} event */
  onMouse(event) {
    if (event.button === 1 || this.space) event.preventDefault();
  }

  /** @param {MouseEvent} event */
  onDouble(event) {
    if (isOwn(event.target) || this.canvas.host.dataset.readonly !== undefined) return;
    const client = { x: event.clientX, y: event.clientY };
    this.canvas.editor.perform("graph.open", { client, hit: this.canvas.hitAt(client) });
  }

  /** @param {MouseEvent} event */
  onMenu(event) {
    if (isTyping(event.target)) return;
    event.preventDefault();
    if (isMod(event) || event.shiftKey || this.dragged) return;
    this.menu({ x: event.clientX, y: event.clientY });
  }

  /** @param {PointerEvent} event */
  onLong(event) {
    this.cancel();
    this.dragged = true;
    this.menu({ x: event.clientX, y: event.clientY });
  }

  /** @param {Point} screen */
  menu(screen) {
    if (this.canvas.host.dataset.readonly !== undefined) return;
    const hit = this.canvas.hitAt(screen);
    const point = this.canvas.pointOf(screen);
    const { editor } = this.canvas;
    if (hit.kind === "node" || hit.kind === "frame" || hit.kind === "note") {
      const item = /** @type {const} */ (`${hit.kind}:${hit.id}`);
      if (!editor.session.selection.has(item)) editor.session.select([item]);
      editor.perform("menu.context", { screen, point, kind: hit.kind, id: hit.id });
    } else if (hit.kind === "port") {
      editor.perform("menu.context", { screen, point, kind: "port", id: hit.id, port: `${hit.side}:${hit.name}` });
    } else if (hit.kind === "wire" || hit.kind === "bend") {
      editor.perform("menu.context", { screen, point, kind: "link", id: hit.key });
    } else editor.perform("menu.context", { screen, point, kind: "canvas" });
  }

  leave() {
    this.over = false;
    this.canvas.hover(null);
  }

  /** Whoever comes to a node by keys works on it. @param {FocusEvent} event */
  onFocus(event) {
    const { target } = event;
    if (!(target instanceof HTMLElement) || !target.classList.contains("node") || !target.matches(":focus-visible"))
      return;
    const id = target.dataset.node ?? "";
    const { session } = this.canvas.editor;
    if (!session.selection.has(`node:${id}`)) session.select([`node:${id}`]);
  }

  /** @param {PointerEvent} event */
  note(event) {
    this.last = { x: event.clientX, y: event.clientY };
    this.over = true;
  }

  destroy() {
    this.cancel();
    this.stop.abort();
  }
}

/** Working at a field selects its node. @param {Canvas} canvas @param {PointerEvent} event */
function selectAround(canvas, event) {
  const id = event.target instanceof Element ? event.target.closest("[data-node]")?.getAttribute("data-node") : null;
  if (!id || canvas.editor.session.selection.has(`node:${id}`) || event.shiftKey || event.ctrlKey || event.metaKey)
    return;
  canvas.editor.session.select([`node:${id}`]);
}

/** @param {number} at @param {number} length */
function edge(at, length) {
  if (at < EDGE) return -SPEED * Math.min(2, (EDGE - at) / EDGE);
  return at > length - EDGE ? SPEED * Math.min(2, (at - length + EDGE) / EDGE) : 0;
}

/** Whether what is pressed takes care of itself: a field, a button, a text. @param {EventTarget | null} target */
function isOwn(target) {
  if (!(target instanceof Element) || target.closest("[data-port]")) return false;
  return target.closest(".row-body, .row-media, .title-edit, .note-edit, [data-own], input, textarea, select") !== null;
}

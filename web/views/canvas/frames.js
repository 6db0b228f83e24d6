/** Frames and notes as elements below the links. Few are there all the time; of many, those that are in view. */

import { overlaps } from "../../geometry/transform.js";
import { el } from "../dom.js";

/** @import {Box, Item} from "../../store/types.js" */
/** @import {Scene} from "./scene.js" */

const FEW = 200;

/** Draws frames and notes. */
export class FrameLayer {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    /** @type {Map<Item, {element: HTMLElement, text: HTMLElement}>} */
    this.drawn = new Map();
  }

  /** @param {Scene} scene @param {ReadonlySet<Item>} selection @param {Box} seen */
  sync(scene, selection, seen) {
    const few = scene.frames.size + scene.notes.size <= FEW;
    const single = selection.size === 1; // one may be about to be typed into, wherever it is
    const wanted = new Set();
    const isNear = (/** @type {Item} */ item) => {
      const box = few ? null : scene.itemBox(item);
      const near = box === null || overlaps(box, seen) || (single && selection.has(item));
      if (near) wanted.add(item);
      return near;
    };
    for (const [id, frame] of scene.frames) {
      if (!isNear(`frame:${id}`)) continue;
      const text = frame.title || "Frame";
      this.draw(scene, `frame:${id}`, { text, color: frame.color, closed: frame.collapsed === true }, selection);
    }
    for (const [id, note] of scene.notes) {
      if (!isNear(`note:${id}`)) continue;
      this.draw(scene, `note:${id}`, { text: note.text, color: note.color, closed: false }, selection);
    }
    for (const [item, { element }] of this.drawn) {
      if (wanted.has(item)) continue;
      element.remove();
      this.drawn.delete(item);
    }
  }

  /**
   * @param {Scene} scene @param {Item} item @param {{text: string, color: string | undefined, closed: boolean}} shown
   * @param {ReadonlySet<Item>} selection
   */
  draw(scene, item, { text, color, closed }, selection) {
    const drawn = this.drawn.get(item) ?? this.make(item);
    const box = scene.itemBox(item);
    if (!box) return;
    const { style, dataset } = drawn.element;
    style.translate = `${box.x}px ${box.y}px`;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
    if (drawn.text.textContent !== text) drawn.text.textContent = text;
    if (color === undefined) delete dataset.color;
    else dataset.color = color;
    drawn.element.toggleAttribute("data-collapsed", closed);
    drawn.element.toggleAttribute("data-selected", selection.has(item));
    drawn.element.setAttribute("aria-label", `${item.startsWith("frame:") ? "frame" : "note"} ${text}`);
  }

  /** @param {Item} item */
  make(item) {
    const kind = item.startsWith("frame:") ? "frame" : "note";
    const text = el("div", { class: `${kind}-text` });
    const element = el("section", { class: kind, role: "group" }, text, el("div", { class: "box-resize" }));
    element.dataset[kind] = item.slice(kind.length + 1);
    const drawn = { element, text };
    this.drawn.set(item, drawn);
    this.element.append(element);
    return drawn;
  }
}

/** A marquee: drawn to the right it takes what it contains, drawn to the left what it touches. */

import { contains, overlaps, spanned } from "../../../geometry/transform.js";

/** @import {Box, Item} from "../../../store/types.js" */
/** @import {Canvas} from "../canvas.js" */
/** @import {Gesture} from "../pointer.js" */

/** @param {Canvas} canvas @param {PointerEvent} start @param {boolean} adds @returns {Gesture} */
export function marquee(canvas, start, adds) {
  const { session } = canvas.editor;
  const before = session.selection;
  const from = canvas.pointOf({ x: start.clientX, y: start.clientY });
  const over = () => {
    canvas.mark({});
    canvas.say(null);
  };
  return {
    cursor: "crosshair",
    autopan: true,
    move(event) {
      const client = { x: event.clientX, y: event.clientY };
      const to = canvas.pointOf(client);
      const touch = to.x < from.x;
      const box = spanned(from, to);
      const found = inside(canvas, box, touch);
      session.select(adds ? new Set([...before, ...found]) : found);
      const count = session.selection.size;
      canvas.mark({ marquee: { box, touch } });
      canvas.say(`${count} selected`, client);
    },
    end: over,
    cancel() {
      session.select(before);
      over();
    },
  };
}

/** @param {Canvas} canvas @param {Box} box @param {boolean} touch @returns {Set<Item>} */
function inside(canvas, box, touch) {
  const { scene } = canvas;
  const takes = (/** @type {Box | null} */ other) =>
    other !== null && (touch ? overlaps(box, other) : contains(box, other));
  /** @type {Set<Item>} */
  const found = new Set();
  for (const id of scene.nodeGrid.query(box)) if (takes(scene.itemBox(`node:${id}`))) found.add(`node:${id}`);
  // A frame is taken only whole, or each marquee within one would take it.
  for (const id of scene.frames.keys()) {
    const other = scene.frameBox(id);
    if (other && contains(box, other)) found.add(`frame:${id}`);
  }
  for (const id of scene.notes.keys()) if (takes(scene.noteBox(id))) found.add(`note:${id}`);
  for (const key of scene.wireGrid.query(box)) {
    scene.wires.get(key)?.bends.forEach((bend, i) => {
      if (contains(box, { ...bend, width: 0, height: 0 })) found.add(`route:${key}:${i}`);
    });
  }
  return found;
}

/** What a press begins: nothing until the pointer moves far enough, then the drag that fits what was pressed. */

import { disconnect } from "../../store/edits.js";
import { bendWire, moveItems } from "./gestures/move.js";
import { linkFrom } from "./gestures/link.js";
import { marquee } from "./gestures/marquee.js";
import { pan } from "./gestures/pan.js";
import { resize } from "./gestures/resize.js";
import { stroke } from "./gestures/stroke.js";

/** @import {Item, Point} from "../../store/types.js" */
/** @import {Canvas} from "./canvas.js" */
/** @import {Hit} from "./hit.js" */
/** @import {Gesture} from "./pointer.js" */

const FAR = { mouse: 4, pen: 6, touch: 10 };

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Whether Ctrl, or Cmd on a Mac, is held. @param {MouseEvent} event */
export const isMod = (event) => (isMac ? event.metaKey : event.ctrlKey);

/** @param {PointerEvent} event @returns {Point} */
export const clientOf = (event) => ({ x: event.clientX, y: event.clientY });

/** The item that a hit is. @param {Hit} hit @returns {Item | null} */
export function itemOf(hit) {
  if (hit.kind === "node" || hit.kind === "frame" || hit.kind === "note") return `${hit.kind}:${hit.id}`;
  return hit.kind === "bend" ? `route:${hit.key}:${hit.index}` : null;
}

/** @param {Canvas} canvas @param {PointerEvent} event @returns {Gesture | null} */
export function begin(canvas, event) {
  const hit = canvas.hitAt(clientOf(event));
  if (event.button === 2) {
    if (isMod(event)) return press(canvas, event, () => stroke(canvas, event, "cut"));
    return event.shiftKey ? press(canvas, event, () => stroke(canvas, event, "bend")) : null;
  }
  if (event.button !== 0) return null;
  if (canvas.host.dataset.readonly !== undefined) return press(canvas, event, () => pan(canvas, event));
  const item = itemOf(hit);
  const keeps = event.shiftKey || isMod(event);
  if (item && !keeps && !canvas.editor.session.selection.has(item)) canvas.editor.session.select([item]);
  return press(
    canvas,
    event,
    () => drag(canvas, event, hit),
    () => click(canvas, event, hit),
  );
}

/** @param {Canvas} canvas @param {PointerEvent} start @param {Hit} hit @returns {Gesture} */
function drag(canvas, start, hit) {
  const item = itemOf(hit);
  if (hit.kind === "port") return linkFrom(canvas, start, hit, isMod(start));
  if ("part" in hit && hit.part === "resize" && item) return resize(canvas, start, item);
  if (hit.kind === "wire" && start.pointerType !== "touch") return bendWire(canvas, start, hit);
  if (item) return moveItems(canvas, start, item, start.altKey ? { keepInputs: start.shiftKey } : null);
  return start.pointerType === "touch" ? pan(canvas, start) : marquee(canvas, start, start.shiftKey || isMod(start));
}

/** @param {Canvas} canvas @param {PointerEvent} event @param {Hit} hit */
function click(canvas, event, hit) {
  const { session } = canvas.editor;
  const item = itemOf(hit);
  if (hit.kind === "wire" && event.altKey) {
    canvas.editor.apply("Remove link", (graph) => disconnect(graph, hit.key));
    return;
  }
  if (!item) {
    if (!event.shiftKey && !isMod(event)) session.select([]);
    return;
  }
  if (!event.shiftKey && !isMod(event)) {
    session.select([item]);
    return;
  }
  const next = new Set(session.selection);
  if (!next.delete(item)) next.add(item);
  session.select(next);
}

/**
 * A press that becomes a drag when it moves.
 * @param {Canvas} canvas @param {PointerEvent} start @param {() => Gesture} drag @param {() => void} [click]
 * @returns {Gesture}
 */
function press(canvas, start, drag, click) {
  const far = start.pointerType === "touch" ? FAR.touch : start.pointerType === "pen" ? FAR.pen : FAR.mouse;
  return {
    move(event) {
      if (Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) < far) return;
      const gesture = drag();
      canvas.pointer.hold(gesture);
      gesture.move(event);
    },
    end: () => click?.(),
    cancel: () => {},
  };
}

/** Two fingers: the points below them stay below them. */

import { panned, zoomAbout } from "../../../geometry/transform.js";

/** @import {Canvas} from "../canvas.js" */
/** @import {Gesture} from "../pointer.js" */

/** @param {Canvas} canvas @param {ReadonlyMap<number, PointerEvent>} touches @returns {Gesture} */
export function pinch(canvas, touches) {
  let last = spread(touches);
  return {
    cursor: "grab",
    move() {
      if (touches.size < 2) return;
      const next = spread(touches);
      const { camera } = canvas;
      const place = canvas.placeOf(next);
      const moved = panned(camera.view, next.x - last.x, next.y - last.y);
      camera.set(zoomAbout(moved, place, (moved.zoom * next.size) / Math.max(1, last.size)));
      last = next;
    },
    end: () => {},
    cancel: () => {},
  };
}

/** @param {ReadonlyMap<number, PointerEvent>} touches */
function spread(touches) {
  const [a, b] = [...touches.values()];
  const [dx, dy] = [b.clientX - a.clientX, b.clientY - a.clientY];
  return { x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2, size: Math.hypot(dx, dy) };
}

/** Moving the view. */

/** @import {Canvas} from "../canvas.js" */
/** @import {Gesture} from "../pointer.js" */

/** @param {Canvas} canvas @param {PointerEvent} start @returns {Gesture} */
export function pan(canvas, start) {
  let last = { x: start.clientX, y: start.clientY };
  return {
    cursor: "grab",
    move(event) {
      canvas.camera.pan(event.clientX - last.x, event.clientY - last.y);
      last = { x: event.clientX, y: event.clientY };
    },
    end: () => {},
    cancel: () => {},
  };
}

/** The wheel zooms, two fingers on a trackpad move, and pinching zooms; the page itself never does. */

/** @import {Canvas} from "./canvas.js" */

const TOGETHER = 250;

/** Tells wheels from trackpads. */
export class Wheel {
  /** @param {Canvas} canvas @param {AbortSignal} signal */
  constructor(canvas, signal) {
    this.canvas = canvas;
    this.time = 0;
    this.isPad = false;
    canvas.host.addEventListener("wheel", (event) => this.on(event), { signal, passive: false });
  }

  /** @param {WheelEvent} event */
  on(event) {
    const zooming = event.ctrlKey || event.metaKey;
    if (!zooming && scrolls(event)) return;
    event.preventDefault();
    const { camera } = this.canvas;
    const place = this.canvas.placeOf({ x: event.clientX, y: event.clientY });
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 18 : event.deltaMode ? 400 : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (zooming) camera.zoomBy(Math.exp(-clamp(dy, 120) * (isStep(event) ? 0.0022 : 0.01)), place);
    else if (event.shiftKey) camera.pan(-(dx || dy), 0);
    else if (this.fromPad(event)) camera.pan(-dx, -dy);
    else camera.zoomBy(Math.exp(-clamp(dy, 240) * 0.0018), place);
  }

  /** A trackpad tells of small steps, and of both ways; what begins as one goes on as one. @param {WheelEvent} event */
  fromPad(event) {
    const fresh = event.timeStamp - this.time > TOGETHER;
    this.time = event.timeStamp;
    if (fresh) this.isPad = !isStep(event);
    else if (event.deltaX !== 0) this.isPad = true;
    return this.isPad;
  }
}

/** Whether it is a notch of a wheel. @param {WheelEvent} event */
function isStep(event) {
  if (event.deltaMode !== WheelEvent.DOM_DELTA_PIXEL) return true;
  return event.deltaX === 0 && Math.abs(event.deltaY) >= 50 && Number.isInteger(event.deltaY);
}

/** @param {number} value @param {number} most */
const clamp = (value, most) => Math.max(-most, Math.min(most, value));

/** Whether it scrolls a text that has the focus and goes on that way. @param {WheelEvent} event */
function scrolls(event) {
  for (
    let at = event.target instanceof Element ? event.target : null;
    at && !at.classList.contains("canvas");
    at = at.parentElement
  ) {
    if (at.scrollHeight <= at.clientHeight + 1 || !at.contains(document.activeElement)) continue;
    if (!["auto", "scroll"].includes(getComputedStyle(at).overflowY)) continue;
    const end = at.scrollHeight - at.clientHeight;
    if (event.deltaY < 0 ? at.scrollTop > 0 : at.scrollTop < end - 1) return true;
  }
  return false;
}

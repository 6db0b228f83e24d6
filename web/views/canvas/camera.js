/** Which part of the canvas is seen: kept by the tab, moved at once or smoothly. */

import { between, centred, fit, panned, toCanvas, toScreen, zoomAbout } from "../../geometry/transform.js";
import { reducedMotion } from "../dom.js";

/** @import {Box, Point} from "../../store/types.js" */
/** @import {View, Size} from "../../geometry/transform.js" */

const TIME = 180;

/** The view and its size. */
export class Camera {
  /** @param {(view: View) => void} changed called whenever the view is another */
  constructor(changed) {
    this.changed = changed;
    /** @type {View} */
    this.view = { x: 0, y: 0, zoom: 1 };
    /** @type {Size} */
    this.size = { width: 1, height: 1 };
    this.animation = 0;
  }

  /** @param {View} view */
  set(view) {
    cancelAnimationFrame(this.animation);
    this.animation = 0;
    this.jump(view);
  }

  /** @param {View} view */
  jump(view) {
    if (![view.x, view.y, view.zoom].every(Number.isFinite)) return;
    this.view = view;
    this.changed(view);
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.set(panned(this.view, dx, dy));
  }

  /** @param {number} factor @param {Point} [place] on the screen; the middle where there is none */
  zoomBy(factor, place = this.middle) {
    this.set(zoomAbout(this.view, place, this.view.zoom * factor));
  }

  /** The middle of the screen. @returns {Point} */
  get middle() {
    return { x: this.size.width / 2, y: this.size.height / 2 };
  }

  /** Go to a view; smoothly, unless the user wants none of that. @param {View} target @param {boolean} [animate] */
  go(target, animate = true) {
    if (!animate || reducedMotion()) return this.set(target);
    cancelAnimationFrame(this.animation);
    const [from, start] = [this.view, performance.now()];
    const step = () => {
      const t = Math.min(1, (performance.now() - start) / TIME);
      this.animation = t < 1 ? requestAnimationFrame(step) : 0;
      this.jump(between(from, target, 1 - (1 - t) ** 3, this.size));
    };
    this.animation = requestAnimationFrame(step);
  }

  /** @param {Box | null} box @param {boolean} [animate] */
  fit(box, animate = true) {
    if (box) this.go(fit(box, this.size), animate);
    else this.go(centred({ x: 0, y: 0 }, this.size, 1), animate);
  }

  /**
   * Show a box, moving no farther than needed; far out, it comes nearer.
   * @param {Box} box @param {boolean} [animate]
   */
  reveal(box, animate = true) {
    const zoom = Math.max(this.view.zoom, 0.6);
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const [a, b] = [toScreen(this.view, box), toScreen(this.view, { x: box.x + box.width, y: box.y + box.height })];
    const inside = a.x > 20 && a.y > 20 && b.x < this.size.width - 20 && b.y < this.size.height - 20;
    if (!inside || zoom !== this.view.zoom) this.go(centred(middle, this.size, zoom), animate);
  }

  /** @param {Point} place @returns {Point} */
  toCanvas(place) {
    return toCanvas(this.view, place);
  }

  /** @param {Point} point @returns {Point} */
  toScreen(point) {
    return toScreen(this.view, point);
  }
}

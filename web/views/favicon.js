/** The tab's icon: a ring that closes as a run goes on, a dot where somebody should look. */

import { token } from "./dom.js";

const SIZE = 32;
const STEP = 0.02;

export class Favicon {
  #link = document.querySelector('link[rel="icon"]');
  #own = this.#link?.getAttribute("href") ?? "/icon.svg";
  #shown = "";

  /**
   * Show how far something is, or a dot, or the page's own icon.
   * @param {number | null} part from 0 to 1
   * @param {string | null} color a token of the style
   */
  show(part, color) {
    const state = color === null ? "" : `${color} ${part === null ? "dot" : Math.floor(part / STEP)}`;
    if (state === this.#shown || !(this.#link instanceof HTMLLinkElement)) return;
    this.#shown = state;
    this.#link.href = color === null ? this.#own : draw(part, token(color));
  }
}

/** @param {number | null} part @param {string} color */
function draw(part, color) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  const context = canvas.getContext("2d");
  if (context === null) return "";
  const middle = SIZE / 2;
  context.lineWidth = 6;
  context.strokeStyle = context.fillStyle = color;
  if (part === null) {
    context.beginPath();
    context.arc(middle, middle, 10, 0, 2 * Math.PI);
    context.fill();
  } else {
    context.globalAlpha = 0.28;
    arc(context, 1);
    context.globalAlpha = 1;
    arc(context, Math.max(0.03, part));
  }
  return canvas.toDataURL();
}

/** @param {CanvasRenderingContext2D} context @param {number} part */
function arc(context, part) {
  context.beginPath();
  context.arc(SIZE / 2, SIZE / 2, 12, -Math.PI / 2, (part * 2 - 0.5) * Math.PI);
  context.stroke();
}

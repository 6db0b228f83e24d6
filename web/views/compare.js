/** Two pictures over each other, with an edge between them that is moved by pointer or arrow keys. */

import { el } from "./dom.js";

const STEP = 2;
const VALUES = { "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "50" };

/**
 * @param {{url: string, name: string}} before on the left
 * @param {{url: string, name: string}} after on the right
 * @returns {HTMLElement}
 */
export function compareElement(before, after) {
  const handle = el("div", { class: "compare-handle", role: "slider", tabindex: "0", ...VALUES,
    "aria-label": "Edge between the pictures", autofocus: true });
  const element = el("div", { class: "compare", data: { compare: "50" } },
    el("img", { src: after.url, alt: after.name, draggable: "false" }),
    el("img", { class: "compare-before", src: before.url, alt: before.name, draggable: "false" }),
    handle,
    el("span", { class: "compare-name left cut", text: before.name }),
    el("span", { class: "compare-name right cut", text: after.name }));
  const set = (/** @type {number} */ part) => {
    const edge = Math.min(100, Math.max(0, part));
    element.style.setProperty("--edge", `${edge}%`);
    element.dataset.compare = edge.toFixed(0);
    handle.setAttribute("aria-valuenow", edge.toFixed(0));
  };
  const follow = (/** @type {PointerEvent} */ event) => {
    const { left, width } = element.getBoundingClientRect();
    set(((event.clientX - left) / width) * 100);
  };
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    follow(event);
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) follow(event);
  });
  handle.addEventListener("keydown", (event) => {
    const to = target(event.key, Number(element.dataset.compare));
    if (to === undefined) return;
    set(to);
    event.preventDefault();
    event.stopPropagation();
  });
  set(50);
  return element;
}

/** @param {string} key @param {number} now */
function target(key, now) {
  return new Map([["ArrowLeft", now - STEP], ["ArrowRight", now + STEP], ["Home", 0], ["End", 100]]).get(key);
}

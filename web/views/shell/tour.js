/** A short tour of the page at the first start; Esc or a click puts it away for good. */

import { el } from "../dom.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {{readonly at: string, readonly title: string, readonly text: string}} Step */

/** @type {readonly Step[]} */
const STEPS = [
  { at: "#run", title: "Run", text: "This workflow makes a picture with the model that comes along. Run it: what it "
    + "makes appears on its nodes." },
  { at: "#canvas", title: "The workflow", text: "Nodes, and the links between them. Drag to select, hold Space to move "
    + "the view, turn the wheel to zoom. Change a prompt and run again: only what changed is done anew." },
  { at: '#rail [data-command="palette.open"]', title: "More nodes", text: "Double-click on the canvas, or press "
    + "Shift+A. A link that is dropped on the canvas lists only what fits it." },
  { at: "#dockrail", title: "What goes on", text: "The queue, the pictures that were made, problems, and help for the "
    + "node that is selected." },
  { at: '[data-menu-button="main"]', title: "All else", text: "Everything that can be done has a command. "
    + "Ctrl+Shift+P lists them, ? shows their keys." },
];

/** @type {(() => void) | null} */
let endOpen = null;

/** At the first start, offer the tour; it is never in the way. @param {Editor} editor */
export function offerTour(editor) {
  if (editor.settings.get("tourSeen") || innerWidth < 700) return;
  editor.settings.set("tourSeen", true);
  const action = { title: "Show me around", run: () => openTour(editor) };
  editor.notify({ text: "New here? A short tour shows what is where.", action, seconds: 15 });
}

/** @param {Editor} editor */
export function openTour(editor) {
  endOpen?.();
  const before = document.activeElement;
  const box = el("div", { class: "tour", role: "dialog", "aria-label": "Tour", tabindex: "-1", data: { ownKeys: "" } });
  const ring = el("div", { class: "tour-ring" });
  const end = () => {
    endOpen = null;
    editor.settings.set("tourSeen", true);
    box.remove();
    ring.remove();
    removeEventListener("resize", draw);
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  };
  let at = 0;
  const go = (/** @type {number} */ to) => {
    at = to;
    if (at >= STEPS.length) end();
    else draw();
  };
  const draw = () => show(box, ring, STEPS[at], at, go, end);
  endOpen = end;
  document.body.append(ring, box);
  box.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") end();
    else if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft" && at > 0) go(at - 1);
  });
  addEventListener("resize", draw);
  draw();
}

/**
 * @param {HTMLElement} box
 * @param {HTMLElement} ring around what is told of
 * @param {Step} step
 * @param {number} at
 * @param {(to: number) => void} go
 * @param {() => void} end
 */
function show(box, ring, step, at, go, end) {
  const isLast = at === STEPS.length - 1;
  const next = el("button", { class: "button primary", type: "button", text: isLast ? "Done" : "Next",
    on: { click: () => go(at + 1) } });
  box.replaceChildren(el("h2", { text: step.title }), el("p", { text: step.text }), el("div", { class: "aside-by" },
    el("span", { class: "dim small-text", text: `${at + 1} of ${STEPS.length}` }), el("span", { class: "spacer" }),
    el("button", { class: "button", type: "button", text: "No tour", hidden: isLast, on: { click: end } }), next));
  const target = document.querySelector(step.at)?.getBoundingClientRect();
  if (target) lay(box, ring, target);
  next.focus({ preventScroll: true });
}

/** @param {HTMLElement} box @param {HTMLElement} ring @param {DOMRect} target */
function lay(box, ring, target) {
  const { width, height } = box.getBoundingClientRect();
  const large = target.width > innerWidth / 2 && target.height > innerHeight / 2;
  const x = large ? target.left + target.width / 2 - width / 2 : target.right + 12;
  const left = large || x + width < innerWidth - 8 ? x : Math.min(target.left, innerWidth - width - 12);
  const beside = left > target.right || large;
  const top = large ? target.top + target.height / 2 - height / 2 : beside ? target.top : target.bottom + 12;
  const tall = target.height > innerHeight / 2 && !large;
  const clear = tall && left <= target.right ? target.left - width - 12 : left;
  box.style.left = `${Math.max(8, clear)}px`;
  box.style.top = `${Math.max(8, Math.min(tall ? target.top + 8 : top, innerHeight - height - 8))}px`;
  ring.style.cssText = "";
  for (const [side, value] of [["left", target.left - 4], ["top", target.top - 4], ["width", target.width + 8],
    ["height", target.height + 8]]) ring.style.setProperty(String(side), `${value}px`);
}

/** Notices at the edge of the page, questions, and what a screen reader is told. */

import { el, find } from "../dom.js";
import { icon } from "../icons.js";
import { openDialog } from "./dialogs.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../editor.js").Notice} Notice */
/** @typedef {import("../../editor.js").Question} Question */

const SHOWN = 6;
const MOST = 4;
const ICONS = { info: "info", warn: "warning", error: "error" };

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const live = find("#live");
  const alerts = find("#alerts");
  host.setAttribute("aria-label", "Notices");
  host.setAttribute("role", "region");
  editor.present({
    notify: (notice) => show(host, notice, notice.kind === "error" ? alerts : live),
    dismiss: (id) => noticeOf(host, id)?.remove(),
    ask,
    say: (text) => say(live, text),
  });
  return { destroy: () => host.replaceChildren() };
}

/**
 * @param {HTMLElement} host
 * @param {Notice} notice
 * @param {HTMLElement} live
 */
function show(host, notice, live) {
  const kind = notice.kind ?? "info";
  const id = notice.id ?? notice.text;
  noticeOf(host, id)?.remove();
  const close = () => toast.remove();
  const { action } = notice;
  const toast = el("div", { class: "toast", data: { kind, notice: id } }, icon(ICONS[kind]),
    el("p", { text: notice.text }),
    action && el("button", { class: "button small", type: "button", text: action.title,
      on: { click: () => (close(), action.run()) } }),
    el("button", { class: "icon-button small", type: "button", "aria-label": "Put away", on: { click: close } },
      icon("close")));
  host.append(toast);
  while (host.children.length > MOST) host.firstElementChild?.remove();
  say(live, notice.text);
  if (kind !== "error" || notice.seconds !== undefined) fade(toast, (notice.seconds ?? SHOWN) * 1000);
}

/** The notice that has an id. @param {HTMLElement} host @param {string} id */
function noticeOf(host, id) {
  return [...host.children].find((other) => other instanceof HTMLElement && other.dataset.notice === id);
}

/**
 * Take a notice away after a while, but not while it is looked at.
 * @param {HTMLElement} toast
 * @param {number} time milliseconds
 */
function fade(toast, time) {
  const end = () => (toast.matches(":hover, :focus-within") ? setTimeout(end, time / 2) : toast.remove());
  setTimeout(end, time);
}

/**
 * A text that is told twice must change in between, else it is not told again.
 * @param {HTMLElement} live
 * @param {string} text
 */
function say(live, text) {
  live.textContent = live.textContent === text ? `${text}\u00a0` : text;
}

/** @param {Question} question */
function ask({ title, body, choices }) {
  const content = typeof body === "string" ? el("p", { text: body }) : body;
  const danger = choices.some((choice) => choice.kind === "danger");
  return openDialog({ name: "question", title, body: content, choices, danger }).result;
}

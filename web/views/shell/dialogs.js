/** Dialogs: what has to be looked at before anything else. Esc puts them away, the focus goes back to where it was. */

import { el, fill } from "../dom.js";
import { icon } from "../icons.js";

/** @typedef {import("../dom.js").Child} Child */
/** @typedef {{readonly value: string, readonly title: string, readonly kind?: "primary" | "danger"}} Choice */
/**
 * @typedef {Object} DialogOptions
 * @property {string} name for `data-dialog`
 * @property {string} title
 * @property {Child | readonly Child[]} [body]
 * @property {readonly Choice[]} [choices] buttons at its foot; the first that is primary has the focus
 * @property {Child} [foot] before the buttons
 * @property {"normal" | "wide" | "tall"} [size]
 * @property {boolean} [danger] a reader tells of it as an alert
 */
/**
 * @typedef {Object} Dialog
 * @property {HTMLDialogElement} element
 * @property {HTMLElement} body
 * @property {Promise<string | null>} result the `value` of the button; null where it was put away
 * @property {(value?: string | null) => void} close
 */

let last = 0;

/**
 * Show a dialog before all else.
 * @param {DialogOptions} options
 * @returns {Dialog}
 */
export function openDialog({ name, title, body, choices = [], foot, size = "normal", danger = false }) {
  const heading = `dialog-${(last += 1)}`;
  const content = el("div", { class: "dialog-body scroll", tabindex: "-1" });
  fill(content, ...(Array.isArray(body) ? body : [/** @type {Child} */ (body)]));
  const element = el("dialog", { class: `dialog ${size}`, data: { dialog: name }, "aria-labelledby": heading });
  if (danger) element.setAttribute("role", "alertdialog");
  /** @type {PromiseWithResolvers<string | null>} */
  const { promise, resolve } = Promise.withResolvers();
  const close = (/** @type {string | null} */ value = null) => {
    if (!element.isConnected) return;
    element.close();
    element.remove();
    resolve(value);
  };
  const buttons = choices.map((choice) => choiceButton(choice, close));
  element.append(headOf(heading, title, close), content);
  if (buttons.length > 0 || foot) element.append(footOf(foot, buttons));
  closing(element, close);
  document.body.append(element);
  element.showModal();
  const first = buttons.find((button) => button.matches(".primary")) ?? buttons[0];
  if (!element.querySelector("[autofocus]")) (first ?? content).focus();
  return { element, body: content, result: promise, close };
}

/** @param {string} id @param {string} title @param {() => void} close */
function headOf(id, title, close) {
  const props = { class: "icon-button", type: "button", "aria-label": "Close" };
  const button = el("button", { ...props, on: { click: () => close() } }, icon("close"));
  return el("header", { class: "dialog-head" }, el("h2", { id, text: title }), el("span", { class: "spacer" }), button);
}

/** @param {Child} foot @param {HTMLButtonElement[]} buttons */
function footOf(foot, buttons) {
  const element = el("footer", { class: "dialog-foot" });
  fill(element, foot, el("span", { class: "spacer" }), ...buttons);
  return element;
}

/** @param {Choice} choice @param {(value: string) => void} close */
function choiceButton({ value, title, kind = undefined }, close) {
  const props = { class: `button ${kind ?? ""}`, type: "button", text: title, data: { choice: value } };
  return el("button", { ...props, on: { click: () => close(value) } });
}

/** @param {HTMLDialogElement} element @param {() => void} close */
function closing(element, close) {
  element.addEventListener("cancel", (event) => {
    if (event.target !== element) return;
    event.preventDefault();
    close();
  });
  element.addEventListener("pointerdown", (event) => {
    if (event.target === element && outside(element, event)) close();
  });
}

/** @param {HTMLElement} element @param {MouseEvent} event */
function outside(element, event) {
  const box = element.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/**
 * Ask for a line of text; null where it was put away.
 * @param {{title: string, label: string, value?: string, action?: string,
 *   check?: (text: string) => string | null}} options `check` says what is wrong with a text
 * @returns {Promise<string | null>}
 */
export async function askText({ title, label, value = "", action = "OK", check = () => null }) {
  const input = el("input", { class: "input", type: "text", value, autofocus: true, spellcheck: "false" });
  const wrong = el("p", { class: "error-text small-text", role: "alert" });
  const done = () => {
    const problem = check(input.value.trim());
    wrong.textContent = problem ?? "";
    input.setAttribute("aria-invalid", String(problem !== null));
    if (problem === null) dialog.close(input.value.trim());
  };
  const form = el("form", { on: { submit: (event) => (event.preventDefault(), done()) } },
    el("label", { class: "stack" }, el("span", { class: "dim", text: label }), input), wrong);
  const ok = el("button", { class: "button primary", type: "button", text: action, on: { click: done } });
  const dialog = openDialog({ name: "text", title, body: form, foot: null });
  dialog.element.append(footOf(null, [ok]));
  input.select();
  return dialog.result;
}

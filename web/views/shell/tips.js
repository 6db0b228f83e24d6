/** Tips: what an element with `data-tip` is, and the key of its `data-command`, under the pointer or with the focus. */

import { el } from "../dom.js";
import { place } from "./menu.js";

/** @typedef {import("../../editor.js").Editor} Editor */

const WAIT_MS = 450;

/** @param {Editor} editor */
export function mount(editor) {
  const tip = el("div", { class: "tip", role: "tooltip", hidden: true });
  document.body.append(tip);
  const tips = new Tips(editor, tip);
  const over = (/** @type {Event} */ event) => tips.want(owner(event.target), WAIT_MS);
  const focus = (/** @type {Event} */ event) => {
    const element = owner(event.target);
    if (element?.matches(":focus-visible")) tips.want(element, WAIT_MS);
  };
  const away = () => tips.want(null, 0);
  document.addEventListener("pointerover", over);
  document.addEventListener("focusin", focus);
  const ends = ["pointerdown", "keydown", "focusout", "wheel"];
  for (const type of ends) document.addEventListener(type, away, { capture: true, passive: true });
  return {
    destroy() {
      document.removeEventListener("pointerover", over);
      document.removeEventListener("focusin", focus);
      for (const type of ends) document.removeEventListener(type, away, true);
      tip.remove();
    },
  };
}

/** @param {EventTarget | null} target @returns {HTMLElement | null} */
function owner(target) {
  const found = target instanceof Element ? target.closest("[data-tip]") : null;
  return found instanceof HTMLElement ? found : null;
}

class Tips {
  /** @type {HTMLElement | null} */
  #owner = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Editor} editor @param {HTMLElement} tip */
  constructor(editor, tip) {
    this.editor = editor;
    this.tip = tip;
  }

  /** @param {HTMLElement | null} element @param {number} wait */
  want(element, wait) {
    if (element === this.#owner) return;
    clearTimeout(this.#timer);
    this.tip.hidden = true;
    this.#owner = element;
    if (element !== null) this.#timer = setTimeout(() => this.#show(element), wait);
  }

  /** @param {HTMLElement} element */
  #show(element) {
    const text = element.dataset.tip ?? "";
    if (!element.isConnected || text === "") return;
    const command = this.editor.commands.get(element.dataset.command ?? "");
    const key = command ? this.editor.keys.label(command) : "";
    this.tip.replaceChildren(el("span", { text }), key && el("kbd", { text: key }));
    this.tip.hidden = false;
    place(this.tip, element);
    const box = element.getBoundingClientRect();
    const height = this.tip.offsetHeight;
    if (box.bottom + height + 8 > innerHeight) this.tip.style.top = `${box.top - height - 4}px`;
  }
}

/** `<good-stars>`: a number as stars that are clicked, or set with the arrow keys. */

import { starIn } from "./parts/star.js";

class Stars extends HTMLElement {
  #value = 0;
  #disabled = false;

  /** The editor sets these: what is typed, how it may be typed (`min`, `max`, ...), whether it may be changed now. */
  field = {};

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = typeof value === "number" ? value : 0;
    this.#draw();
  }

  get disabled() {
    return this.#disabled;
  }

  set disabled(disabled) {
    this.#disabled = disabled;
    this.#draw();
  }

  connectedCallback() {
    this.#draw();
    this.tabIndex = 0;
    this.setAttribute("role", "slider");
    this.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.#choose(this.#value + step);
    });
  }

  #choose(value) {
    const chosen = Math.min(Math.max(value, this.field.min ?? 0), this.field.max ?? 5);
    if (this.#disabled || chosen === this.#value) return;
    this.value = chosen;
    this.dispatchEvent(new CustomEvent("change", { detail: { value: chosen } }));
  }

  #draw() {
    if (!this.isConnected) return;
    const count = this.field.max ?? 5;
    this.replaceChildren(...Array.from({ length: count }, (_, index) => {
      const star = starIn(this.#value > index, `${index + 1} of ${count}`);
      star.disabled = this.#disabled;
      star.addEventListener("click", () => this.#choose(index + 1));
      return star;
    }));
    this.setAttribute("aria-valuenow", String(this.#value));
  }
}

customElements.define("good-stars", Stars);

/** A field that an element of a plugin draws: it has `value`, `field` and `disabled`, and tells a `change`. */

import { isShallow } from "../../store/json.js";
import { el } from "../dom.js";
import { extensionsOf } from "./extensions.js";
import { Control } from "./host.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */
/** @typedef {import("./host.js").Json} Json */

export class CustomControl extends Control {
  /**
   * @param {FieldHost} host
   * @param {HTMLElement} box
   * @param {(host: FieldHost, box: HTMLElement) => Control} plain makes the field that stands in until the element can
   *   be made, or if it cannot
   */
  constructor(host, box, plain) {
    super(host, box);
    this.place = el("div", { class: "field-custom" });
    box.append(this.place);
    /** @type {HTMLElement | null} */
    this.custom = null;
    /** @type {Control | null} */
    this.plain = plain(host, this.place);
    this.gone = false;
    const name = host.field.element ?? "";
    if (customElements.get(name)) this.#take(name);
    else
      void extensionsOf(host.editor)
        .ready(name)
        .then((ready) => ready && !this.gone && this.#take(name));
  }

  /** @override */
  get main() {
    return this.custom ?? this.plain?.main ?? null;
  }

  /** @override */
  get tall() {
    return this.plain?.tall ?? false;
  }

  /** Put the plugin's element in the place of the plain field. @param {string} name */
  #take(name) {
    try {
      const element = document.createElement(name);
      // One that fails as it is made comes as an element of no kind.
      if (element instanceof HTMLUnknownElement) throw new Error("it failed as it was made");
      Object.assign(element, { field: this.host.field, disabled: this.disabled, value: copyOf(this.value) });
      element.setAttribute("aria-label", this.host.label);
      element.addEventListener("change", (event) => this.#changed(event));
      this.plain?.destroy();
      this.plain = null;
      this.place.replaceChildren(element);
      this.custom = element;
    } catch (error) {
      extensionsOf(this.host.editor).tell(name, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {Event} event */
  #changed(event) {
    if (!(event instanceof CustomEvent) || event.detail === null || typeof event.detail !== "object") return;
    const { value } = event.detail;
    if (!isShallow(value) || !isJson(value)) {
      const name = this.host.field.element;
      this.host.editor.notify({
        text: `The plugin's field <${name}> gave a value that is no JSON; it was not taken.`,
        kind: "warn",
      });
      return;
    }
    this.commit(copyOf(value));
  }

  /** @override */
  show() {
    this.#give({ value: copyOf(this.value) });
  }

  /** Whatever the plugin's element makes of it, the page goes on. @param {object} properties */
  #give(properties) {
    if (!this.custom) return;
    try {
      Object.assign(this.custom, properties);
    } catch (error) {
      const name = this.host.field.element ?? "";
      extensionsOf(this.host.editor).tell(name, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {Json | undefined} value @override */
  update(value) {
    this.plain?.update(value);
    super.update(value);
  }

  /** @param {boolean} disabled @override */
  disable(disabled) {
    this.disabled = disabled;
    this.plain?.disable(disabled);
    this.#give({ disabled });
  }

  /** @override */
  revert() {
    return this.plain?.revert() ?? false;
  }

  /** @override */
  problem() {
    return this.plain ? this.plain.problem() : super.problem();
  }

  /** @override */
  destroy() {
    this.gone = true;
    this.plain?.destroy();
  }
}

/**
 * A document never changes: what a plugin may change is a copy.
 * @param {Json | undefined} value
 */
const copyOf = (value) => structuredClone(value);

/**
 * Tell whether a value can be written to a file.
 * @param {unknown} value
 * @returns {value is Json}
 */
function isJson(value) {
  if (value === null || typeof value === "string" || typeof value === "boolean" || typeof value === "bigint")
    return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  return (
    typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson)
  );
}

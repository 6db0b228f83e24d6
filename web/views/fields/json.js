/** Any value, written as JSON. It is taken when it can be read. */

import { parse, stringify } from "../../store/json.js";
import { el } from "../dom.js";
import { Control } from "./host.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */
/** @typedef {import("./host.js").Json} Json */

/** Write a value so that short ones stand in a line. @param {Json | undefined} value */
export function written(value) {
  if (value === undefined) return "";
  const short = stringify(value);
  return typeof value === "object" && value !== null && short.length > 40 ? stringify(value, 2) : short;
}

/**
 * Read JSON; a bare word is a text, since quotes are soon forgotten.
 * @param {string} text
 * @returns {{value: Json, reason?: undefined} | {value?: undefined, reason: string}}
 */
function readJson(text) {
  const given = text.trim();
  try {
    return { value: parse(given) };
  } catch (error) {
    if (/^[^[\]{}",:\d-][^[\]{}"]*$/.test(given)) return { value: given };
    return { reason: `This is no JSON yet: ${error instanceof Error ? error.message : String(error)}` };
  }
}

export class JsonControl extends Control {
  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.input = el("textarea", {
      class: "field-text field-code",
      rows: 1,
      spellcheck: "false",
      "aria-label": host.label,
    });
    this.input.addEventListener("input", () => {
      this.dirty = true;
      this.#check();
    });
    this.input.addEventListener("blur", () => this.#settle());
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || this.tall) return;
      event.preventDefault();
      this.#settle();
    });
    this.input.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && document.activeElement === this.input && this.tall) event.stopPropagation();
      },
      { passive: true },
    );
    box.append(this.input);
    this.show();
  }

  /** @override */
  get main() {
    return this.input;
  }

  /** @override */
  get tall() {
    return typeof this.value === "object" && this.value !== null;
  }

  #check() {
    const { reason } = this.input.value.trim() === "" ? { reason: undefined } : readJson(this.input.value);
    this.input.toggleAttribute("aria-invalid", false);
    if (reason !== undefined) this.input.setAttribute("aria-invalid", "true");
    this.input.title = reason ?? "";
    return reason === undefined;
  }

  #settle() {
    if (!this.dirty || !this.#check()) return;
    const text = this.input.value.trim();
    this.commit(text === "" ? undefined : readJson(text).value);
    this.show();
  }

  /** @override */
  show() {
    this.input.value = written(this.value);
    this.input.placeholder = this.host.field.optional ? "none" : "JSON";
    this.input.removeAttribute("aria-invalid");
    this.input.title = "";
    this.box.classList.toggle("tall", this.tall);
  }
}

/** A port of a node: a mark in its type's colour and shape that links are drawn from, and that has the focus. */

import { el } from "../dom.js";
import { words } from "../format.js";

/** @import {Port} from "../../store/types.js" */
/** @import {Look} from "../../store/looks.js" */

/**
 * What is shown of a port.
 * @typedef {Object} PortLook
 * @property {Port} port
 * @property {"in" | "out"} side
 * @property {Look} look
 * @property {string | null} source what an input is wired to
 */

/** One port's element. */
export class PortView {
  /** @param {string} node @param {PortLook} shown */
  constructor(node, shown) {
    this.mark = el("span", { class: "port-mark" });
    this.element = el("button", { class: `port port-${shown.side}`, type: "button", tabindex: "-1" }, this.mark);
    this.element.dataset.port = `${shown.side}:${shown.port.name}`;
    this.element.dataset.place = `${node}.${shown.port.name}`;
    /** @type {PortLook | null} */
    this.shown = null;
    this.update(shown, false);
  }

  /** @param {PortLook} shown @param {boolean} linked */
  update(shown, linked) {
    const { port, side, look, source } = shown;
    const last = this.shown;
    this.shown = shown;
    this.element.toggleAttribute("data-linked", linked);
    this.element.toggleAttribute("data-needed", side === "in" && port.required && !linked && !port.field);
    if (last && last.port === port && last.look === look && last.source === source) return;
    this.mark.dataset.shape = look.shape;
    this.mark.toggleAttribute("data-list", look.list);
    this.mark.style.setProperty("--hue", `var(--type-${look.hue})`);
    this.element.setAttribute("aria-label", describe(shown));
    this.element.title = tooltip(shown);
  }
}

/** @param {PortLook} shown */
function describe({ port, side, source }) {
  const wired = source === null ? "" : `, from ${source}`;
  return `${side === "in" ? "input" : "output"} ${words(port.name)}, ${port.type}${wired}`;
}

/** @param {PortLook} shown */
function tooltip({ port, side, source }) {
  const facts = [port.type];
  if (side === "in" && !port.field) facts.push(port.required ? "required" : "optional");
  if (port.lazy) facts.push("read only when needed");
  if (source !== null) facts.push(`from ${source}`);
  return `${words(port.name)}: ${facts.join(", ")}`;
}

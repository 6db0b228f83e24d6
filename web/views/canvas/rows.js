/** The rows of a node: its ports, its fields, its picture. Each lies where the geometry puts it. */

import { el } from "../dom.js";
import { words } from "../format.js";
import { fieldElement } from "../fields/field.js";
import { mediaElement } from "../media.js";
import { PortView } from "./port.js";

/** @import {Editor} from "../../editor.js" */
/** @import {Port} from "../../store/types.js" */
/** @import {Row} from "../../geometry/boxes.js" */
/** @import {Placed} from "./scene.js" */

/**
 * What a row needs to know beside the node.
 * @typedef {Object} RowHost
 * @property {Editor} editor
 * @property {(type: string) => import("../../store/looks.js").Look} look
 * @property {(id: string, output: string) => boolean} read whether an output is wired
 * @property {(node: import("./node.js").NodeView) => void} decorate is told of each node that comes into view
 */
/**
 * @typedef {Object} RowView
 * @property {HTMLElement} element
 * @property {(row: Row, placed: Placed) => void} update
 * @property {() => void} destroy
 */

/** @param {HTMLElement} element @param {Row} row */
function lay(element, row) {
  element.style.top = `${row.y}px`;
  element.style.height = `${row.height}px`;
}

/** What tells whether a row can go on being used. @param {Row} row */
export const rowKey = (row) =>
  row.kind === "ports"
    ? `ports ${row.input ?? ""} ${row.output ?? ""}`
    : row.kind === "field"
      ? `field ${row.input}`
      : "media";

/** @param {RowHost} host @param {Row} row @param {Placed} placed @returns {RowView} */
export function makeRow(host, row, placed) {
  if (row.kind === "field") return new FieldRow(host, row, placed);
  if (row.kind === "media") return new MediaRow(host, placed);
  return new PortsRow(host, row, placed);
}

/** An input that can only be wired, beside an output. @implements {RowView} */
class PortsRow {
  /** @param {RowHost} host @param {Row} row @param {Placed} placed */
  constructor(host, row, placed) {
    this.host = host;
    this.element = el("div", { class: "row row-ports" });
    const input = row.input === undefined ? undefined : placed.type.inputs.get(row.input);
    const output = row.output === undefined ? undefined : placed.type.outputs.get(row.output);
    this.input = input ? this.half(placed.id, input, "in") : null;
    this.output = output ? this.half(placed.id, output, "out") : null;
  }

  /** @param {string} id @param {Port} port @param {"in" | "out"} side */
  half(id, port, side) {
    const view = new PortView(id, { port, side, look: this.host.look(port.type), source: null });
    const label = el("span", { class: `row-label row-label-${side} cut`, text: words(port.name) });
    this.element.append(view.element, label);
    return { view, label };
  }

  /** @param {Row} row @param {Placed} placed */
  update(row, placed) {
    lay(this.element, row);
    const input = row.input === undefined ? undefined : placed.type.inputs.get(row.input);
    if (input) {
      const source = placed.node.links.get(input.name) ?? null;
      this.input?.view.update({ port: input, side: "in", look: this.host.look(input.type), source }, source !== null);
      this.input?.label.toggleAttribute("data-needed", input.required && source === null);
    }
    const output = row.output === undefined ? undefined : placed.type.outputs.get(row.output);
    if (!output) return;
    const read = this.host.read(placed.id, output.name);
    this.output?.view.update({ port: output, side: "out", look: this.host.look(output.type), source: null }, read);
  }

  destroy() {
    this.element.remove();
  }
}

/** An input that is typed, or wired in place of that: its field shows which. @implements {RowView} */
class FieldRow {
  /** @param {RowHost} host @param {Row} row @param {Placed} placed */
  constructor(host, row, placed) {
    this.host = host;
    this.name = row.input ?? "";
    this.element = el("div", { class: "row row-field" });
    const port = placed.type.inputs.get(this.name);
    this.port = port?.wired
      ? new PortView(placed.id, { port, side: "in", look: host.look(port.type), source: null })
      : null;
    if (this.port) this.element.append(this.port.element);
    /** @type {import("./bodies.js").Body | null} */
    this.body = null;
    /** @type {Port | null} */
    this.made = null;
  }

  /** @param {Row} row @param {Placed} placed */
  update(row, placed) {
    lay(this.element, row);
    const port = placed.type.inputs.get(this.name);
    if (!port?.field) return;
    const source = placed.node.links.get(this.name) ?? null;
    this.element.toggleAttribute("data-lines", Boolean(row.lines));
    this.element.toggleAttribute("data-linked", source !== null);
    this.port?.update({ port, side: "in", look: this.host.look(port.type), source }, source !== null);
    if (this.made !== port) this.make(placed.id, port);
    this.body?.update(placed.node.params.get(port.name));
  }

  /** @param {string} id @param {Port} port */
  make(id, port) {
    this.drop();
    if (!port.field) return;
    this.made = port;
    this.body = fieldElement(this.host.editor, id, port.field, port);
    this.body.element.classList.add("row-body");
    this.element.append(this.body.element);
  }

  drop() {
    this.body?.destroy();
    this.body?.element.remove();
    this.body = null;
  }

  destroy() {
    this.drop();
    this.element.remove();
  }
}

/** What the last job made, or makes now. @implements {RowView} */
class MediaRow {
  /** @param {RowHost} host @param {Placed} placed */
  constructor(host, placed) {
    this.body = mediaElement(host.editor, placed.id);
    this.element = el("div", { class: "row row-media" }, this.body?.element);
  }

  /** @param {Row} row */
  update(row) {
    lay(this.element, row);
  }

  destroy() {
    this.body?.destroy();
    this.element.remove();
  }
}

/** The large view: a picture as large as the window allows, those beside it by arrow keys, or two to compare. */

import { liveOf } from "../api/live.js";
import { compareElement } from "./compare.js";
import { el, fill } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { outputActions } from "./output_actions.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../api/wire.js").Output} Output */
/**
 * @typedef {Object} Viewed
 * @property {string} [node] id in jobs, whose preview is followed while it draws
 * @property {readonly Output[]} [outputs]
 * @property {number} [at] which of them is shown first
 * @property {readonly [Output, Output]} [compare] two to compare, instead
 */

/**
 * @param {Editor} editor
 * @param {Viewed} viewed
 */
export function openViewer(editor, viewed) {
  new Viewer(editor, viewed);
}

class Viewer {
  /** @param {Editor} editor @param {Viewed} viewed */
  constructor(editor, { node = "", outputs = [], at = 0, compare }) {
    this.#editor = editor;
    this.#node = node;
    this.#outputs = outputs;
    this.#at = at;
    this.#compare = compare ?? null;
    // The focus is not on a button: Enter shall not make a picture again, and the arrows draw the buttons anew.
    this.#stage = el("div", { class: "viewer-stage", tabindex: "-1", autofocus: compare === undefined });
    this.#head = el("header", { class: "viewer-head" });
    this.element = el("dialog", { class: "viewer", "aria-label": "Picture", data: { dialog: "viewer" } },
      this.#head, this.#stage);
    this.element.addEventListener("close", () => this.#end());
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.#stage.addEventListener("click", (event) => {
      if (event.target === this.#stage) this.element.close();
    });
    this.#offs = [
      editor.on("preview", (event) => event.type === "preview" && this.#follow(event.node)),
      editor.on("outputs", () => this.#made()),
    ];
    document.body.append(this.element);
    this.#draw();
    this.element.showModal();
  }

  #editor;
  #node;
  #outputs;
  #at;
  #compare;
  #stage;
  #head;
  #offs;
  #canvas = el("canvas", { class: "viewer-picture", role: "img", "aria-label": "Preview" });

  #end() {
    for (const off of this.#offs) off();
    this.element.remove();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "ArrowLeft") this.#go(-1);
    else if (event.key === "ArrowRight") this.#go(1);
    event.stopPropagation(); // keys of the editor are not meant
  }

  /** @param {number} by */
  #go(by) {
    const count = this.#outputs.length;
    if (this.#compare !== null || count < 2) return;
    this.#at = (this.#at + by + count) % count;
    this.#draw();
    if (!this.element.contains(document.activeElement)) this.#stage.focus();
  }

  /** @param {string} node */
  #follow(node) {
    if (this.#outputs.length === 0 && (node === this.#node || node.startsWith(`${this.#node}/`))) this.#drawPreview();
  }

  /** What the preview led to takes its place. */
  #made() {
    if (this.#outputs.length > 0 || this.#node === "" || this.#compare !== null) return;
    const { session } = this.#editor;
    const results = liveOf(this.#editor).tabs.results(session, this.#node);
    if (results.length === 0 || results[0]?.job !== session.job) return;
    this.#outputs = results;
    this.#draw();
  }

  #draw() {
    const output = this.#outputs[this.#at];
    const close = el("button", { class: "icon-button", type: "button", "aria-label": "Close",
      on: { click: () => this.element.close() } }, icon("close"));
    if (this.#compare !== null) {
      fill(this.#head, el("h2", { text: "Compare" }), el("span", { class: "spacer" }), close);
      fill(this.#stage, compareElement(...this.#compare));
    } else if (output === undefined) {
      fill(this.#head, el("h2", { text: "Preview" }), el("span", { class: "spacer" }), close);
      this.#drawPreview();
    } else {
      fill(this.#head, ...this.#facts(output), el("span", { class: "spacer" }),
        ...outputActions(this.#editor, output, { gone: () => this.element.close() }), close);
      const image = el("img", { class: "viewer-picture", src: output.url, alt: output.name,
        data: { output: output.id } });
      fill(this.#stage, image, ...this.#arrows());
    }
  }

  /** @param {Output} output */
  #facts(output) {
    const size = output.width && output.height ? `${output.width} × ${output.height} · ` : "";
    const place = this.#outputs.length > 1 ? `${this.#at + 1} of ${this.#outputs.length} · ` : "";
    const facts = place + size + bytes(output.size);
    return [el("h2", { class: "cut", text: output.name }), el("span", { class: "dim viewer-facts", text: facts })];
  }

  #arrows() {
    if (this.#outputs.length < 2) return [];
    const arrow = (/** @type {string} */ side, /** @type {number} */ by, /** @type {string} */ label) =>
      el("button", { class: `icon-button viewer-arrow ${side}`, type: "button", "aria-label": label,
        on: { click: () => this.#go(by) } }, icon(side));
    return [arrow("left", -1, "Picture before"), arrow("right", 1, "Next picture")];
  }

  #drawPreview() {
    const preview = liveOf(this.#editor).previews.of(this.#editor.session.job, this.#node);
    if (preview === null) return;
    this.#canvas.width = preview.bitmap.width;
    this.#canvas.height = preview.bitmap.height;
    this.#canvas.getContext("2d")?.drawImage(preview.bitmap, 0, 0);
    if (this.#canvas.parentElement !== this.#stage) fill(this.#stage, this.#canvas);
  }
}

/**
 * What a node shows of its runs: the preview while it draws, the pictures that it made, what it asks.
 *
 * How high that is has to be known before the node is laid out: `mediaHeight` tells it, `mediaElement` fills it.
 */

import { liveOf } from "../api/live.js";
import { nodeOf } from "../store/runs.js";
import { el, fill } from "./dom.js";
import { icon } from "./icons.js";
import { openViewer } from "./viewer.js";
import { questionElement, questionHeight, questionOf } from "./questions.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../api/wire.js").Output} Output */
/** @typedef {import("../api/previews.js").Shown} Shown */
/** @typedef {{readonly element: HTMLElement, destroy(): void}} Part */

const MOST = 340;
const CAPTION = 26;
const MARGIN = 8;
const THUMBNAILS = /** @type {const} */ ([256, 512, 1024]);

/**
 * Say how high what a node of the shown graph shows is; 0 where it shows nothing.
 * @param {Editor} editor
 * @param {string} id
 * @param {() => number} width of the node, worked out only where it shows something
 */
export function mediaHeight(editor, id, width) {
  const { question, outputs, preview } = contentOf(editor, id);
  const size = outputs[0]?.width && outputs[0].height ? outputs[0] : preview?.bitmap;
  if (!question && !size && outputs.length === 0) return 0;
  const inner = width() - 2 * MARGIN;
  const asked = question ? questionHeight(question.question, inner) : 0;
  if (!size && outputs.length === 0) return asked;
  if (question && question.question.outputs.length > 0) return asked;
  if (!size) return asked + outputs.length * CAPTION + MARGIN;
  const height = Math.min(MOST, Math.round((inner * (size.height ?? 1)) / (size.width ?? 1)));
  return Math.max(60, height) + CAPTION + asked;
}

/**
 * Make what fills a node's row for pictures; it follows what happens by itself.
 * @param {Editor} editor
 * @param {string} id
 * @returns {Part}
 */
export function mediaElement(editor, id) {
  return new Media(editor, id);
}

/**
 * Find what there is to show on a node of the shown graph.
 * @param {Editor} editor
 * @param {string} id
 */
function contentOf(editor, id) {
  const { session } = editor;
  const live = liveOf(editor);
  const node = nodeOf(session.path, id);
  const outputs = live.tabs.results(session, node);
  // A preview gives way to the picture that it led to, and stands until the next run has one.
  const made = outputs.length > 0 && outputs[0]?.job === session.job;
  const before = () => live.previews.newest(node, (job) => live.tabs.sessionOf(job) === session);
  const preview = made ? null : (live.previews.of(session.job, node) ?? (outputs.length > 0 ? null : before()));
  return { node, outputs, preview, question: questionOf(editor, node) };
}

class Media {
  /** @param {Editor} editor @param {string} id */
  constructor(editor, id) {
    this.#editor = editor;
    this.#id = id;
    this.element = el("div", { class: "media", on: { pointerdown: stop, dblclick: stop } });
    this.#offs = [
      editor.on("preview", (event) => event.type === "preview" && this.#mine(event.job, event.node) && this.#update()),
      editor.on("run", (event) => event.type === "run" && this.#mine(event.job, event.node) && this.#update()),
      editor.on("outputs", () => this.#update()),
    ];
    this.#update();
  }

  #editor;
  #id;
  #offs;
  #at = 0;
  #shown = "";
  #canvas = el("canvas", { class: "media-picture", role: "img", "aria-label": "Preview", data: { preview: "" } });
  /** @type {HTMLElement | null} */
  #question = null;
  #asked = "";

  destroy() {
    for (const off of this.#offs) off();
  }

  /** @param {string} job @param {string | null} node */
  #mine(job, node) {
    const own = nodeOf(this.#editor.session.path, this.#id);
    return job === this.#editor.session.job && (node === null || node === own || node.startsWith(`${own}/`));
  }

  #update() {
    const { outputs, preview, question, node } = contentOf(this.#editor, this.#id);
    this.#ask(question);
    if (question && question.question.outputs.length > 0) return this.#show("question", () => []);
    if (preview) return this.#preview(preview);
    this.#at = Math.min(this.#at, Math.max(0, outputs.length - 1));
    const state = `${outputs.map(({ id }) => id).join(" ")} ${this.#at}`;
    this.#show(state, () => (outputs.length === 0 ? [] : this.#results(outputs, node)));
  }

  /** @param {string} state @param {() => HTMLElement[]} make */
  #show(state, make) {
    if (state === this.#shown) return;
    this.#shown = state;
    fill(this.element, this.#question, ...make());
  }

  /** @param {import("./questions.js").Asked | null} question */
  #ask(question) {
    const asked = question === null ? "" : `${question.job} ${question.question.node}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#question = question && questionElement(this.#editor, question);
    this.#shown = "-";
  }

  /** @param {Shown} preview */
  #preview({ bitmap, count }) {
    const canvas = this.#canvas;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    canvas.dataset.preview = String(count);
    const open = () => openViewer(this.#editor, { node: nodeOf(this.#editor.session.path, this.#id) });
    this.#show("preview", () => [
      opener("Show the preview large", open, canvas),
      el("div", { class: "media-caption" }, el("span", { class: "dim", text: "Preview" })),
    ]);
  }

  /** @param {readonly Output[]} outputs @param {string} node */
  #results(outputs, node) {
    const output = outputs[this.#at];
    if (output === undefined) return [];
    if (!output.media.startsWith("image/")) return outputs.map(fileRow);
    const image = el("img", { class: "media-picture", src: thumbnail(output, MOST * devicePixelRatio), alt: output.name,
      draggable: "false", decoding: "async", data: { output: output.id } });
    const open = () => openViewer(this.#editor, { node, outputs, at: this.#at });
    return [
      opener(`Show ${output.name} large`, open, image),
      el("div", { class: "media-caption" }, el("span", { class: "cut dim", text: output.name, title: output.name }),
        el("span", { class: "spacer" }), ...this.#pager(outputs.length),
        el("a", { class: "icon-button small", href: `${output.url}?download=true`, data: { tip: "Download" },
          "aria-label": `Download ${output.name}` }, icon("download"))),
    ];
  }

  /** @param {number} count */
  #pager(count) {
    if (count < 2) return [];
    const go = (/** @type {number} */ by) => () => {
      this.#at = (this.#at + by + count) % count;
      this.#update();
    };
    const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {number} */ by) =>
      el("button", { class: "icon-button small", type: "button", "aria-label": label, on: { click: go(by) } },
        icon(name));
    const place = el("span", { class: "dim", text: `${this.#at + 1}/${count}` });
    return [button("left", "Picture before", -1), place, button("right", "Next picture", 1)];
  }
}

/** @param {Output} output */
function fileRow({ name, url }) {
  const label = el("span", { class: "cut", text: name });
  return el("a", { class: "media-file", href: `${url}?download=true` }, icon("file"), label);
}

/** @param {string} label @param {() => void} open @param {HTMLElement} picture */
function opener(label, open, picture) {
  return el("button", { class: "media-open", type: "button", "aria-label": label, on: { click: open } }, picture);
}

/**
 * Return the address of a picture that is at least so large, where there is one.
 * @param {{thumbnail: string | null, url: string}} output
 * @param {number} size pixels
 */
export function thumbnail(output, size) {
  const found = THUMBNAILS.find((one) => one >= size) ?? THUMBNAILS[THUMBNAILS.length - 1];
  return output.thumbnail === null ? output.url : `${output.thumbnail}?size=${found}`;
}

/** What happens on a picture is not the canvas's. @param {Event} event */
function stop(event) {
  event.stopPropagation();
}

/** What a form's runs make: the preview while they draw, the pictures, and what they ask. */

import { liveOf } from "../../../api/live.js";
import { FINAL } from "../../../store/runs.js";
import { el, fill } from "../../dom.js";
import { icon } from "../../icons.js";
import { thumbnail } from "../../media.js";
import { questionElement, questionOf } from "../../questions.js";
import { openViewer } from "../../viewer.js";

/** @typedef {import("../../../editor.js").Editor} Editor */
/** @typedef {import("../../../api/wire.js").Output} Output */

/** Pixels of a picture's thumbnail. */
const SIZE = 1024;

export class FormResults {
  #shown = "";
  #asked = "";

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.preview = el("canvas", { class: "form-picture", role: "img", "aria-label": "Preview", hidden: true });
    this.asked = el("div");
    this.pictures = el("div", { class: "form-pictures" });
    this.element = el("div", { class: "form-results" }, this.asked, this.preview, this.pictures);
  }

  update() {
    const { session, runs } = this.editor;
    const job = session.job === null ? undefined : runs.jobs.get(session.job);
    this.#ask();
    const draws = job !== undefined && !FINAL.has(job.state);
    this.#preview(draws);
    const outputs = this.#outputs();
    const state = `${session.id} ${outputs.map(({ id }) => id).join(" ")}`;
    if (state === this.#shown) return;
    this.#shown = state;
    fill(
      this.pictures,
      ...(outputs.length
        ? outputs.map((output, at) => this.#picture(output, at, outputs))
        : [el("p", { class: "form-nothing dim", text: "What a run makes is shown here." })]),
    );
  }

  /** All that the tab's nodes wrote last, in the order of the nodes. @returns {Output[]} */
  #outputs() {
    const { session } = this.editor;
    const { tabs } = liveOf(this.editor);
    return [...session.document.nodes.keys()].flatMap((id) => [...tabs.results(session, id)]);
  }

  #ask() {
    const found =
      [...this.editor.session.document.nodes.keys()].map((id) => questionOf(this.editor, id)).find(Boolean) ?? null;
    const asked = found === null ? "" : `${found.job} ${found.question.node}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    fill(this.asked, found && questionElement(this.editor, found));
  }

  /** Show the newest preview of the job. @param {boolean} draws whether it goes on */
  #preview(draws) {
    const { session } = this.editor;
    const { previews } = liveOf(this.editor);
    const shown = draws
      ? [...session.document.nodes.keys()].map((id) => previews.of(session.job, id)).findLast(Boolean)
      : null;
    this.preview.hidden = !shown;
    if (!shown) return;
    const { bitmap } = shown;
    if (this.preview.width !== bitmap.width || this.preview.height !== bitmap.height) {
      [this.preview.width, this.preview.height] = [bitmap.width, bitmap.height];
    }
    this.preview.getContext("2d")?.drawImage(bitmap, 0, 0);
  }

  /** @param {Output} output @param {number} at @param {readonly Output[]} outputs */
  #picture(output, at, outputs) {
    const save = el(
      "a",
      { class: "icon-button", href: `${output.url}?download=true`, "aria-label": `Download ${output.name}` },
      icon("download"),
    );
    if (!output.media.startsWith("image/"))
      return el("p", { class: "form-file" }, el("span", { class: "cut", text: output.name }), save);
    const image = el("img", {
      src: thumbnail(output, SIZE),
      alt: output.name,
      loading: "lazy",
      decoding: "async",
      data: { output: output.id },
      ...(output.width && output.height ? { width: output.width, height: output.height } : {}),
    });
    const show = el(
      "button",
      {
        class: "form-open",
        type: "button",
        "aria-label": `Show ${output.name} large`,
        on: { click: () => openViewer(this.editor, { outputs, at }) },
      },
      image,
    );
    return el(
      "figure",
      { class: "form-made" },
      show,
      el("figcaption", {}, el("span", { class: "cut dim", text: output.name }), save),
    );
  }
}

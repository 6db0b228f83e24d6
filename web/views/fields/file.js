/** The name of a file. Pictures can be sent from here: chosen, dropped or pasted; and a mask painted on them. */

import { el } from "../dom.js";
import { ComboControl, shown } from "./combo.js";
import { INPUT, inputFiles, pictureIn, thumbnailOf } from "./files.js";
import { mark } from "./mark.js";

/** @typedef {import("./host.js").FieldHost} FieldHost */
/** @typedef {import("./host.js").Json} Json */

export class FileControl extends ComboControl {
  #sending = new AbortController();

  /** @param {FieldHost} host @param {HTMLElement} box */
  constructor(host, box) {
    super(host, box);
    this.sends = host.field.folder === INPUT || host.field.kind === "mask";
    this.files = inputFiles(host.editor);
    this.busy = el("span", {
      class: "field-sent",
      hidden: true,
      role: "progressbar",
      "aria-label": "Sending the file",
    });
    if (this.sends) this.#takeFiles();
    this.show();
  }

  /** Add what sends files. */
  #takeFiles() {
    const { host, box } = this;
    if (host.field.kind === "mask")
      box.append(this.#button("paint", "brush", "Paint a mask", () => void this.#paint()));
    box.append(
      this.#button("upload", "upload", "Send a picture: choose it, or drop or paste it here", () => this.#choose()),
    );
    this.chooser = el("input", { type: "file", accept: "image/*", hidden: true, tabindex: -1, "aria-hidden": "true" });
    this.chooser.addEventListener("change", () => {
      const [file] = this.chooser?.files ?? [];
      if (file) void this.send(file);
      if (this.chooser) this.chooser.value = "";
    });
    box.append(this.chooser, this.busy);
    box.addEventListener("dragover", (event) => this.#over(event));
    box.addEventListener("dragleave", () => box.classList.remove("over"));
    box.addEventListener("drop", (event) => this.#dropped(event));
    box.addEventListener("paste", (event) => {
      const file = pictureIn(event.clipboardData);
      if (file === null || this.disabled) return;
      event.preventDefault();
      event.stopPropagation();
      void this.send(file);
    });
  }

  /** @param {string} action @param {string} drawing @param {string} title @param {() => void} click */
  #button(action, drawing, title, click) {
    const props = { class: "field-button", type: "button", title, data: { action }, on: { click } };
    const { label, roomy } = this.host;
    return el("button", { ...props, tabindex: roomy ? null : -1, "aria-label": `${label}: ${title}` }, mark(drawing));
  }

  #choose() {
    this.close();
    this.chooser?.click();
  }

  /** @param {DragEvent} event */
  #over(event) {
    if (this.disabled || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    event.dataTransfer.dropEffect = "copy";
    this.box.classList.add("over");
  }

  /** @param {DragEvent} event */
  #dropped(event) {
    this.box.classList.remove("over");
    if (this.disabled || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    const file = pictureIn(event.dataTransfer);
    if (file) void this.send(file);
    else this.host.editor.notify({ text: "Only pictures can be put here: PNG, JPEG or WebP.", kind: "warn" });
  }

  /** Send a picture and choose it. @param {Blob} file @param {string} [name] */
  async send(file, name) {
    const { busy } = this;
    busy.hidden = false;
    busy.style.setProperty("--part", "0%");
    const onProgress = (/** @type {number} */ part) => {
      busy.style.setProperty("--part", `${Math.round(part * 100)}%`);
      busy.setAttribute("aria-valuenow", String(Math.round(part * 100)));
    };
    try {
      const sent = await this.files.send(file, { name, onProgress, signal: this.#sending.signal });
      this.commit(sent.name);
      this.show();
    } catch (error) {
      this.host.editor.fail("The picture was not sent", error);
    } finally {
      busy.hidden = true;
    }
  }

  async #paint() {
    const { paintMask } = await import("../mask.js");
    const name = typeof this.value === "string" ? this.value : null;
    const file = await paintMask(this.host.editor, { source: name });
    if (file) await this.send(file.blob, file.name);
  }

  /** @returns {readonly Json[]} @override */
  values() {
    const given = super.values();
    if (!this.sends) return given;
    const others = this.files.names().filter((name) => !given.includes(name));
    const all = others.length ? [...given, ...others] : given;
    return typeof this.value === "string" && this.files.has(this.value) && !all.includes(this.value)
      ? [...all, this.value]
      : all;
  }

  /** @override */
  choices() {
    const plain = super.choices();
    if (!this.sends) return plain;
    return plain.map((choice) => ({ ...choice, picture: thumbnailOf(choice.title) }));
  }

  /** @param {string} [query] @override */
  toggle(query) {
    super.toggle(query);
    // Names that came meanwhile are there the next time at the latest.
    if (this.sends) void this.files.load().catch((error) => this.host.editor.fail("The files were not listed", error));
  }

  /** @override */
  tools() {
    if (!this.sends) return [];
    return [
      el(
        "button",
        { class: "button small", type: "button", data: { action: "choose" }, on: { click: () => this.#choose() } },
        mark("upload"),
        "Send a picture",
      ),
    ];
  }

  /** @override */
  problem() {
    const told = super.problem();
    if (told === null || typeof this.value !== "string") return told;
    // The catalogue's names may be older than the file: the server's list tells.
    if (this.sends && !this.files.known) {
      void this.files.load().then(this.learned, () => {});
      return null;
    }
    return `There is no file “${shown(this.value)}” in ${this.host.field.folder ?? INPUT}`;
  }

  /** @override */
  destroy() {
    super.destroy();
    this.#sending.abort();
  }
}

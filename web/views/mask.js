/** The window in which a mask is painted on a picture. What is painted becomes transparent in a copy of it. */

import { el } from "./dom.js";
import { MaskLayer } from "./fields/mask/layer.js";
import { blank, drawn, readPicture } from "./fields/mask/picture.js";
import { encodePng } from "./fields/mask/png.js";
import { icon } from "./icons.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("./fields/mask/png.js").Pixels} Pixels */
/** @typedef {import("./fields/mask/layer.js").Point} Point */
/** @typedef {{blob: Blob, name: string}} Painted a PNG, and what it may be called */

const ZOOM = { least: 0.05, most: 32 };

/**
 * Let the user paint a mask.
 * @param {Editor} editor
 * @param {{source: string | null}} options `source`: the picture to paint on
 * @returns {Promise<Painted | null>} null where nothing shall be kept
 */
export async function paintMask(editor, { source }) {
  /** @type {Pixels} */
  let pixels;
  try {
    pixels = source === null ? blank() : await readPicture(source);
  } catch (error) {
    editor.fail("The picture could not be opened for painting", error);
    return null;
  }
  const stem = (source ?? "mask").replace(/\.[^./]*$/, "").replace(/-mask([ _(-]*\d+\)?)?$/, "");
  const painted = await new MaskPainter(editor, pixels).open();
  return painted === null ? null : { blob: await encodePng(painted), name: `${stem}-mask.png` };
}

class MaskPainter {
  #view = { x: 0, y: 0, zoom: 1 };
  #erase = false;
  #soft = 0;
  /** @type {Map<number, Point>} */
  #fingers = new Map();
  /** @type {"paint" | "pan" | null} */
  #doing = null;
  #space = false;
  /** Where the brush is, on the picture. @type {Point} */
  #at;

  /** @param {Editor} editor @param {Pixels} pixels */
  constructor(editor, pixels) {
    this.editor = editor;
    this.pixels = pixels;
    this.layer = new MaskLayer(pixels.width, pixels.height);
    this.layer.read(pixels);
    this.#at = { x: pixels.width / 2, y: pixels.height / 2 };
    this.size = Math.max(4, Math.round(Math.min(pixels.width, pixels.height) / 8));
    this.cursor = el("div", { class: "mask-cursor", "aria-hidden": "true" });
    this.paper = el("div", { class: "mask-paper" }, drawn(pixels), this.layer.canvas);
    this.layer.canvas.classList.add("mask-layer");
    this.stage = el(
      "div",
      {
        class: "mask-stage",
        tabindex: 0,
        role: "application",
        data: { panel: "mask-stage" },
        "aria-label": "Picture to paint on: arrows move the brush, Space paints, X turns to the eraser and back",
      },
      this.paper,
      this.cursor,
    );
    this.dialog = el(
      "dialog",
      { class: "mask-dialog", "aria-label": "Paint a mask", data: { panel: "mask" } },
      this.#tools(),
      this.stage,
      this.#foot(),
    );
  }

  /** @returns {Promise<Pixels | null>} */
  open() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.#listen();
    this.#fit();
    this.#show();
    this.stage.focus();
    return new Promise((resolve) => {
      this.dialog.addEventListener("close", () => {
        this.dialog.remove();
        resolve(this.dialog.returnValue === "keep" ? this.layer.write(this.pixels) : null);
      });
    });
  }

  // Tools

  #tools() {
    this.brush = this.#button("brush", "Brush (X)", () => this.#turn(false));
    this.eraser = this.#button("eraser", "Eraser (X)", () => this.#turn(true));
    this.back = this.#button("undo", "Undo (Ctrl+Z)", () => this.#take(() => this.layer.undo()));
    this.forth = this.#button("redo", "Redo (Ctrl+Shift+Z)", () => this.#take(() => this.layer.redo()));
    const most = Math.max(64, Math.round(Math.max(this.pixels.width, this.pixels.height) / 2));
    this.sizer = range("size", "Size of the brush", [1, most, this.size], (size) => this.#resize(size));
    const soft = range("soft", "Softness of the brush's edge", [0, 100, 0], (part) => (this.#soft = part / 100));
    this.number = el("output", { class: "mask-number" });
    return el(
      "div",
      { class: "mask-tools", role: "toolbar", "aria-label": "Tools" },
      this.brush,
      this.eraser,
      el("label", { class: "mask-range" }, el("span", { text: "Size" }), this.sizer, this.number),
      el("label", { class: "mask-range" }, el("span", { text: "Soft edge" }), soft),
      this.back,
      this.forth,
      this.#button("contrast", "Invert", () => this.#take(() => this.layer.invert())),
      this.#button("trash", "Clear", () => this.#take(() => this.layer.clear())),
      this.#button("fit", "Fit (0)", () => this.#fit()),
    );
  }

  /** @param {string} name @param {string} title @param {() => void} run */
  #button(name, title, run) {
    const tool = name === "contrast" ? "invert" : name === "trash" ? "clear" : name;
    return el(
      "button",
      { class: "icon-button", type: "button", title, "aria-label": title, data: { tool }, on: { click: run } },
      icon(name),
    );
  }

  #foot() {
    const { width, height } = this.pixels;
    return el(
      "div",
      { class: "mask-foot" },
      el("span", {
        class: "dim cut",
        text: `${width} × ${height}. What is painted is masked. Wheel zooms, Space and drag moves, [ and ] size.`,
      }),
      el("button", {
        class: "button",
        type: "button",
        text: "Cancel",
        data: { action: "cancel" },
        on: { click: () => void this.#leave() },
      }),
      el("button", {
        class: "button primary",
        type: "button",
        text: "Keep mask",
        data: { action: "keep" },
        on: { click: () => this.dialog.close("keep") },
      }),
    );
  }

  /** @param {boolean} erase */
  #turn(erase) {
    this.#erase = erase;
    this.#show();
  }

  /** @param {number} size */
  #resize(size) {
    this.size = Math.max(1, Math.min(Number(this.sizer?.max ?? 512), Math.round(size)));
    this.#show();
  }

  /** @param {() => void} change */
  #take(change) {
    this.layer.cancel();
    this.#doing = null;
    change();
    this.#show();
  }

  async #leave() {
    if (this.layer.changed) {
      const answer = await this.editor.ask({
        title: "Throw the painted mask away?",
        choices: [
          { value: "stay", title: "Go on painting" },
          { value: "go", title: "Throw it away", kind: "danger" },
        ],
      });
      if (answer !== "go") return;
    }
    this.dialog.close("");
  }

  // What is seen

  #show() {
    const { x, y, zoom } = this.#view;
    this.paper.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    this.paper.classList.toggle("near", zoom >= 3);
    const across = this.size * zoom;
    const [left, top] = [x + this.#at.x * zoom - across / 2, y + this.#at.y * zoom - across / 2];
    this.cursor.style.transform = `translate(${left}px, ${top}px)`;
    this.cursor.style.width = this.cursor.style.height = `${across}px`;
    this.cursor.classList.toggle("erases", this.#erase);
    if (this.sizer) this.sizer.value = String(this.size);
    if (this.number) this.number.textContent = `${this.size} px`;
    this.brush?.setAttribute("aria-pressed", String(!this.#erase));
    this.eraser?.setAttribute("aria-pressed", String(this.#erase));
    if (this.back) this.back.disabled = !this.layer.canUndo;
    if (this.forth) this.forth.disabled = !this.layer.canRedo;
  }

  #fit() {
    const { clientWidth, clientHeight } = this.stage;
    const { width, height } = this.pixels;
    const zoom = Math.min(8, (clientWidth - 32) / width, (clientHeight - 32) / height);
    this.#view = { x: (clientWidth - width * zoom) / 2, y: (clientHeight - height * zoom) / 2, zoom };
    this.#show();
  }

  /** @param {number} factor @param {Point} about in the stage */
  #zoomBy(factor, about) {
    const { x, y, zoom } = this.#view;
    const next = Math.min(ZOOM.most, Math.max(ZOOM.least, zoom * factor));
    this.#view = { x: about.x - ((about.x - x) * next) / zoom, y: about.y - ((about.y - y) * next) / zoom, zoom: next };
    this.#show();
  }

  // Pointers and keys

  #listen() {
    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#moved(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", (event) => this.#up(event));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.#zoomBy(2 ** (-event.deltaY / (event.ctrlKey ? 80 : 300)), this.#within(event));
      },
      { passive: false },
    );
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    this.dialog.addEventListener("keyup", (event) => {
      if (event.key === " ") this.#space = false;
    });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      void this.#leave();
    });
  }

  /** @param {MouseEvent} event @returns {Point} within the stage */
  #within(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** @param {Point} point within the stage @returns {Point} on the picture */
  #onPicture({ x, y }) {
    return { x: (x - this.#view.x) / this.#view.zoom, y: (y - this.#view.y) / this.#view.zoom };
  }

  /** @param {PointerEvent} event */
  #down(event) {
    event.preventDefault();
    this.stage.focus();
    this.stage.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, this.#within(event));
    if (this.#fingers.size > 1) {
      this.layer.cancel();
      this.#doing = "pan";
    } else if (event.button === 1 || this.#space) {
      this.#doing = "pan";
    } else {
      this.#doing = "paint";
      this.#at = this.#onPicture(this.#within(event));
      this.layer.begin(this.#at, {
        size: this.size,
        soft: this.#soft,
        erase: this.#erase || event.button === 2 || event.altKey,
      });
    }
    this.#show();
  }

  /** @param {PointerEvent} event */
  #moved(event) {
    const point = this.#within(event);
    const last = this.#fingers.get(event.pointerId);
    if (this.#doing === "pan" && last) this.#pan(event.pointerId, last, point);
    if (last) this.#fingers.set(event.pointerId, point);
    if (this.#doing === "paint" && last) {
      const steps = event.getCoalescedEvents();
      for (const step of steps.length ? steps : [event]) this.layer.draw(this.#onPicture(this.#within(step)));
    }
    this.#at = this.#onPicture(point);
    this.#show();
  }

  /** Move what is seen; two fingers zoom too. @param {number} id @param {Point} last @param {Point} point */
  #pan(id, last, point) {
    const other = [...this.#fingers].find(([key]) => key !== id)?.[1];
    const share = other ? 0.5 : 1;
    this.#view = {
      ...this.#view,
      x: this.#view.x + (point.x - last.x) * share,
      y: this.#view.y + (point.y - last.y) * share,
    };
    if (!other) return;
    const [before, after] = [
      Math.hypot(last.x - other.x, last.y - other.y),
      Math.hypot(point.x - other.x, point.y - other.y),
    ];
    if (before > 0) this.#zoomBy(after / before, { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 });
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#doing === "paint") this.layer.end();
    if (this.#fingers.size === 0) this.#doing = null;
    this.#show();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    event.stopPropagation();
    const mod = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const onStage = event.target === this.stage;
    if (mod && key === "z") this.#take(() => (event.shiftKey ? this.layer.redo() : this.layer.undo()));
    else if (mod && key === "y") this.#take(() => this.layer.redo());
    else if (mod && key === "enter") this.dialog.close("keep");
    else if (mod) return;
    else if (key === "[") this.#resize(Math.min(this.size - 1, this.size * 0.85));
    else if (key === "]") this.#resize(Math.max(this.size + 1, this.size * 1.18));
    else if (key === "x") this.#turn(!this.#erase);
    else if (key === "b") this.#turn(false);
    else if (key === "e") this.#turn(true);
    else if (key === "0") this.#fit();
    else if (onStage && key === " ") this.#dab(event);
    else if (onStage && ARROWS.has(event.key)) this.#nudge(event);
    else return;
    event.preventDefault();
  }

  /** Paint where the brush is; held down, Space moves what is seen instead. @param {KeyboardEvent} event */
  #dab(event) {
    this.#space = true;
    if (event.repeat || this.stage.matches(":hover")) return;
    this.layer.begin(this.#at, { size: this.size, soft: this.#soft, erase: this.#erase });
    this.layer.end();
    this.#show();
  }

  /** @param {KeyboardEvent} event */
  #nudge(event) {
    const [x, y] = ARROWS.get(event.key) ?? [0, 0];
    const step = Math.max(1, this.size / (event.shiftKey ? 1 : 4));
    const { width, height } = this.pixels;
    this.#at = {
      x: Math.min(width, Math.max(0, this.#at.x + x * step)),
      y: Math.min(height, Math.max(0, this.#at.y + y * step)),
    };
    this.#show();
  }
}

/** @type {ReadonlyMap<string, readonly [number, number]>} */
const ARROWS = new Map([
  ["ArrowLeft", [-1, 0]],
  ["ArrowRight", [1, 0]],
  ["ArrowUp", [0, -1]],
  ["ArrowDown", [0, 1]],
]);

/**
 * @param {string} tool
 * @param {string} label
 * @param {readonly [number, number, number]} bounds least, most, and now
 * @param {(value: number) => void} take
 */
function range(tool, label, [min, max, value], take) {
  const props = { type: "range", min, max, value: String(value), "aria-label": label, data: { tool } };
  const input = el("input", { ...props, on: { input: () => take(Number(input.value)) } });
  return input;
}

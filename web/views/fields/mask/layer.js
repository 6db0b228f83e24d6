/** What is painted on: a picture's mask as the alpha of a canvas, with the strokes that can be taken back. */

/** @typedef {import("./png.js").Pixels} Pixels */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {{x: number, y: number, before: ImageData, after: ImageData}} Stroke */
/** @typedef {{size: number, soft: number, erase: boolean}} Brush `size` in pixels across, `soft` from 0 to 1 */

/** Bytes of strokes that are kept for undo. */
const KEPT = 256 * 2 ** 20;
const COLOR = "255, 64, 64";

export class MaskLayer {
  /** @type {Stroke[]} */
  #past = [];
  /** @type {Stroke[]} */
  #future = [];
  /** @type {{last: Point, brush: Brush, left: number, top: number, right: number, bottom: number} | null} */
  #stroke = null;

  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.canvas = canvasOf(width, height);
    this.context = contextOf(this.canvas);
    /** The mask as it was when the stroke began. */
    this.kept = canvasOf(width, height);
    this.keptContext = contextOf(this.kept);
  }

  get width() {
    return this.canvas.width;
  }

  get height() {
    return this.canvas.height;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Whether something was painted that is not taken back. */
  get changed() {
    return this.#past.length > 0;
  }

  /** Mark what a picture has transparent. @param {Pixels} pixels */
  read(pixels) {
    const mask = this.context.createImageData(pixels.width, pixels.height);
    for (let i = 3; i < pixels.data.length; i += 4) {
      mask.data[i - 3] = 255;
      mask.data[i - 2] = mask.data[i - 1] = 64;
      mask.data[i] = 255 - (pixels.data[i] ?? 255);
    }
    this.context.putImageData(mask, 0, 0);
  }

  /** Give a picture's pixels with what is marked transparent. @param {Pixels} pixels @returns {Pixels} */
  write(pixels) {
    const mask = this.context.getImageData(0, 0, this.width, this.height);
    const data = new Uint8ClampedArray(pixels.data);
    for (let i = 3; i < data.length; i += 4) data[i] = 255 - (mask.data[i] ?? 0);
    return { width: this.width, height: this.height, data };
  }

  // Strokes

  /** @param {Point} point @param {Brush} brush */
  begin(point, brush) {
    this.keptContext.globalCompositeOperation = "copy";
    this.keptContext.drawImage(this.canvas, 0, 0);
    this.#stroke = { last: point, brush, left: point.x, top: point.y, right: point.x, bottom: point.y };
    this.#stamp(point, brush);
  }

  /** @param {Point} point */
  draw(point) {
    const stroke = this.#stroke;
    if (!stroke) return;
    const { last, brush } = stroke;
    const length = Math.hypot(point.x - last.x, point.y - last.y);
    const step = Math.max(0.5, brush.size * (brush.soft > 0 ? 0.12 : 0.08));
    for (let way = step; way < length; way += step) {
      this.#stamp(
        { x: last.x + ((point.x - last.x) * way) / length, y: last.y + ((point.y - last.y) * way) / length },
        brush,
      );
    }
    this.#stamp(point, brush);
    stroke.last = point;
    stroke.left = Math.min(stroke.left, point.x);
    stroke.top = Math.min(stroke.top, point.y);
    stroke.right = Math.max(stroke.right, point.x);
    stroke.bottom = Math.max(stroke.bottom, point.y);
  }

  /** @param {Point} point @param {Brush} brush */
  #stamp({ x, y }, { size, soft, erase }) {
    const { context } = this;
    const radius = Math.max(0.5, size / 2);
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    if (soft > 0) {
      const gradient = context.createRadialGradient(x, y, radius * (1 - soft), x, y, radius);
      gradient.addColorStop(0, `rgba(${COLOR}, ${1 - soft * 0.7})`);
      gradient.addColorStop(1, `rgba(${COLOR}, 0)`);
      context.fillStyle = gradient;
    } else {
      context.fillStyle = `rgb(${COLOR})`;
    }
    context.beginPath();
    context.arc(x, y, radius, 0, Math.PI * 2);
    context.fill();
  }

  /** End the stroke; it can be taken back. */
  end() {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke) return;
    const edge = stroke.brush.size / 2 + 2;
    this.#remember(stroke.left - edge, stroke.top - edge, stroke.right + edge, stroke.bottom + edge);
  }

  /** Drop the stroke that is being drawn. */
  cancel() {
    if (!this.#stroke) return;
    this.#stroke = null;
    this.context.globalCompositeOperation = "copy";
    this.context.drawImage(this.kept, 0, 0);
    this.context.globalCompositeOperation = "source-over";
  }

  /**
   * Keep what of a part was and is.
   * @param {number} left @param {number} top @param {number} right @param {number} bottom
   */
  #remember(left, top, right, bottom) {
    const [x, y] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
    const [width, height] = [Math.min(this.width, Math.ceil(right)) - x, Math.min(this.height, Math.ceil(bottom)) - y];
    if (width <= 0 || height <= 0) return;
    const before = this.keptContext.getImageData(x, y, width, height);
    this.#past.push({ x, y, before, after: this.context.getImageData(x, y, width, height) });
    this.#future = [];
    let bytes = 0;
    for (const stroke of this.#past) bytes += stroke.before.data.length * 2;
    while (bytes > KEPT && this.#past.length > 1) bytes -= (this.#past.shift()?.before.data.length ?? 0) * 2;
  }

  undo() {
    const stroke = this.#past.pop();
    if (!stroke) return;
    this.#future.push(stroke);
    this.context.putImageData(stroke.before, stroke.x, stroke.y);
  }

  redo() {
    const stroke = this.#future.pop();
    if (!stroke) return;
    this.#past.push(stroke);
    this.context.putImageData(stroke.after, stroke.x, stroke.y);
  }

  // All of it

  /** @param {(alpha: number) => number} change */
  #all(change) {
    this.keptContext.globalCompositeOperation = "copy";
    this.keptContext.drawImage(this.canvas, 0, 0);
    const mask = this.context.getImageData(0, 0, this.width, this.height);
    for (let i = 3; i < mask.data.length; i += 4) {
      mask.data[i - 3] = 255;
      mask.data[i - 2] = mask.data[i - 1] = 64;
      mask.data[i] = change(mask.data[i] ?? 0);
    }
    this.context.putImageData(mask, 0, 0);
    this.#remember(0, 0, this.width, this.height);
  }

  clear() {
    this.#all(() => 0);
  }

  invert() {
    this.#all((alpha) => 255 - alpha);
  }
}

/** @param {number} width @param {number} height */
export function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

/** @param {HTMLCanvasElement} canvas */
export function contextOf(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser cannot paint");
  return context;
}

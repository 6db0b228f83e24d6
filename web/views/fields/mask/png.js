/**
 * PNG files with colours and alpha apart. A canvas multiplies one by the other, so what is transparent would lose its
 * colours; under a mask they are needed. PNG, third edition (W3C, 2025).
 */

/**
 * Four bytes a pixel, RGBA, row by row.
 * @typedef {{readonly width: number, readonly height: number, readonly data: Uint8ClampedArray}} Pixels
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const RGB = 2;
const RGBA = 6;
/** A file larger than this is left to the browser. */
const MOST = 100_000_000;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = (CRC[(value ^ byte) & 255] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, crc(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {CompressionStream | DecompressionStream} stream */
async function through(bytes, stream) {
  const packed = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/**
 * Write pixels as a PNG.
 * @param {Pixels} pixels
 * @returns {Promise<Blob>}
 */
export async function encodePng({ width, height, data }) {
  const stride = width * 4;
  const rows = new Uint8Array(height * (stride + 1));
  for (let y = 0; y < height; y++) {
    const [from, to] = [y * stride, y * (stride + 1)];
    rows[to] = 1; // each byte as the difference from the pixel before
    for (let i = 0; i < stride; i++) rows[to + 1 + i] = (data[from + i] ?? 0) - (i < 4 ? 0 : (data[from + i - 4] ?? 0));
  }
  const head = new Uint8Array(13);
  new DataView(head.buffer).setUint32(0, width);
  new DataView(head.buffer).setUint32(4, height);
  head.set([8, RGBA], 8);
  const packed = await through(rows, new CompressionStream("deflate"));
  const parts = [
    new Uint8Array(SIGNATURE),
    chunk("IHDR", head),
    chunk("IDAT", packed),
    chunk("IEND", new Uint8Array()),
  ];
  return new Blob(parts, { type: "image/png" });
}

/**
 * Read the pixels of a PNG of 8 bits a channel, with or without alpha; null for any other file.
 * @param {Blob} file
 * @returns {Promise<Pixels | null>}
 */
export async function decodePng(file) {
  if (file.size > MOST) return null;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const head = readChunks(bytes);
  if (head === null) return null;
  const { width, height, channels, parts } = head;
  try {
    const packed = new Uint8Array(await new Blob(parts).arrayBuffer());
    const rows = await through(packed, new DecompressionStream("deflate"));
    return rows.length < height * (width * channels + 1) ? null : unfilter(rows, width, height, channels);
  } catch {
    return null; // the browser's own reader tells what is wrong with it
  }
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
function readChunks(bytes) {
  if (!SIGNATURE.every((byte, at) => bytes[at] === byte)) return null;
  const view = new DataView(bytes.buffer);
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const start = at + 8;
    if (name === "IHDR") {
      [width, height] = [view.getUint32(start), view.getUint32(start + 4)];
      const [depth, type, , , interlaced] = bytes.subarray(start + 8, start + 13);
      if (depth !== 8 || (type !== RGB && type !== RGBA) || interlaced !== 0) return null;
      channels = type === RGBA ? 4 : 3;
    } else if (name === "tRNS" || name === "eXIf" || name === "acTL") {
      return null;
    } else if (name === "IDAT") {
      parts.push(bytes.subarray(start, start + length));
    }
    at = start + length + 4;
  }
  return channels === 0 || width * height * 4 > MOST * 4 ? null : { width, height, channels, parts };
}

/**
 * Undo the filters of the rows.
 * @param {Uint8Array} rows @param {number} width @param {number} height @param {number} channels
 * @returns {Pixels}
 */
function unfilter(rows, width, height, channels) {
  const stride = width * channels;
  /** @type {Uint8Array} */
  let above = new Uint8Array(stride);
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1);
    const row = rows.subarray(start + 1, start + 1 + stride);
    unfilterRow(row, above, rows[start] ?? 0, channels);
    for (let x = 0, i = 0; x < width; x++) {
      for (let c = 0; c < channels; c++, i++) data[(y * width + x) * 4 + c] = row[i] ?? 0;
    }
    above = row;
  }
  return { width, height, data };
}

/** @param {Uint8Array} row @param {Uint8Array} above @param {number} filter @param {number} channels */
function unfilterRow(row, above, filter, channels) {
  if (filter === 0) return;
  for (let i = 0; i < row.length; i++) {
    const left = i < channels ? 0 : (row[i - channels] ?? 0);
    const up = above[i] ?? 0;
    const corner = i < channels ? 0 : (above[i - channels] ?? 0);
    const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner);
    row[i] = (row[i] ?? 0) + guess;
  }
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

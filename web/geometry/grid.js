/** Which boxes are near: an index by square cells. Pure. */

/** @typedef {import("../store/types.js").Box} Box */

const SPAN = 1 << 20;

/**
 * Boxes by key, found by where they are. What covers very many cells is kept apart and looked at every time.
 * @template {string} Key
 */
export class Grid {
  /** @param {number} [cell] the side of a cell @param {number} [most] cells that a box may cover */
  constructor(cell = 512, most = 256) {
    this.cell = cell;
    this.most = most;
    /** @type {Map<Key, {box: Box, cells: number[] | null}>} */
    this.entries = new Map();
    /** @type {Map<number, Set<Key>>} */
    this.cells = new Map();
    /** @type {Set<Key>} */
    this.large = new Set();
  }

  get size() {
    return this.entries.size;
  }

  /** Put a box in, in place of the key's last one. @param {Key} key @param {Box} box */
  set(key, box) {
    const cells = this.covered(box);
    const last = this.entries.get(key);
    if (last && sameCells(last.cells, cells)) {
      last.box = box;
      return;
    }
    if (last) this.delete(key);
    this.entries.set(key, { box, cells });
    if (!cells) this.large.add(key);
    else for (const cell of cells) this.at(cell).add(key);
  }

  /** @param {Key} key */
  delete(key) {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.entries.delete(key);
    this.large.delete(key);
    for (const cell of entry.cells ?? []) {
      const keys = this.cells.get(cell);
      keys?.delete(key);
      if (keys?.size === 0) this.cells.delete(cell);
    }
  }

  /**
   * Find the keys whose boxes touch a box, in no order.
   * @param {Box} box @returns {Set<Key>}
   */
  query(box) {
    /** @type {Set<Key>} */
    const found = new Set();
    const cells = this.covered(box);
    const candidates = cells && cells.length < this.cells.size ? this.among(cells) : this.entries.keys();
    for (const key of candidates) {
      const entry = this.entries.get(key);
      if (entry && touches(entry.box, box)) found.add(key);
    }
    return found;
  }

  /** @param {number[]} cells @returns {Set<Key>} */
  among(cells) {
    const found = new Set(this.large);
    for (const cell of cells) for (const key of this.cells.get(cell) ?? []) found.add(key);
    return found;
  }

  /** @param {number} cell @returns {Set<Key>} */
  at(cell) {
    let keys = this.cells.get(cell);
    if (!keys) {
      keys = new Set();
      this.cells.set(cell, keys);
    }
    return keys;
  }

  /** @param {Box} box @returns {number[] | null} */
  covered(box) {
    const left = Math.floor(box.x / this.cell);
    const top = Math.floor(box.y / this.cell);
    const right = Math.floor((box.x + box.width) / this.cell);
    const bottom = Math.floor((box.y + box.height) / this.cell);
    if (!((right - left + 1) * (bottom - top + 1) <= this.most)) return null;
    const cells = [];
    for (let x = left; x <= right; x++) for (let y = top; y <= bottom; y++) cells.push(x * SPAN + y);
    return cells;
  }
}

/** @param {number[] | null} a @param {number[] | null} b */
function sameCells(a, b) {
  if (!a || !b) return a === b;
  return a.length === b.length && a[0] === b[0] && a[a.length - 1] === b[b.length - 1];
}

/** @param {Box} a @param {Box} b */
function touches(a, b) {
  return a.x <= b.x + b.width && b.x <= a.x + a.width && a.y <= b.y + b.height && b.y <= a.y + a.height;
}

/** Boxes in line with each other: aligning, distributing, the grid and the guides shown while moving. Pure. */

/** @typedef {import("../store/types.js").Box} Box */
/** @typedef {{readonly dx: number, readonly dy: number}} Shift */
/** @typedef {"left" | "right" | "top" | "bottom" | "center" | "middle"} Side */
/**
 * A line across the canvas; `axis` says which coordinate is `at`.
 * @typedef {{axis: "x" | "y", at: number, from: number, to: number}} Guide
 */

export const STEP = 20;

/** @type {(value: number, step?: number) => number} */
export const snap = (value, step = STEP) => Math.round(value / step) * step;

/**
 * Say how far each box moves until all are in line.
 * @template Key
 * @param {ReadonlyMap<Key, Box>} boxes @param {Side} side @returns {Map<Key, Shift>}
 */
export function align(boxes, side) {
  const all = [...boxes.values()];
  const low = (/** @type {"x" | "y"} */ axis) => Math.min(...all.map((box) => box[axis]));
  const right = Math.max(...all.map((box) => box.x + box.width));
  const bottom = Math.max(...all.map((box) => box.y + box.height));
  const target = {
    left: low("x"),
    right,
    top: low("y"),
    bottom,
    center: (low("x") + right) / 2,
    middle: (low("y") + bottom) / 2,
  };
  /** @type {Record<Side, (box: Box) => Shift>} */
  const ways = {
    left: (box) => ({ dx: target.left - box.x, dy: 0 }),
    right: (box) => ({ dx: target.right - box.x - box.width, dy: 0 }),
    center: (box) => ({ dx: target.center - box.x - box.width / 2, dy: 0 }),
    top: (box) => ({ dx: 0, dy: target.top - box.y }),
    bottom: (box) => ({ dx: 0, dy: target.bottom - box.y - box.height }),
    middle: (box) => ({ dx: 0, dy: target.middle - box.y - box.height / 2 }),
  };
  return moved(boxes, ways[side]);
}

/**
 * Say how far each box moves until the gaps between them are equal; the outermost stay, unless there is no room.
 * @template Key
 * @param {ReadonlyMap<Key, Box>} boxes @param {"x" | "y"} axis @param {number} [least] the smallest gap
 * @returns {Map<Key, Shift>}
 */
export function distribute(boxes, axis, least = STEP) {
  const size = axis === "x" ? "width" : "height";
  const order = [...boxes].sort(([, a], [, b]) => a[axis] - b[axis]);
  if (order.length < 2) return new Map();
  const start = order[0][1][axis];
  const end = Math.max(...order.map(([, box]) => box[axis] + box[size]));
  const filled = order.reduce((sum, [, box]) => sum + box[size], 0);
  const gap = Math.max(least, (end - start - filled) / (order.length - 1));
  /** @type {Map<Key, Shift>} */
  const shifts = new Map();
  let at = start;
  for (const [key, box] of order) {
    const by = Math.round(at - box[axis]);
    if (by) shifts.set(key, axis === "x" ? { dx: by, dy: 0 } : { dx: 0, dy: by });
    at += box[size] + gap;
  }
  return shifts;
}

/**
 * @template Key
 * @param {ReadonlyMap<Key, Box>} boxes @param {(box: Box) => Shift} way @returns {Map<Key, Shift>}
 */
function moved(boxes, way) {
  /** @type {Map<Key, Shift>} */
  const shifts = new Map();
  for (const [key, box] of boxes) {
    const { dx, dy } = way(box);
    if (dx || dy) shifts.set(key, { dx, dy });
  }
  return shifts;
}

/**
 * Find to what a moved box nearly lines up: how far to move it on, and the lines that show why.
 * @param {Box} box @param {Iterable<Box>} others @param {number} tolerance
 * @returns {{dx: number, dy: number, guides: Guide[]}}
 */
export function guides(box, others, tolerance) {
  const near = [...others];
  const x = nearestLine(box, near, "x", "width", tolerance);
  const y = nearestLine(box, near, "y", "height", tolerance);
  const [dx, dy] = [x?.by ?? 0, y?.by ?? 0];
  const at = { x: box.x + dx, y: box.y + dy, width: box.width, height: box.height };
  /** @type {Guide[]} */
  const lines = [];
  if (x) lines.push({ axis: "x", at: x.at, ...extent(at, x.other, "y", "height") });
  if (y) lines.push({ axis: "y", at: y.at, ...extent(at, y.other, "x", "width") });
  return { dx, dy, guides: lines };
}

/**
 * @param {Box} box @param {Box[]} others @param {"x" | "y"} axis @param {"width" | "height"} size
 * @param {number} tolerance
 */
function nearestLine(box, others, axis, size, tolerance) {
  const own = [box[axis], box[axis] + box[size] / 2, box[axis] + box[size]];
  /** @type {{by: number, at: number, other: Box, far: number} | null} */
  let best = null;
  const across = axis === "x" ? "y" : "x";
  for (const other of others) {
    const lines = [other[axis], other[axis] + other[size] / 2, other[axis] + other[size]];
    const far = Math.abs(other[across] - box[across]);
    for (let i = 0; i < 3; i++) {
      const by = lines[i] - own[i];
      if (Math.abs(by) > tolerance) continue;
      const better =
        !best || Math.abs(by) < Math.abs(best.by) || (Math.abs(by) === Math.abs(best.by) && far < best.far);
      if (better) best = { by, at: lines[i], other, far };
    }
  }
  return best;
}

/** @param {Box} a @param {Box} b @param {"x" | "y"} axis @param {"width" | "height"} size */
function extent(a, b, axis, size) {
  return { from: Math.min(a[axis], b[axis]), to: Math.max(a[axis] + a[size], b[axis] + b[size]) };
}

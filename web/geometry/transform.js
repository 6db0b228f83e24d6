/**
 * Where a point of the canvas is on the screen. Pure.
 *
 * A view puts the canvas's point `p` at the place `p * zoom + (x, y)` of the element that shows it.
 */

/** @typedef {import("../store/types.js").Point} Point */
/** @typedef {import("../store/types.js").Box} Box */
/** @typedef {{readonly x: number, readonly y: number, readonly zoom: number}} View */
/** @typedef {{readonly width: number, readonly height: number}} Size */

export const MIN_ZOOM = 0.05;
export const MAX_ZOOM = 4;

/** @type {(zoom: number) => number} */
export const clampZoom = (zoom) => Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));

/**
 * Say where a point of the canvas is shown.
 * @param {View} view @param {Point} point @returns {Point}
 */
export const toScreen = (view, point) => ({ x: point.x * view.zoom + view.x, y: point.y * view.zoom + view.y });

/**
 * Say which point of the canvas is shown at a place.
 * @param {View} view @param {Point} place @returns {Point}
 */
export const toCanvas = (view, place) => ({ x: (place.x - view.x) / view.zoom, y: (place.y - view.y) / view.zoom });

/**
 * Say which part of the canvas is seen, with a margin of the screen around it.
 * @param {View} view @param {Size} size @param {number} [margin] in pixels of the screen @returns {Box}
 */
export function visible(view, size, margin = 0) {
  const { x, y } = toCanvas(view, { x: -margin, y: -margin });
  return { x, y, width: (size.width + 2 * margin) / view.zoom, height: (size.height + 2 * margin) / view.zoom };
}

/**
 * Zoom, and keep the point that is shown at `place` where it is.
 * @param {View} view @param {Point} place @param {number} zoom @returns {View}
 */
export function zoomAbout(view, place, zoom) {
  const next = clampZoom(zoom);
  const scale = next / view.zoom;
  return { x: place.x - (place.x - view.x) * scale, y: place.y - (place.y - view.y) * scale, zoom: next };
}

/** @type {(view: View, dx: number, dy: number) => View} */
export const panned = (view, dx, dy) => ({ x: view.x + dx, y: view.y + dy, zoom: view.zoom });

/**
 * Find the view that shows a box in the middle, as large as it may be.
 * @param {Box} box @param {Size} size @param {{margin?: number, largest?: number, least?: number}} [options]
 * @returns {View}
 */
export function fit(box, size, { margin = 48, largest = 1, least = MIN_ZOOM } = {}) {
  const across = Math.max(1, size.width - 2 * margin) / Math.max(1, box.width);
  const down = Math.max(1, size.height - 2 * margin) / Math.max(1, box.height);
  const zoom = Math.max(least, Math.min(across, down, largest));
  return centred({ x: box.x + box.width / 2, y: box.y + box.height / 2 }, size, zoom);
}

/**
 * Find the view of a zoom that shows a point in the middle.
 * @param {Point} point @param {Size} size @param {number} zoom @returns {View}
 */
export const centred = (point, size, zoom) => ({
  x: size.width / 2 - point.x * zoom,
  y: size.height / 2 - point.y * zoom,
  zoom,
});

/**
 * Find the view between two, at `t` of the way from 0 to 1; the zoom goes by equal factors in equal times.
 * @param {View} a @param {View} b @param {number} t @param {Size} size @returns {View}
 */
export function between(a, b, t, size) {
  if (t >= 1) return b;
  const middle = { x: size.width / 2, y: size.height / 2 };
  const [from, to] = [toCanvas(a, middle), toCanvas(b, middle)];
  const zoom = a.zoom * (b.zoom / a.zoom) ** t;
  // The centre moves in step with 1 / zoom, so that it runs straight on the screen.
  const s = Math.abs(a.zoom - b.zoom) < 1e-9 ? t : (1 / a.zoom - 1 / zoom) / (1 / a.zoom - 1 / b.zoom);
  return centred({ x: from.x + (to.x - from.x) * s, y: from.y + (to.y - from.y) * s }, size, zoom);
}

/** @type {(box: Box, by: number) => Box} */
export const grown = (box, by) => ({
  x: box.x - by,
  y: box.y - by,
  width: box.width + 2 * by,
  height: box.height + 2 * by,
});

/** @type {(a: Box, b: Box) => boolean} */
export const overlaps = (a, b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** @type {(outer: Box, inner: Box) => boolean} */
export const contains = (outer, inner) =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;

/** @type {(box: Box, point: Point) => boolean} */
export const holds = (box, point) =>
  point.x >= box.x && point.x <= box.x + box.width && point.y >= box.y && point.y <= box.y + box.height;

/**
 * Find the smallest box around boxes; null around none.
 * @param {Iterable<Box>} boxes @returns {Box | null}
 */
export function around(boxes) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const box of boxes) {
    left = Math.min(left, box.x);
    top = Math.min(top, box.y);
    right = Math.max(right, box.x + box.width);
    bottom = Math.max(bottom, box.y + box.height);
  }
  return left === Infinity ? null : { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * Find the upper left corner of points; the origin where there are none.
 * @param {Iterable<Point>} points @returns {Point}
 */
export function cornerOf(points) {
  let [x, y] = [Infinity, Infinity];
  for (const point of points) [x, y] = [Math.min(x, point.x), Math.min(y, point.y)];
  return x === Infinity ? { x: 0, y: 0 } : { x, y };
}

/**
 * Make the box between two corners, in whatever order they come.
 * @param {Point} a @param {Point} b @returns {Box}
 */
export const spanned = (a, b) => ({
  x: Math.min(a.x, b.x),
  y: Math.min(a.y, b.y),
  width: Math.abs(a.x - b.x),
  height: Math.abs(a.y - b.y),
});

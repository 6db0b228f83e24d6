/**
 * The paths of links: cubic Bezier curves that leave an output to the right, come to an input from the left and go
 * smoothly through the bends between. Pure.
 *
 * A curve is a flat list of coordinates: the start, and then of each piece its two handles and its end.
 */

/** @typedef {import("../store/types.js").Point} Point */
/** @typedef {import("../store/types.js").Box} Box */
/** @typedef {readonly number[]} Curve */

const STEPS = 16;

/**
 * Say how far the handle at an end of a link reaches to the side. Straight ahead it is half the way; going back, the
 * link swings out the more the farther back it goes, but never wildly.
 * @param {number} dx @param {number} dy
 */
export function reach(dx, dy) {
  const distance = Math.hypot(dx, dy);
  if (dx >= 0) return Math.max(dx * 0.5, Math.min(distance * 0.5, 48));
  return Math.min(48 + Math.sqrt(-dx) * 5, Math.max(distance * 0.5, 24));
}

/**
 * Draw a curve from an output through the bends to an input.
 * @param {Point} from @param {Point} to @param {readonly Point[]} [bends] @returns {Curve}
 */
export function curve(from, to, bends = []) {
  if (!bends.length) {
    const side = reach(to.x - from.x, to.y - from.y);
    return [from.x, from.y, from.x + side, from.y, to.x - side, to.y, to.x, to.y];
  }
  const points = [from, ...bends, to];
  const tangents = points.map((point, index) => tangent(points, index));
  const result = [from.x, from.y];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b] = [points[i], points[i + 1]];
    const length = Math.hypot(b.x - a.x, b.y - a.y) * 0.4;
    const [u, v] = [tangents[i], tangents[i + 1]];
    result.push(a.x + u.x * length, a.y + u.y * length, b.x - v.x * length, b.y - v.y * length, b.x, b.y);
  }
  return result;
}

/** @param {readonly Point[]} points @param {number} index @returns {Point} */
function tangent(points, index) {
  if (index === 0 || index === points.length - 1) return { x: 1, y: 0 };
  const [a, b] = [points[index - 1], points[index + 1]];
  const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  return { x: (b.x - a.x) / length, y: (b.y - a.y) / length };
}

/** @param {Curve} path */
export const pieces = (path) => (path.length - 2) / 6;

/**
 * Find the point of a piece at `t` from 0 to 1.
 * @param {Curve} path @param {number} piece @param {number} t @returns {Point}
 */
export function pointAt(path, piece, t) {
  const i = piece * 6;
  const s = 1 - t;
  const [a, b, c, d] = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
  return {
    x: a * path[i] + b * path[i + 2] + c * path[i + 4] + d * path[i + 6],
    y: a * path[i + 1] + b * path[i + 3] + c * path[i + 5] + d * path[i + 7],
  };
}

/**
 * Find the box around the curve's handles, which the curve lies in.
 * @param {Curve} path @returns {Box}
 */
export function bounds(path) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < path.length; i += 2) {
    left = Math.min(left, path[i]);
    right = Math.max(right, path[i]);
    top = Math.min(top, path[i + 1]);
    bottom = Math.max(bottom, path[i + 1]);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * Find where the curve comes nearest to a point; `piece` says between which bends that is.
 * @param {Curve} path @param {Point} point @returns {{distance: number, piece: number, t: number, point: Point}}
 */
export function nearest(path, point) {
  let best = { distance: Infinity, piece: 0, t: 0, point };
  for (let piece = 0; piece < pieces(path); piece++) {
    let last = pointAt(path, piece, 0);
    for (let step = 1; step <= STEPS; step++) {
      const next = pointAt(path, piece, step / STEPS);
      const near = nearestOnLine(last, next, point);
      if (near.distance < best.distance) {
        best = { distance: near.distance, piece, t: (step - 1 + near.t) / STEPS, point: near.point };
      }
      last = next;
    }
  }
  return best;
}

/**
 * Find the point of a straight line that is nearest to a point.
 * @param {Point} a @param {Point} b @param {Point} point
 */
function nearestOnLine(a, b, point) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const t = length ? Math.min(1, Math.max(0, ((point.x - a.x) * dx + (point.y - a.y) * dy) / length)) : 0;
  const at = { x: a.x + dx * t, y: a.y + dy * t };
  return { distance: Math.hypot(point.x - at.x, point.y - at.y), t, point: at };
}

/**
 * Find where a straight stroke first crosses a curve; null where it does not.
 * @param {Curve} path @param {Point} a @param {Point} b @returns {{piece: number, point: Point} | null}
 */
export function crossing(path, a, b) {
  for (let piece = 0; piece < pieces(path); piece++) {
    let last = pointAt(path, piece, 0);
    for (let step = 1; step <= STEPS; step++) {
      const next = pointAt(path, piece, step / STEPS);
      const point = crossed(last, next, a, b);
      if (point) return { piece, point };
      last = next;
    }
  }
  return null;
}

/** @param {Point} a @param {Point} b @param {Point} c @param {Point} d @returns {Point | null} */
function crossed(a, b, c, d) {
  const [rx, ry, sx, sy] = [b.x - a.x, b.y - a.y, d.x - c.x, d.y - c.y];
  const across = rx * sy - ry * sx;
  if (!across) return null;
  const t = ((c.x - a.x) * sy - (c.y - a.y) * sx) / across;
  const u = ((c.x - a.x) * ry - (c.y - a.y) * rx) / across;
  return t >= 0 && t <= 1 && u >= 0 && u <= 1 ? { x: a.x + rx * t, y: a.y + ry * t } : null;
}

/** Room for what was put between others: neighbours move away, and theirs in turn. Pure. */

import { grown, overlaps } from "./transform.js";

/** @typedef {import("../store/types.js").Box} Box */
/** @typedef {import("./align.js").Shift} Shift */

/**
 * Say how far each box moves to the right or down until none touches what stays.
 * @template Key
 * @param {ReadonlyMap<Key, Box>} boxes @param {ReadonlySet<Key>} fixed those that stay: what was put in, what is pinned
 * @param {number} [gap] @returns {Map<Key, Shift>}
 */
export function push(boxes, fixed, gap = 20) {
  /** @type {Map<Key, Shift>} */
  const shifts = new Map();
  const at = new Map(boxes);
  const queue = [...fixed].filter((key) => boxes.has(key));
  const pushes = new Map();
  while (queue.length) {
    const key = /** @type {Key} */ (queue.shift());
    const pusher = at.get(key);
    if (!pusher) continue;
    for (const [other, box] of at) {
      if (other === key || fixed.has(other) || !overlaps(grown(pusher, gap - 1e-6), box)) continue;
      // Two that push each other in turn would never end.
      const count = (pushes.get(other) ?? 0) + 1;
      if (count > 8) continue;
      pushes.set(other, count);
      const { dx, dy } = away(pusher, box, gap);
      const last = shifts.get(other) ?? { dx: 0, dy: 0 };
      shifts.set(other, { dx: last.dx + dx, dy: last.dy + dy });
      at.set(other, { ...box, x: box.x + dx, y: box.y + dy });
      queue.push(other);
    }
  }
  return shifts;
}

/**
 * The shorter way out, of right and down, or up and left where the box lies more that way.
 * @param {Box} pusher @param {Box} box @param {number} gap @returns {Shift}
 */
function away(pusher, box, gap) {
  const middle = { x: pusher.x + pusher.width / 2, y: pusher.y + pusher.height / 2 };
  const toRight = box.x + box.width / 2 >= middle.x;
  const toBottom = box.y + box.height / 2 >= middle.y;
  const dx = toRight ? pusher.x + pusher.width + gap - box.x : pusher.x - gap - box.x - box.width;
  const dy = toBottom ? pusher.y + pusher.height + gap - box.y : pusher.y - gap - box.y - box.height;
  return Math.abs(dx) <= Math.abs(dy) ? { dx, dy: 0 } : { dx: 0, dy };
}

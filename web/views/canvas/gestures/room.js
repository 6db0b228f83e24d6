/** Room for a node that is put into a link. */

import { push } from "../../../geometry/push.js";
import { grown, overlaps } from "../../../geometry/transform.js";
import { place } from "../../../store/edits.js";
import { after } from "../../../store/flow.js";
import { split } from "../../../store/names.js";

/** @import {Box, Graph} from "../../../store/types.js" */
/** @import {Canvas} from "../canvas.js" */

const ROOM = 32;

/**
 * Make room for a node that was put into a link: it comes to lie beside its source, what comes after it moves on to
 * the right, and what else is in the way goes away.
 * @param {Canvas} canvas @param {Graph} graph @param {string} id @param {string} link `"node.input"` that it led to
 * @returns {Graph}
 */
export function roomFor(canvas, graph, id, link) {
  /** @type {Map<string, Box>} */
  const boxes = new Map();
  const fixed = new Set([id]);
  for (const [key, node] of graph.nodes) {
    const placed = canvas.scene.nodes.get(key);
    if (placed) boxes.set(key, { ...placed.box, x: node.view.x, y: node.view.y });
    if (node.view.pinned) fixed.add(key);
  }
  const moved = new Map(boxes);
  const [target] = split(link);
  for (const source of readBy(graph, id)) besideSource(moved, id, source, fixed);
  const [own, next] = [moved.get(id), moved.get(target)];
  const far = own && next && next.x + next.width / 2 > own.x ? own.x + own.width + ROOM - next.x : 0;
  for (const key of far > 0 ? after(graph, target) : []) {
    const box = moved.get(key);
    if (box && !fixed.has(key)) moved.set(key, { ...box, x: box.x + far });
  }
  // Only what the node is put before or upon moves: what overlapped elsewhere is none of its business.
  for (const [key, { dx, dy }] of push(moved, fixed, ROOM)) {
    const box = moved.get(key);
    if (box) moved.set(key, { ...box, x: box.x + dx, y: box.y + dy });
  }
  const points = [...moved].filter(([key, box]) => boxes.get(key) !== box)
    .map(([key, { x, y }]) => /** @type {const} */ ([key, { x: Math.round(x), y: Math.round(y) }]));
  return place(graph, new Map(points));
}

/** @param {Graph} graph @param {string} id @returns {Set<string>} the nodes that a node reads */
function readBy(graph, id) {
  return new Set([...(graph.nodes.get(id)?.links.values() ?? [])].map((source) => split(source)[0]));
}

/**
 * A source that a node lies on stays, and the node moves to the right of it.
 * @param {Map<string, Box>} boxes @param {string} id @param {string} source @param {Set<string>} fixed
 */
function besideSource(boxes, id, source, fixed) {
  const [own, box] = [boxes.get(id), boxes.get(source)];
  if (!own || !box || !overlaps(grown(box, ROOM), own)) return;
  boxes.set(id, { ...own, x: box.x + box.width + ROOM });
  fixed.add(source);
}

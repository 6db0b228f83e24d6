/** What of the scene lies below a point, told by numbers alone. */

import { HEADER } from "../../geometry/boxes.js";
import { nearest } from "../../geometry/curves.js";
import { grown, holds } from "../../geometry/transform.js";
import { join } from "../../store/names.js";

/** @import {Box, Point} from "../../store/types.js" */
/** @import {Placed, Scene} from "./scene.js" */

/**
 * @typedef {{kind: "canvas"}
 *   | {kind: "node", id: string, part: "header" | "body" | "resize"}
 *   | {kind: "port", id: string, side: "in" | "out", name: string}
 *   | {kind: "wire", key: string, piece: number, point: Point}
 *   | {kind: "bend", key: string, index: number}
 *   | {kind: "frame", id: string, part: "header" | "resize"}
 *   | {kind: "note", id: string, part: "body" | "resize"}} Hit
 */

/** Below this zoom nodes are drawn as boxes: their texts could not be read. */
export const BOX_ZOOM = 0.4;
/** Below this zoom ports are too small to take hold of. */
const PORT_ZOOM = 0.2;

const PORT_REACH = 11;
const HANDLE = 12;

/**
 * Find what is below a point.
 * @param {Scene} scene @param {Point} point on the canvas @param {number} zoom @returns {Hit}
 */
export function hit(scene, point, zoom) {
  return (
    bendBelow(scene, point, zoom) ??
    portBelow(scene, point, zoom) ??
    nodeBelow(scene, point) ??
    wireBelow(scene, point, zoom) ??
    noteBelow(scene, point) ??
    frameBelow(scene, point) ?? { kind: "canvas" }
  );
}

/**
 * The nodes that touch a box, topmost first.
 * @param {Scene} scene @param {Box} box @returns {Placed[]}
 */
function nodesAt(scene, box) {
  const found = [];
  for (const id of scene.nodeGrid.query(box)) {
    const placed = scene.nodes.get(id);
    if (placed) found.push(placed);
  }
  return found.sort((a, b) => (scene.order.get(b.id) ?? 0) - (scene.order.get(a.id) ?? 0));
}

/** @param {Scene} scene @param {Point} point @returns {Placed | null} */
const topNode = (scene, point) => nodesAt(scene, { ...point, width: 0, height: 0 })[0] ?? null;

/** @param {Scene} scene @param {Point} point @param {number} zoom @returns {Hit | null} */
function portBelow(scene, point, zoom) {
  if (zoom < PORT_ZOOM) return null;
  const reach = Math.max(PORT_REACH, 7 / zoom);
  for (const placed of nodesAt(scene, {
    x: point.x - reach,
    y: point.y - reach,
    width: 2 * reach,
    height: 2 * reach,
  })) {
    const found = nearestPort(placed, point, reach);
    if (found) return { kind: "port", id: placed.id, ...found };
    if (holds(placed.box, point)) return null;
  }
  return null;
}

/**
 * @param {Placed} placed @param {Point} point @param {number} reach
 * @returns {{side: "in" | "out", name: string} | null}
 */
function nearestPort(placed, point, reach) {
  let best = reach;
  /** @type {{side: "in" | "out", name: string} | null} */
  let found = null;
  for (const side of /** @type {const} */ (["in", "out"])) {
    for (const [name, at] of side === "in" ? placed.laid.inputs : placed.laid.outputs) {
      const distance = Math.hypot(placed.box.x + at.x - point.x, placed.box.y + at.y - point.y);
      if (distance < best) [best, found] = [distance, { side, name }];
    }
  }
  return found;
}

/** @param {Scene} scene @param {Point} point @returns {Hit | null} */
function nodeBelow(scene, point) {
  const placed = topNode(scene, point);
  if (!placed) return null;
  const { box } = placed;
  const corner = box.x + box.width - point.x < HANDLE && box.y + box.height - point.y < HANDLE;
  const header = point.y < box.y + HEADER;
  return { kind: "node", id: placed.id, part: corner && !header ? "resize" : header ? "header" : "body" };
}

/** @param {Scene} scene @param {Point} point @param {number} zoom @returns {Hit | null} */
function bendBelow(scene, point, zoom) {
  const reach = Math.max(8, 7 / zoom);
  for (const key of scene.wireGrid.query(grown({ ...point, width: 0, height: 0 }, reach))) {
    const bends = scene.wires.get(key)?.bends ?? [];
    const index = bends.findIndex((bend) => Math.hypot(bend.x - point.x, bend.y - point.y) < reach);
    if (index >= 0) return { kind: "bend", key, index };
  }
  return null;
}

/**
 * Find the link that comes nearest to a point.
 * @param {Scene} scene @param {Point} point @param {number} zoom @param {(key: string) => boolean} [allowed]
 * @returns {{kind: "wire", key: string, piece: number, point: Point} | null}
 */
export function wireBelow(scene, point, zoom, allowed = () => true) {
  let best = Math.max(5, 6 / zoom);
  let found = null;
  for (const key of scene.wireGrid.query(grown({ ...point, width: 0, height: 0 }, best))) {
    const wire = scene.wires.get(key);
    if (!wire || !allowed(key)) continue;
    const near = nearest(wire.path, point);
    if (near.distance < best) {
      best = near.distance;
      found = { kind: /** @type {const} */ ("wire"), key, piece: near.piece, point: near.point };
    }
  }
  return found;
}

/** @param {Scene} scene @param {Point} point @returns {Hit | null} */
function noteBelow(scene, point) {
  for (const id of [...scene.notes.keys()].reverse()) {
    const box = scene.noteBox(id);
    if (box && holds(box, point)) return { kind: "note", id, part: atCorner(box, point) ? "resize" : "body" };
  }
  return null;
}

/**
 * A frame is taken by its title; what lies in it is reached through it.
 * @param {Scene} scene @param {Point} point @returns {Hit | null}
 */
function frameBelow(scene, point) {
  for (const id of [...scene.frames.keys()].reverse()) {
    const box = scene.frameBox(id);
    if (!box || !holds(box, point)) continue;
    if (atCorner(box, point) && !scene.frames.get(id)?.collapsed) return { kind: "frame", id, part: "resize" };
    if (point.y < box.y + HEADER) return { kind: "frame", id, part: "header" };
  }
  return null;
}

/** @param {Box} box @param {Point} point */
const atCorner = (box, point) => box.x + box.width - point.x < 16 && box.y + box.height - point.y < 16;

/**
 * The port that a link is dropped on: the one at the point, or the one whose row it is, or the node's first that is
 * allowed.
 * @param {Scene} scene @param {Point} point @param {"in" | "out"} side @param {number} zoom
 * @param {(place: string) => boolean} allowed
 * @returns {{id: string, name: string} | null}
 */
export function dropTarget(scene, point, side, zoom, allowed) {
  const reach = Math.max(2 * PORT_REACH, 10 / zoom);
  for (const placed of nodesAt(scene, grown({ ...point, width: 0, height: 0 }, reach))) {
    const ports = side === "in" ? placed.laid.inputs : placed.laid.outputs;
    const inside = holds(placed.box, point);
    /** @type {{name: string, distance: number} | null} */
    let best = null;
    for (const [name, at] of ports) {
      const distance = Math.hypot(placed.box.x + at.x - point.x, placed.box.y + at.y - point.y);
      if (distance < reach && (!best || distance < best.distance)) best = { name, distance };
    }
    if (best && (allowed(join(placed.id, best.name)) || !inside)) return { id: placed.id, name: best.name };
    if (!inside) continue;
    const row = placed.laid.rows.find(
      (one) => point.y >= placed.box.y + one.y && point.y < placed.box.y + one.y + one.height,
    );
    const own = side === "in" ? row?.input : row?.output;
    if (own !== undefined && ports.has(own) && (row?.kind === "field" || row?.kind === "ports")) {
      if (allowed(join(placed.id, own)) || row.kind === "field") return { id: placed.id, name: own };
    }
    const first = [...ports.keys()].find((name) => allowed(join(placed.id, name))) ?? [...ports.keys()][0];
    return first === undefined ? null : { id: placed.id, name: first };
  }
  return null;
}

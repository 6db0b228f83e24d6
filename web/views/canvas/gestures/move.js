/** Moving what is selected: with guides, onto the grid, onto a link; or a copy of it. */

import { guides, snap } from "../../../geometry/align.js";
import { around, visible } from "../../../geometry/transform.js";
import { duplicate, insertOnLink, move, setRoute } from "../../../store/edits.js";
import { withFramed } from "../../../store/items.js";
import { insertable } from "../../../store/links.js";
import { idsOf, split } from "../../../store/names.js";
import { wireBelow } from "../hit.js";
import { roomFor } from "./room.js";
import { rounded } from "./stroke.js";

/** @import {Box, Graph, Item, Point} from "../../../store/types.js" */
/** @import {Canvas} from "../canvas.js" */
/** @import {Gesture} from "../pointer.js" */

/**
 * What is done first, as one step with the move.
 * @typedef {{label: string, make: (graph: Graph) => {graph: Graph, items: Iterable<Item>}}} Before
 */

/**
 * Move the selection that an item is in.
 * @param {Canvas} canvas @param {PointerEvent} start @param {Item} item
 * @param {{keepInputs: boolean} | null} copy whether a copy is made and moved instead
 * @returns {Gesture}
 */
export function moveItems(canvas, start, item, copy) {
  const { session } = canvas.editor;
  const chosen = session.selection.has(item) ? session.selection : new Set([item]);
  const before = copy && {
    label: "Duplicate",
    make: (/** @type {Graph} */ graph) => copied(graph, chosen, copy.keepInputs),
  };
  return new Move(canvas, start, chosen, before);
}

/**
 * Give a link a bend and move it.
 * @param {Canvas} canvas @param {PointerEvent} start @param {{key: string, piece: number}} hit @returns {Gesture}
 */
export function bendWire(canvas, start, { key, piece }) {
  const point = rounded(canvas.pointOf({ x: start.clientX, y: start.clientY }));
  const make = (/** @type {Graph} */ graph) => ({
    graph: setRoute(graph, key, (graph.routes.get(key) ?? []).toSpliced(piece, 0, point)),
    items: [/** @type {Item} */ (`route:${key}:${piece}`)],
  });
  return new Move(canvas, start, [], { label: "Bend link", make });
}

/** Copies right where the things are. @param {Graph} graph @param {Iterable<Item>} items @param {boolean} keepInputs */
function copied(graph, items, keepInputs) {
  const corner = around(
    [...idsOf(items, "node")]
      .flatMap((id) => graph.nodes.get(id)?.view ?? [])
      .map((view) => ({ ...view, width: 0, height: 0 })),
  );
  const result = duplicate(graph, items, { keepInputs, at: corner });
  return { graph: result.graph, items: result.items };
}

/** @implements {Gesture} */
class Move {
  autopan = true;
  cursor = "move";

  /** @param {Canvas} canvas @param {PointerEvent} start @param {Iterable<Item>} chosen @param {Before | null} before */
  constructor(canvas, start, chosen, before) {
    this.canvas = canvas;
    this.before = before;
    const { session } = canvas.editor;
    this.from = canvas.pointOf({ x: start.clientX, y: start.clientY });
    if (before) {
      const made = before.make(session.graph);
      this.chosen = new Set(made.items);
      session.apply(before.label, () => made.graph, { select: this.chosen });
    } else this.chosen = new Set(chosen);
    this.items = movable(session.graph, this.chosen);
    this.start = around([...this.items].map((item) => canvas.boxOf(item)).filter((box) => box !== null));
    this.single = this.items.size === 1 && !before ? ([...idsOf(this.items, "node")][0] ?? null) : null;
    this.shift = { dx: 0, dy: 0 };
    /** @type {string | null} */
    this.insert = null;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { canvas } = this;
    const client = { x: event.clientX, y: event.clientY };
    const to = canvas.pointOf(client);
    const lines = this.settle(to.x - this.from.x, to.y - this.from.y, event);
    canvas.scene.shift({ items: this.items, ...this.shift });
    this.insert = this.single && !event.altKey ? this.linkBelow(this.single, to) : null;
    canvas.mark({ guides: lines, ...(this.insert ? { insert: this.insert } : {}) });
    canvas.say(this.insert ? "Insert here (Alt: do not)" : null, client);
  }

  /** @param {number} dx @param {number} dy @param {PointerEvent} event */
  settle(dx, dy, event) {
    const { canvas, start } = this;
    const { settings } = canvas.editor;
    if (event.shiftKey && !this.before) [dx, dy] = Math.abs(dx) > Math.abs(dy) ? [dx, 0] : [0, dy];
    this.shift = { dx: Math.round(dx), dy: Math.round(dy) };
    if (!start) return [];
    const box = { ...start, x: start.x + dx, y: start.y + dy };
    if (settings.get("snap")) {
      this.shift = { dx: snap(box.x) - start.x, dy: snap(box.y) - start.y };
      return [];
    }
    if (!settings.get("guides") || event.ctrlKey || event.metaKey || event.shiftKey) return [];
    const found = guides(box, this.others(), 6 / canvas.camera.view.zoom);
    this.shift = { dx: Math.round(dx + found.dx), dy: Math.round(dy + found.dy) };
    return found.guides;
  }

  /** The nodes that are seen and stay. @returns {Box[]} */
  others() {
    const { scene, camera } = this.canvas;
    const found = [];
    for (const id of scene.nodeGrid.query(visible(camera.view, camera.size))) {
      const box = scene.nodes.get(id)?.box;
      if (box && !this.items.has(`node:${id}`)) found.push(box);
    }
    return found;
  }

  /** @param {string} id @param {Point} point @returns {string | null} */
  linkBelow(id, point) {
    const { scene, camera, editor } = this.canvas;
    const box = scene.nodes.get(id)?.box;
    if (!box) return null;
    const { graph } = editor.session;
    const fits = (/** @type {string} */ key) => insertable(graph, id, key, editor.catalogue) !== null;
    const middle = { x: box.x + box.width / 2, y: box.y + 20 };
    const found =
      wireBelow(scene, point, camera.view.zoom / 2, fits) ?? wireBelow(scene, middle, camera.view.zoom / 3, fits);
    return found?.key ?? null;
  }

  end() {
    const { canvas, before, items, insert, single } = this;
    const { session, catalogue } = canvas.editor;
    const { dx, dy } = this.shift;
    this.over();
    if (before) {
      // The copy and its move are one step.
      const chosen = this.chosen;
      session.undo();
      session.apply(before.label, (graph) => move(before.make(graph).graph, chosen, dx, dy), { select: chosen });
      return;
    }
    const label = items.size === 1 ? "Move" : `Move ${items.size} things`;
    if (insert && single) {
      session.apply("Insert on link", (graph) => {
        const moved = move(graph, this.chosen, dx, dy);
        return roomFor(canvas, insertOnLink(moved, single, insert, catalogue), single, insert);
      });
    } else session.apply(label, (graph) => move(graph, this.chosen, dx, dy));
  }

  cancel() {
    this.over();
    if (this.before) this.canvas.editor.session.undo();
  }

  over() {
    this.canvas.scene.shift(null);
    this.canvas.mark({});
    this.canvas.say(null);
  }
}

/**
 * What moves with what is chosen: what lies in frames, and bends of links within; nothing that is pinned.
 * @param {Graph} graph @param {Iterable<Item>} chosen @returns {Set<Item>}
 */
function movable(graph, chosen) {
  const items = withFramed(graph, chosen);
  for (const id of idsOf(items, "node")) if (graph.nodes.get(id)?.view.pinned) items.delete(`node:${id}`);
  for (const [key, bends] of graph.routes) {
    const [target, input] = split(key);
    const [source] = split(graph.nodes.get(target)?.links.get(input) ?? "");
    if (!items.has(`node:${target}`) || !items.has(`node:${source}`)) continue;
    bends.forEach((_, i) => items.add(`route:${key}:${i}`));
  }
  return items;
}

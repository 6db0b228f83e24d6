/** The layer of the nodes that are in view. Making elements takes time, so it is spread over frames. */

import { visible } from "../../geometry/transform.js";
import { BOX_ZOOM } from "./hit.js";
import { NodeView } from "./node.js";

/** @import {Item} from "../../store/types.js" */
/** @import {View, Size} from "../../geometry/transform.js" */
/** @import {Placed, Scene} from "./scene.js" */
/** @import {RowHost} from "./rows.js" */

/** Milliseconds of a frame that new nodes may take. */
const BUDGET = 5;
/** Pixels around the view in which nodes are made, and are kept. */
const MARGIN = 60;
const KEPT = 400;
/** Nodes out of view whose elements are kept for when they come back. */
const SPARE = 120;

/** Shows and hides nodes as the view moves. */
export class NodeLayer {
  /** @param {RowHost} host @param {HTMLElement} element */
  constructor(host, element) {
    this.host = host;
    this.element = element;
    /** @type {Map<string, NodeView>} */
    this.shown = new Map();
    /** @type {Map<string, NodeView>} those out of view, the longest unseen first */
    this.spare = new Map();
    /** @type {string | null} the node that Tab comes to */
    this.focused = null;
  }

  /**
   * Bring the elements up to what is in view.
   * @param {{scene: Scene, view: View, size: Size, selection: ReadonlySet<Item>, hurry?: boolean}} shown
   * @returns {{boxes: Placed[], done: boolean}} the nodes to be drawn as boxes, and whether that is how it stays
   */
  sync(shown) {
    const { scene, view, size, hurry = false } = shown;
    const far = view.zoom < BOX_ZOOM;
    this.element.hidden = far;
    // In a hurry only what is seen at once is made; what lies beside it comes with the frames after.
    const ids = scene.nodeGrid.query(visible(view, size, far || hurry ? 0 : MARGIN));
    if (far) return { boxes: placedOf(scene, ids), done: true };
    this.drop(scene, visible(view, size, KEPT));
    const end = performance.now() + (hurry ? 1000 : BUDGET);
    const boxes = [];
    const made = document.createDocumentFragment();
    for (const id of ids) {
      const placed = scene.nodes.get(id);
      if (!placed) continue;
      const known = this.shown.get(id);
      if (known) this.refresh(known, placed, shown);
      else if (performance.now() < end) made.append(this.attach(placed, shown));
      else boxes.push(placed);
    }
    this.element.append(made);
    // There is always one that Tab comes to.
    if (this.focused === null || !this.shown.has(this.focused)) this.rove(this.shown.keys().next().value ?? null);
    return { boxes, done: boxes.length === 0 && !hurry };
  }

  /** @param {NodeView} node @param {Placed} placed @param {{scene: Scene, selection: ReadonlySet<Item>}} shown */
  refresh(node, placed, { scene, selection }) {
    const order = scene.order.get(placed.id) ?? 0;
    if (node.placed !== placed || node.element.style.zIndex !== String(order)) node.update(placed, order);
    node.select(selection.has(`node:${placed.id}`));
  }

  /** @param {Placed} placed @param {{scene: Scene, selection: ReadonlySet<Item>}} shown @returns {HTMLElement} */
  attach(placed, shown) {
    const spare = this.spare.get(placed.id);
    const node = spare ?? new NodeView(this.host, placed.id);
    this.spare.delete(placed.id);
    this.shown.set(placed.id, node);
    this.refresh(node, placed, shown);
    spare?.refresh();
    node.reach(placed.id === this.focused);
    this.host.decorate(node);
    return node.element;
  }

  /** @param {Scene} scene @param {import("../../store/types.js").Box} kept */
  drop(scene, kept) {
    const near = scene.nodeGrid.query(kept);
    for (const [id, node] of this.shown) {
      const gone = !scene.nodes.has(id);
      if (near.has(id) || (!gone && node.element.contains(document.activeElement))) continue;
      this.shown.delete(id);
      if (!gone) this.store(id, node);
      else if (node.element.contains(document.activeElement)) this.leave(node);
      else node.destroy();
    }
    for (const [id, node] of this.spare) {
      if (scene.nodes.has(id) && this.spare.size <= SPARE) continue;
      this.spare.delete(id);
      node.destroy();
    }
  }

  /** The keys stay with the canvas when the node that has them goes. @param {NodeView} node */
  leave(node) {
    node.destroy();
    this.element.parentElement?.focus({ preventScroll: true });
  }

  /** @param {string} id @param {NodeView} node */
  store(id, node) {
    node.element.remove();
    this.spare.set(id, node);
  }

  /** @param {string} id */
  get(id) {
    return this.shown.get(id) ?? null;
  }

  /** Let Tab come to a node, and from it to its ports. @param {string | null} id */
  rove(id) {
    if (id === this.focused) return;
    const last = this.focused === null ? undefined : this.shown.get(this.focused);
    last?.reach(false);
    this.focused = id;
    const next = id === null ? undefined : this.shown.get(id);
    next?.reach(true);
  }

  clear() {
    for (const node of [...this.shown.values(), ...this.spare.values()]) node.destroy();
    this.shown.clear();
    this.spare.clear();
  }
}

/** @param {Scene} scene @param {Iterable<string>} ids @returns {Placed[]} */
function placedOf(scene, ids) {
  const found = [];
  for (const id of ids) {
    const placed = scene.nodes.get(id);
    if (placed) found.push(placed);
  }
  return found;
}

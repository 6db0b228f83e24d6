/**
 * What lies on the canvas and where: boxes of nodes, curves of links, frames and notes, with indexes by place. It
 * follows the document by identity: what did not change is not looked at again. No element is touched here.
 */

import { boxOf, HEADER, layout, widthOf } from "../../geometry/boxes.js";
import { bounds, curve } from "../../geometry/curves.js";
import { Grid } from "../../geometry/grid.js";
import { around } from "../../geometry/transform.js";
import { inFrame } from "../../store/items.js";
import { idsOf, join, parseItem, split } from "../../store/names.js";

/** @import {Box, Fit, Frame, Graph, Item, Node, NodeType, Note, Point} from "../../store/types.js" */
/** @import {NodeLayout} from "../../geometry/boxes.js" */
/** @import {Curve} from "../../geometry/curves.js" */

/**
 * What the scene is told of types and results.
 * @typedef {Object} Sources
 * @property {(node: Node, graph: Graph) => NodeType} type
 * @property {(node: Node) => boolean} settled whether the node's type depends on nothing else in the graph
 * @property {(source: string, target: string) => Fit} fit
 * @property {(type: string) => {hue: number, shape: string, list: boolean}} look
 * @property {(id: string, width: () => number) => number} media how high what a node shows of its runs is
 */
/**
 * A node as it is drawn; a new one whenever something of it changed.
 * @typedef {Object} Placed
 * @property {string} id
 * @property {Node} node
 * @property {NodeType} type
 * @property {NodeLayout} laid
 * @property {Box} box
 * @property {string | null} hidden the collapsed frame that it lies in
 * @property {number} media how high what it shows of its runs is
 */
/**
 * A link as it is drawn.
 * @typedef {Object} Wire
 * @property {string} key `"node.input"` that it leads to
 * @property {string} source
 * @property {string} output
 * @property {string} target
 * @property {string} input
 * @property {readonly Point[]} bends
 * @property {Curve} path
 * @property {Box} box
 * @property {number} hue
 * @property {boolean} list
 * @property {Fit} fit
 */

/** @type {ReadonlySet<string>} */
const NONE = new Set();

/** The scene of one graph. */
export class Scene {
  /** @param {Sources} sources */
  constructor(sources) {
    this.sources = sources;
    /** @type {Graph | null} */
    this.graph = null;
    /** @type {Map<string, Placed>} */
    this.nodes = new Map();
    /** @type {Map<string, Wire>} */
    this.wires = new Map();
    /** @type {Map<string, Set<string>>} keys of the links at each node */
    this.around = new Map();
    /** @type {Grid<string>} */
    this.nodeGrid = new Grid();
    /** @type {Grid<string>} */
    this.wireGrid = new Grid();
    /**
     * A node, frame or note as it would be, while its size is changed.
     * @type {{item: Item, width: number, height: number} | null}
     */
    this.sizing = null;
    /** @type {ReadonlyMap<string, Frame>} */
    this.frames = new Map();
    /** @type {ReadonlyMap<string, Note>} */
    this.notes = new Map();
    /** @type {Map<string, number>} which of two nodes lies above the other */
    this.order = new Map();
    this.highest = 0;
    /** Nodes whose links changed since somebody looked. @type {Set<string>} */
    this.touched = new Set();
    /** What is being moved, and by how much. @type {{items: Set<Item>, dx: number, dy: number} | null} */
    this.moving = null;
  }

  /**
   * Follow the document.
   * @param {Graph} graph @param {{retype?: boolean, remeasure?: ReadonlySet<string> | "all"}} [options]
   */
  update(graph, { retype = false, remeasure = NONE } = {}) {
    const still = this.moving;
    if (still) this.shift(null);
    const last = this.graph;
    this.graph = graph;
    this.frames = graph.frames;
    this.notes = graph.notes;
    const dirty = this.updateNodes(graph, hiddenBy(graph), { retype, remeasure });
    this.updateWires(graph, dirty, last !== null && last.routes === graph.routes ? null : graph.routes);
  }

  /**
   * @param {Graph} graph @param {ReadonlyMap<string, string>} hiders
   * @param {{retype: boolean, remeasure: ReadonlySet<string> | "all"}} options
   * @returns {Set<string>} ids of the nodes whose links have to be drawn anew
   */
  updateNodes(graph, hiders, { retype, remeasure }) {
    /** @type {Set<string>} */
    const dirty = new Set();
    for (const id of this.nodes.keys()) {
      if (graph.nodes.has(id)) continue;
      this.nodes.delete(id);
      this.nodeGrid.delete(id);
      this.order.delete(id);
      dirty.add(id);
    }
    for (const [id, node] of graph.nodes) {
      const last = this.nodes.get(id);
      const known = last && last.node === node && !retype && this.sources.settled(node);
      const type = known ? last.type : this.sources.type(node, graph);
      const media = known && remeasure !== "all" && !remeasure.has(id) ? last.media : this.mediaOf(id, node, type);
      const laid = layout(node, type, { media });
      const box = boxOf(node, laid);
      const hidden = hiders.get(id) ?? null;
      if (last && last.node === node && last.type === type && last.laid === laid && last.hidden === hidden) continue;
      this.place({ id, node, type, laid, box, hidden, media });
      if (!last) this.order.set(id, ++this.highest);
      dirty.add(id);
    }
    return dirty;
  }

  /** @param {string} id @param {Node} node @param {NodeType} type */
  mediaOf(id, node, type) {
    return node.view.collapsed ? 0 : this.sources.media(id, () => widthOf(node, type));
  }

  /** @param {Placed} placed */
  place(placed) {
    this.nodes.set(placed.id, placed);
    if (placed.hidden === null) this.nodeGrid.set(placed.id, placed.box);
    else this.nodeGrid.delete(placed.id);
  }

  /** @param {Graph} graph @param {Set<string>} dirty @param {ReadonlyMap<string, readonly Point[]> | null} routes */
  updateWires(graph, dirty, routes) {
    const keys = new Set();
    for (const id of dirty) for (const key of this.around.get(id) ?? []) keys.add(key);
    for (const id of dirty) for (const input of graph.nodes.get(id)?.links.keys() ?? []) keys.add(join(id, input));
    if (routes) {
      for (const key of routes.keys()) keys.add(key);
      for (const [key, wire] of this.wires) if (wire.bends.length) keys.add(key);
    }
    for (const key of keys) this.rewire(graph, key);
  }

  /** @param {Graph} graph @param {string} key */
  rewire(graph, key) {
    const [target, input] = split(key);
    const link = graph.nodes.get(target)?.links.get(input);
    const wire = link === undefined ? null : this.wire(graph, key, link);
    const last = this.wires.get(key);
    if (last && (!wire || last.source !== wire.source)) this.touch(last.source, key, false);
    if (!wire) {
      this.wires.delete(key);
      this.wireGrid.delete(key);
      this.touch(target, key, false);
      return;
    }
    this.wires.set(key, wire);
    this.touch(wire.source, key, true);
    this.touch(target, key, true);
    if (this.nodes.get(wire.source)?.hidden && this.nodes.get(wire.source)?.hidden === this.nodes.get(target)?.hidden) {
      this.wireGrid.delete(key);
    } else this.wireGrid.set(key, wire.box);
  }

  /** @param {string} id @param {string} key @param {boolean} on */
  touch(id, key, on) {
    const keys = this.around.get(id);
    if (keys?.has(key) !== on) this.touched.add(id);
    if (on && !keys) this.around.set(id, new Set([key]));
    else if (on) keys?.add(key);
    else if (keys?.delete(key) && !keys.size) this.around.delete(id);
  }

  /** @param {Graph} graph @param {string} key @param {string} link @returns {Wire | null} */
  wire(graph, key, link) {
    const [source, output] = split(link);
    const [target, input] = split(key);
    const [a, b] = [this.nodes.get(source), this.nodes.get(target)];
    const [from, to] = [this.outputAt(source, output), this.inputAt(target, input)];
    if (!a || !b || !from || !to) return null;
    const bends = this.bendsOf(graph, key);
    const path = curve(from, to, bends);
    const type = a.type.outputs.get(output)?.type ?? "";
    const look = this.sources.look(type);
    const fit = this.sources.fit(type, b.type.inputs.get(input)?.type ?? "");
    return { key, source, output, target, input, bends, path, box: bounds(path), hue: look.hue, list: look.list, fit };
  }

  /** @param {Graph} graph @param {string} key @returns {readonly Point[]} */
  bendsOf(graph, key) {
    const bends = graph.routes.get(key) ?? [];
    const moving = this.moving;
    if (!moving || !bends.length) return bends;
    return bends.map((bend, i) =>
      moving.items.has(`route:${key}:${i}`) ? { x: bend.x + moving.dx, y: bend.y + moving.dy } : bend,
    );
  }

  /** Where an output is; null where there is none. @param {string} id @param {string} name @returns {Point | null} */
  outputAt(id, name) {
    const placed = this.nodes.get(id);
    const frame = placed?.hidden ? this.frameBox(placed.hidden) : null;
    if (frame) return { x: frame.x + frame.width, y: frame.y + HEADER / 2 };
    const point = placed?.laid.outputs.get(name);
    return placed && point ? { x: placed.box.x + point.x, y: placed.box.y + point.y } : null;
  }

  /** Where an input is; null where there is none. @param {string} id @param {string} name @returns {Point | null} */
  inputAt(id, name) {
    const placed = this.nodes.get(id);
    const frame = placed?.hidden ? this.frameBox(placed.hidden) : null;
    if (frame) return { x: frame.x, y: frame.y + HEADER / 2 };
    const point = placed?.laid.inputs.get(name);
    return placed && point ? { x: placed.box.x + point.x, y: placed.box.y + point.y } : null;
  }

  /** The box that a frame is drawn in now. @param {string} name @returns {Box | null} */
  frameBox(name) {
    const frame = this.frames.get(name);
    if (!frame) return null;
    const { dx, dy } = this.offset(`frame:${name}`);
    const { width, height } = this.sizing?.item === `frame:${name}` ? this.sizing : frame;
    return { x: frame.x + dx, y: frame.y + dy, width, height: frame.collapsed ? HEADER : height };
  }

  /** @param {string} name @returns {Box | null} */
  noteBox(name) {
    const note = this.notes.get(name);
    if (!note) return null;
    const { dx, dy } = this.offset(`note:${name}`);
    const { width, height } = this.sizing?.item === `note:${name}` ? this.sizing : note;
    return { x: note.x + dx, y: note.y + dy, width, height };
  }

  /** @param {Item} item */
  offset(item) {
    return this.moving?.items.has(item) ? this.moving : { dx: 0, dy: 0 };
  }

  /**
   * Show items where they would be if moved; null shows all where they are.
   * @param {{items: Set<Item>, dx: number, dy: number} | null} moving
   */
  shift(moving) {
    const last = this.moving;
    this.moving = moving;
    const ids = new Set(idsOf(last?.items ?? [], "node"));
    for (const id of idsOf(moving?.items ?? [], "node")) ids.add(id);
    const keys = new Set();
    for (const id of ids) {
      const placed = this.nodes.get(id);
      if (!placed) continue;
      const { dx, dy } = this.offset(`node:${id}`);
      const { x, y } = placed.node.view;
      this.place({ ...placed, box: { ...placed.box, x: x + dx, y: y + dy } });
      for (const key of this.around.get(id) ?? []) keys.add(key);
    }
    for (const item of [...(last?.items ?? []), ...(moving?.items ?? [])]) {
      const parsed = parseItem(item);
      if (parsed.kind === "route") keys.add(parsed.id);
    }
    if (this.graph) for (const key of keys) this.rewire(this.graph, key);
  }

  /**
   * Show a node as it would be if it were drawn so.
   * @param {string} id @param {Partial<import("../../store/types.js").NodeView>} view
   */
  preview(id, view) {
    const placed = this.nodes.get(id);
    if (!placed || !this.graph) return;
    const node = { ...placed.node, view: { ...placed.node.view, ...view } };
    const laid = layout(node, placed.type, { media: this.mediaOf(id, node, placed.type) });
    this.place({ ...placed, node, laid, box: boxOf(node, laid) });
    for (const key of this.around.get(id) ?? []) this.rewire(this.graph, key);
  }

  /** Put nodes above all others. @param {Iterable<string>} ids */
  raise(ids) {
    for (const id of ids) if (this.nodes.has(id)) this.order.set(id, ++this.highest);
  }

  /** The box around everything, or around some items; null around nothing. @param {Iterable<Item>} [items] */
  extent(items) {
    const boxes = items ? [...items].map((item) => this.itemBox(item)) : this.everything();
    return around(boxes.filter((box) => box !== null));
  }

  /** @returns {(Box | null)[]} */
  everything() {
    const nodes = [...this.nodes.values()].filter((placed) => placed.hidden === null).map((placed) => placed.box);
    const frames = [...this.frames.keys()].map((name) => this.frameBox(name));
    return [...nodes, ...frames, ...[...this.notes.keys()].map((name) => this.noteBox(name))];
  }

  /** @param {Item} item @returns {Box | null} */
  itemBox(item) {
    const parsed = parseItem(item);
    if (parsed.kind === "node") return this.nodes.get(parsed.id)?.box ?? null;
    if (parsed.kind === "frame") return this.frameBox(parsed.id);
    if (parsed.kind === "note") return this.noteBox(parsed.id);
    const bend = this.wires.get(parsed.id)?.bends[parsed.index];
    return bend ? { ...bend, width: 0, height: 0 } : null;
  }
}

/**
 * Find what lies in collapsed frames: by the node the frame, the outermost where there are several.
 * @param {Graph} graph @returns {Map<string, string>}
 */
function hiddenBy(graph) {
  /** @type {Map<string, string>} */
  const hidden = new Map();
  const closed = [...graph.frames].filter(([, frame]) => frame.collapsed);
  for (const [name] of closed.sort(([, a], [, b]) => a.width * a.height - b.width * b.height)) {
    for (const id of idsOf(inFrame(graph, name), "node")) hidden.set(id, name);
  }
  return hidden;
}

/** Edits of what lies on the canvas: moving, removing, frames and notes. */

import { readersOf } from "./flow.js";
import { Namer, idsOf, item, parseItem, split } from "./names.js";
import { passing } from "./passing.js";

/** @import {Box, Frame, Graph, Item, Node, Note, Point} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

/** @typedef {{x: number, y: number}} Corner */

/**
 * Moves things; what lies in a moved frame and the bends between moved nodes go along, pinned nodes stay.
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @param {number} dx
 * @param {number} dy
 * @returns {Graph}
 */
export function move(graph, items, dx, dy) {
  const all = withFramed(graph, items);
  if ((!dx && !dy) || !all.size) {
    return graph;
  }
  /** @template {Corner} T @param {T} at */
  const moved = (at) => ({ ...at, x: at.x + dx, y: at.y + dy });
  const nodes = new Map(graph.nodes);
  for (const id of idsOf(all, "node")) {
    const node = nodes.get(id);
    if (node && !node.view.pinned) {
      nodes.set(id, { ...node, view: moved(node.view) });
    }
  }
  return {
    ...graph,
    nodes,
    frames: changed(graph.frames, idsOf(all, "frame"), moved),
    notes: changed(graph.notes, idsOf(all, "note"), moved),
    routes: movedRoutes(graph, all, moved),
  };
}

/**
 * @template T
 * @param {ReadonlyMap<string, T>} map
 * @param {ReadonlySet<string>} keys
 * @param {(value: T) => T} edit
 * @returns {ReadonlyMap<string, T>}
 */
function changed(map, keys, edit) {
  const found = [...keys].filter((key) => map.has(key));
  if (!found.length) {
    return map;
  }
  const other = new Map(map);
  for (const key of found) {
    const value = map.get(key);
    if (value !== undefined) {
      other.set(key, edit(value));
    }
  }
  return other;
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<Item>} items
 * @param {(point: Point) => Point} moved
 * @returns {ReadonlyMap<string, readonly Point[]>}
 */
function movedRoutes(graph, items, moved) {
  if (!graph.routes.size) {
    return graph.routes;
  }
  const nodes = idsOf(items, "node");
  const routes = new Map(graph.routes);
  for (const [target, points] of graph.routes) {
    const [id, input] = split(target);
    const source = split(graph.nodes.get(id)?.links.get(input) ?? "")[0];
    const whole = nodes.has(id) && nodes.has(source);
    if (whole || points.some((_, index) => items.has(`route:${target}:${index}`))) {
      const goes = (/** @type {number} */ index) => whole || items.has(`route:${target}:${index}`);
      routes.set(target, points.map((point, index) => (goes(index) ? moved(point) : point)));
    }
  }
  return routes;
}

/**
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @returns {Set<Item>} the items, and what lies in the frames among them
 */
export function withFramed(graph, items) {
  const all = new Set(items);
  for (const id of idsOf(all, "frame")) {
    inFrame(graph, id).forEach((other) => all.add(other));
  }
  return all;
}

/**
 * Finds what lies in a frame: whose upper left corner does.
 * @param {Graph} graph
 * @param {string} id
 * @returns {Item[]}
 */
export function inFrame(graph, id) {
  const frame = graph.frames.get(id);
  if (!frame) {
    return [];
  }
  /** @param {Corner} at */
  const inside = ({ x, y }) =>
    x >= frame.x && y >= frame.y && x < frame.x + frame.width && y < frame.y + frame.height;
  /** @type {Item[]} */
  const found = [];
  graph.nodes.forEach((node, key) => inside(node.view) && found.push(item("node", key)));
  graph.notes.forEach((note, key) => inside(note) && found.push(item("note", key)));
  for (const [key, other] of graph.frames) {
    const smaller = other.width * other.height < frame.width * frame.height;
    if (key !== id && smaller && inside(other)) {
      found.push(item("frame", key));
    }
  }
  return found;
}

/**
 * Puts nodes at places.
 * @param {Graph} graph
 * @param {ReadonlyMap<string, Point>} points by id
 * @returns {Graph}
 */
export function place(graph, points) {
  const nodes = new Map(graph.nodes);
  let any = false;
  for (const [id, { x, y }] of points) {
    const node = nodes.get(id);
    if (node && (node.view.x !== x || node.view.y !== y)) {
      nodes.set(id, { ...node, view: { ...node.view, x, y } });
      any = true;
    }
  }
  return any ? { ...graph, nodes } : graph;
}

/**
 * Removes things, and all that leads to them.
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @param {{dissolve?: boolean, catalogue?: Catalogue}} [options] `dissolve`: who reads a removed node then reads what
 *   it read
 * @returns {Graph}
 */
export function remove(graph, items, { dissolve = false, catalogue } = {}) {
  const all = new Set(items);
  const ids = idsOf(all, "node");
  const cleared = removeNodes(dissolve ? passing(graph, ids, catalogue) : graph, ids);
  return {
    ...cleared,
    frames: without(cleared.frames, idsOf(all, "frame")),
    notes: without(cleared.notes, idsOf(all, "note")),
    routes: withoutBends(cleared.routes, all),
  };
}

/**
 * @param {Graph} graph
 * @param {ReadonlySet<string>} ids
 * @returns {Graph}
 */
function removeNodes(graph, ids) {
  const present = [...ids].filter((id) => graph.nodes.has(id));
  if (!present.length) {
    return graph;
  }
  const nodes = new Map(graph.nodes);
  const readers = readersOf(graph);
  const loose = new Set(present.flatMap((id) => (readers.get(id) ?? []).map((reader) => reader.node)));
  present.forEach((id) => nodes.delete(id));
  for (const id of loose) {
    const node = nodes.get(id);
    if (node) {
      nodes.set(id, { ...node, links: new Map([...node.links].filter(([, link]) => !ids.has(split(link)[0]))) });
    }
  }
  /** @param {string} at */
  const stays = (at) => !ids.has(split(at)[0]);
  /** @type {[string, readonly string[]][]} */
  const inputs = [...graph.inputs].map(([name, places]) => [name, places.every(stays) ? places : places.filter(stays)]);
  return {
    ...graph,
    nodes,
    inputs: new Map(inputs.filter(([name, places]) => places.length || !graph.inputs.get(name)?.length)),
    outputs: new Map([...graph.outputs].filter(([, at]) => stays(at))),
    routes: keptRoutes(graph.routes, nodes),
  };
}

/**
 * @param {Graph["routes"]} routes
 * @param {ReadonlyMap<string, Node>} nodes
 * @returns {Graph["routes"]} those of links that there are
 */
function keptRoutes(routes, nodes) {
  const kept = [...routes].filter(([target]) => {
    const [id, input] = split(target);
    return nodes.get(id)?.links.has(input);
  });
  return kept.length === routes.size ? routes : new Map(kept);
}

/**
 * @template T
 * @param {ReadonlyMap<string, T>} map
 * @param {ReadonlySet<string>} keys
 * @returns {ReadonlyMap<string, T>}
 */
function without(map, keys) {
  return [...keys].some((key) => map.has(key)) ? new Map([...map].filter(([key]) => !keys.has(key))) : map;
}

/**
 * @param {Graph["routes"]} routes
 * @param {ReadonlySet<Item>} items
 * @returns {Graph["routes"]}
 */
function withoutBends(routes, items) {
  const bends = [...items].map(parseItem).filter(({ kind, id }) => kind === "route" && routes.has(id));
  const other = new Map(routes);
  for (const { id } of bends) {
    const rest = (routes.get(id) ?? []).filter((_, index) => !items.has(`route:${id}:${index}`));
    if (rest.length) {
      other.set(id, rest);
    } else {
      other.delete(id);
    }
  }
  return bends.length ? other : routes;
}

/**
 * @param {Graph} graph
 * @param {Frame} frame
 * @param {string} [id]
 * @returns {{graph: Graph, id: string}}
 */
export function addFrame(graph, frame, id = "frame") {
  const name = new Namer(graph.frames).name(id);
  return { graph: { ...graph, frames: new Map(graph.frames).set(name, frame) }, id: name };
}

/**
 * Gives the box of a frame around boxes, with room for its title.
 * @param {readonly Box[]} boxes
 * @param {number} [margin]
 * @returns {Box}
 */
export function frameAround(boxes, margin = 24) {
  const left = Math.min(...boxes.map((box) => box.x)) - margin;
  const top = Math.min(...boxes.map((box) => box.y)) - margin - 32;
  const right = Math.max(...boxes.map((box) => box.x + box.width)) + margin;
  const bottom = Math.max(...boxes.map((box) => box.y + box.height)) + margin;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * @param {Graph} graph
 * @param {string} id
 * @param {Partial<Frame>} values
 * @returns {Graph}
 */
export function setFrame(graph, id, values) {
  const frames = changed(graph.frames, new Set([id]), (frame) => ({ ...frame, ...values }));
  return frames === graph.frames ? graph : { ...graph, frames };
}

/**
 * @param {Graph} graph
 * @param {Note} note
 * @param {string} [id]
 * @returns {{graph: Graph, id: string}}
 */
export function addNote(graph, note, id = "note") {
  const name = new Namer(graph.notes).name(id);
  return { graph: { ...graph, notes: new Map(graph.notes).set(name, note) }, id: name };
}

/**
 * @param {Graph} graph
 * @param {string} id
 * @param {Partial<Note>} values
 * @returns {Graph}
 */
export function setNote(graph, id, values) {
  const notes = changed(graph.notes, new Set([id]), (note) => ({ ...note, ...values }));
  return notes === graph.notes ? graph : { ...graph, notes };
}

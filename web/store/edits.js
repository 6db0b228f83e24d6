/**
 * Edits: pure functions from a graph to a changed one. What does not change is shared; an edit that changes nothing
 * gives the graph that it got.
 */

import { newNode } from "./document.js";
import { startOf } from "./fields.js";
import { equal } from "./json.js";
import { withNode } from "./links.js";
import { Namer, idOfType, isId } from "./names.js";

/** @import {Graph, Json, Node, NodeView, Point} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

export {
  connect,
  disconnect,
  disconnectAll,
  expose,
  exposedAs,
  freeInputName,
  insertOnLink,
  insertable,
  moveLinks,
  orderInputs,
  renameInput,
  setRoute,
  unexpose,
} from "./links.js";
export { addFrame, addNote, frameAround, inFrame, move, place, remove, setFrame, setNote } from "./items.js";
export { autoConnect } from "./auto.js";
export { duplicate } from "./clipboard.js";

/**
 * Adds a node; what it must be given starts with the first value that fits.
 * @param {Graph} graph
 * @param {string} type the node type's id, or `graph:name` for an instance of a subgraph
 * @param {Point} point
 * @param {Catalogue} catalogue
 * @param {string} [id]
 * @returns {{graph: Graph, id: string}}
 */
export function addNode(graph, type, point, catalogue, id) {
  const node = newNode(type, { x: point.x, y: point.y });
  const name = new Namer(graph.nodes).name(id !== undefined && isId(id) ? id : idOfType(type));
  const params = new Map();
  for (const port of catalogue.type(node, graph).inputs.values()) {
    const start = port.required && port.field && port.field.default === undefined ? startOf(port.field) : undefined;
    if (start !== undefined) {
      params.set(port.name, start);
    }
  }
  return { graph: withNode(graph, name, { ...node, params }), id: name };
}

/**
 * Changes a node.
 * @param {Graph} graph
 * @param {string} id
 * @param {(node: Node) => Node} edit
 * @returns {Graph}
 */
function editNode(graph, id, edit) {
  const node = graph.nodes.get(id);
  const changed = node && edit(node);
  return !changed || changed === node ? graph : withNode(graph, id, changed);
}

/**
 * Changes many nodes.
 * @param {Graph} graph
 * @param {Iterable<string>} ids
 * @param {(node: Node, id: string) => Node} edit
 * @returns {Graph}
 */
function editNodes(graph, ids, edit) {
  const nodes = new Map(graph.nodes);
  let changed = false;
  for (const id of ids) {
    const node = nodes.get(id);
    const other = node && edit(node, id);
    if (other && other !== node) {
      nodes.set(id, other);
      changed = true;
    }
  }
  return changed ? { ...graph, nodes } : graph;
}

/**
 * Types a value for an input; undefined takes it away, so that the default holds.
 * @param {Graph} graph
 * @param {string} id
 * @param {string} field
 * @param {Json | undefined} value
 * @returns {Graph}
 */
export function setParam(graph, id, field, value) {
  return editNode(graph, id, (node) => {
    if (value === undefined ? !node.params.has(field) : equal(node.params.get(field), value)) {
      return node;
    }
    const params = new Map(node.params);
    if (value === undefined) {
      params.delete(field);
    } else {
      params.set(field, value);
    }
    return { ...node, params };
  });
}

/**
 * Changes how nodes are drawn; a key that is undefined is taken away.
 * @param {Graph} graph
 * @param {string | Iterable<string>} ids one node or many
 * @param {Partial<NodeView>} view
 * @returns {Graph}
 */
export function setView(graph, ids, view) {
  return editNodes(graph, typeof ids === "string" ? [ids] : ids, (node) => {
    const changed = { ...node.view, ...view };
    const kept = Object.entries(changed).filter(([, value]) => value !== undefined);
    const clean = /** @type {NodeView} */ (Object.fromEntries(kept));
    return same(clean, node.view) ? node : { ...node, view: clean };
  });
}

/**
 * How a node is drawn is nothing but JSON.
 * @param {unknown} a
 * @param {unknown} b
 */
const same = (a, b) => equal(/** @type {Json} */ (a), /** @type {Json} */ (b));

/**
 * Gives a node a title of its own; an empty one gives it its type's again.
 * @param {Graph} graph
 * @param {string} id
 * @param {string} title
 * @returns {Graph}
 */
export const setTitle = (graph, id, title) => setView(graph, id, { title: title.trim() || undefined });

/**
 * Mutes or bypasses nodes, or lets them run again.
 * @param {Graph} graph
 * @param {Iterable<string>} ids
 * @param {"mute" | "bypass" | null} mode
 * @returns {Graph}
 */
export const setMode = (graph, ids, mode) =>
  editNodes(graph, ids, (node) => (node.mode === mode ? node : { ...node, mode }));

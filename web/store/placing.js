/** Places for nodes that a file tells none for: columns by what they wait for. */

import { split } from "./names.js";

/** @import {Node, NodeView} from "./types.js" */

const COLUMN = 340;
const ROW = 220;

/**
 * Gives the nodes that have no place one to the right of what they read, below all that has a place.
 * @param {Map<string, Node>} nodes
 * @param {ReadonlyMap<string, NodeView>} placed
 * @returns {Map<string, Node>}
 */
export function placeNodes(nodes, placed) {
  if (placed.size === nodes.size) {
    return nodes;
  }
  const depths = depthsOf(nodes);
  const used = [...placed.values()];
  const left = used.reduce((least, view) => Math.min(least, view.x), used[0]?.x ?? 0);
  const top = used.reduce((most, view) => Math.max(most, view.y), used[0]?.y ?? -2 * ROW) + 2 * ROW;
  /** @type {Map<number, number>} */
  const rows = new Map();
  const result = new Map(nodes);
  for (const [id, node] of nodes) {
    if (!placed.has(id)) {
      const depth = depths.get(id) ?? 0;
      const row = rows.get(depth) ?? 0;
      rows.set(depth, row + 1);
      result.set(id, { ...node, view: { ...node.view, x: left + depth * COLUMN, y: top + row * ROW } });
    }
  }
  return result;
}

/**
 * Tells how many nodes have to come before each, along the longest way; nodes in a cycle count as far as was got.
 * @param {ReadonlyMap<string, Node>} nodes
 * @returns {Map<string, number>}
 */
function depthsOf(nodes) {
  /** @type {Map<string, number>} */
  const depths = new Map();
  const open = new Set();
  for (const start of nodes.keys()) {
    const stack = [start];
    while (stack.length) {
      const id = stack[stack.length - 1];
      const sources = [...(nodes.get(id)?.links.values() ?? [])].map((link) => split(link)[0]);
      const isNew = !depths.has(id) && !open.has(id);
      const waiting = isNew ? sources.filter((s) => nodes.has(s) && !depths.has(s) && !open.has(s)) : [];
      open.add(id);
      if (waiting.length) {
        stack.push(...waiting);
        continue;
      }
      stack.pop();
      if (!depths.has(id)) {
        depths.set(id, Math.max(-1, ...sources.map((s) => depths.get(s) ?? -1)) + 1);
      }
    }
  }
  return depths;
}

/** Links that can only be meant one way. */

import { connectable } from "./checks.js";
import { connect } from "./links.js";
import { join } from "./names.js";

/** @import {Graph, Port} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

/** @typedef {{node: string, x: number, port: Port}} End */

/**
 * Wires nodes to each other where an open input fits one output alone, and that output no other input of the same node.
 * Links lead from left to right; inputs that can be typed are left alone.
 * @param {Graph} graph
 * @param {Iterable<string>} ids
 * @param {Catalogue} catalogue
 * @returns {Graph}
 */
export function autoConnect(graph, ids, catalogue) {
  const set = [...new Set(ids)].filter((id) => graph.nodes.has(id));
  let result = graph;
  for (const target of endsOf(graph, set, catalogue, "inputs")) {
    const sources = endsOf(result, set, catalogue, "outputs");
    const [source, ...others] = sources.filter((one) => fits(result, one, target, catalogue));
    if (source && !others.length && !hasRival(graph, source, target, catalogue)) {
      result = connect(result, join(source.node, source.port.name), join(target.node, target.port.name));
    }
  }
  return result;
}

/**
 * @param {Graph} graph
 * @param {readonly string[]} ids
 * @param {Catalogue} catalogue
 * @param {"inputs" | "outputs"} side
 * @returns {End[]}
 */
function endsOf(graph, ids, catalogue, side) {
  return ids.flatMap((id) => {
    const node = graph.nodes.get(id);
    const ports = node ? [...catalogue.type(node, graph)[side].values()] : [];
    const open = side === "outputs" ? ports : ports.filter((port) => !port.field && !node?.links.has(port.name));
    return open.map((port) => ({ node: id, x: node?.view.x ?? 0, port }));
  });
}

/**
 * @param {Graph} graph
 * @param {End} source
 * @param {End} target
 * @param {Catalogue} catalogue
 * @returns {boolean}
 */
function fits(graph, source, target, catalogue) {
  if (source.node === target.node || source.x >= target.x || source.port.type === "any") {
    return false;
  }
  const found = connectable(graph, join(source.node, source.port.name), join(target.node, target.port.name), catalogue);
  return "fit" in found && found.fit === "whole";
}

/**
 * @param {Graph} graph
 * @param {End} source
 * @param {End} target
 * @param {Catalogue} catalogue
 * @returns {boolean} whether another open input of the target's node would do as well
 */
function hasRival(graph, source, target, catalogue) {
  return endsOf(graph, [target.node], catalogue, "inputs").some(
    (other) => other.port.name !== target.port.name && catalogue.fit(source.port.type, other.port.type) === "whole",
  );
}

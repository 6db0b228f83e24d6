/** Dissolving nodes: who read them reads what they read. */

import { readersOf } from "./flow.js";
import { join, split } from "./names.js";

/** @import {Graph, Node} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

/**
 * Wires the readers of nodes to what the nodes read, where the types let it through.
 * @param {Graph} graph
 * @param {ReadonlySet<string>} ids
 * @param {Catalogue} [catalogue] without it, only a node with one link lets through
 * @returns {Graph}
 */
export function passing(graph, ids, catalogue) {
  const nodes = new Map(graph.nodes);
  const readers = readersOf(graph);
  for (const id of ids) {
    for (const { node: reader, input, output } of readers.get(id) ?? []) {
      const node = nodes.get(reader);
      const source = ids.has(reader) ? null : sourceThrough(graph, join(id, output), ids, catalogue);
      if (node && source !== null) {
        nodes.set(reader, { ...node, links: new Map(node.links).set(input, source) });
      }
    }
  }
  /** @type {[string, string][]} */
  const outputs = [...graph.outputs].map(([name, at]) => {
    const source = ids.has(split(at)[0]) ? sourceThrough(graph, at, ids, catalogue) : null;
    return [name, source ?? at];
  });
  return { ...graph, nodes, outputs: new Map(outputs) };
}

/**
 * @param {Graph} graph
 * @param {string} place `"node.output"` of a node that goes
 * @param {ReadonlySet<string>} ids the nodes that go
 * @param {Catalogue} [catalogue]
 * @returns {string | null} what comes through it from a node that stays
 */
function sourceThrough(graph, place, ids, catalogue) {
  const seen = new Set();
  let at = place;
  while (ids.has(split(at)[0])) {
    if (seen.has(at)) {
      return null;
    }
    seen.add(at);
    const [id, output] = split(at);
    const node = graph.nodes.get(id);
    const input = node && passedInput(graph, node, output, catalogue);
    const next = input == null ? undefined : node?.links.get(input);
    if (next === undefined) {
      return null;
    }
    at = next;
  }
  return at;
}

/**
 * Finds the input that an output of a bypassed or dissolved node hands through: as the server does it, the first wired
 * one of the output's type, else the first whose type fits.
 * @param {Graph} graph
 * @param {Node} node
 * @param {string} output
 * @param {Catalogue} [catalogue]
 * @returns {string | null}
 */
function passedInput(graph, node, output, catalogue) {
  if (!catalogue) {
    const [only] = node.links.keys();
    return node.links.size === 1 && only !== undefined ? only : null;
  }
  const type = catalogue.type(node, graph);
  const wanted = type.outputs.get(output)?.type;
  if (wanted === undefined) {
    return null;
  }
  const wired = [...type.inputs.values()].filter((port) => node.links.has(port.name));
  const same = wired.find((port) => givenType(port.type) === wanted);
  const fits = (/** @type {string} */ given) => given !== "any" && catalogue.fit(given, wanted) === "whole";
  return (same ?? wired.find((port) => fits(givenType(port.type))))?.name ?? null;
}

/**
 * @param {string} type
 * @returns {string} what comes in where something does: `Image` for `Image | None`
 */
const givenType = (type) => type.replace(/ \| None$/, "");

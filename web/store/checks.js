/** Whether a link may be made, and why not, in words. */

import { after, before, outputType } from "./flow.js";
import { itemOf } from "./fits.js";
import { join, split } from "./names.js";

/** @import {Fit, Graph} from "./types.js" */
/** @import {Catalogue} from "./catalogue.js" */

/** @typedef {{fit: "whole" | "each"} | {reason: string}} Verdict */
/** @typedef {{name: string, fit: "whole" | "each", score: number}} Best */

/**
 * Tells whether an output may be wired to an input.
 * @param {Graph} graph
 * @param {string} source `"node.output"`
 * @param {string} target `"node.input"`
 * @param {Catalogue} catalogue
 * @returns {Verdict}
 */
export function connectable(graph, source, target, catalogue) {
  return verdict(graph, source, target, catalogue, (from, to) => before(graph, from).has(to));
}

/**
 * @param {Graph} graph
 * @param {string} source
 * @param {string} target
 * @param {Catalogue} catalogue
 * @param {(from: string, to: string) => boolean} comesAfter whether `from` waits for `to` already
 * @returns {Verdict}
 */
function verdict(graph, source, target, catalogue, comesAfter) {
  const [from] = split(source);
  const [to, input] = split(target);
  const node = graph.nodes.get(to);
  const port = node && catalogue.type(node, graph).inputs.get(input);
  const given = outputType(graph, source, catalogue);
  if (given === null) {
    return { reason: `There is no output ${source}.` };
  }
  if (!node || !port) {
    return { reason: `There is no input ${target}.` };
  }
  if (from === to) {
    return { reason: "A node cannot wait for itself." };
  }
  if (!port.wired) {
    return { reason: `${input} names a subgraph and cannot be wired.` };
  }
  const fit = catalogue.fit(given, port.type);
  if (!fit) {
    return { reason: `${input} takes ${port.type}, but ${source} gives ${given}.` };
  }
  if (fit === "each" && port.lazy) {
    return { reason: `${input} cannot be taken item by item from a list.` };
  }
  if (comesAfter(from, to)) {
    return { reason: `${from} already waits for ${to}: this would make a cycle.` };
  }
  return { fit };
}

/**
 * Tells of all ports of a graph whether they may be wired to one, at once.
 * @param {Graph} graph
 * @param {{output: string} | {input: string}} end one end of the link, `"node.port"`
 * @param {Catalogue} catalogue
 * @returns {Map<string, Verdict>} by `"node.port"`
 */
export function candidates(graph, end, catalogue) {
  /** @type {Map<string, Verdict>} */
  const found = new Map();
  const fromOutput = "output" in end;
  const place = fromOutput ? end.output : end.input;
  const refused = fromOutput ? before(graph, split(place)[0]) : after(graph, split(place)[0]);
  for (const [id, node] of graph.nodes) {
    const type = catalogue.type(node, graph);
    for (const name of (fromOutput ? type.inputs : type.outputs).keys()) {
      const other = join(id, name);
      const [source, target] = fromOutput ? [place, other] : [other, place];
      found.set(other, verdict(graph, source, target, catalogue, () => refused.has(id)));
    }
  }
  return found;
}

/**
 * Finds the port of a type that an end of a link would best go to, for a node that is to be added.
 * @param {Catalogue} catalogue
 * @param {import("./types.js").NodeType} type
 * @param {{source: string} | {target: string}} end the type's name of the output, or of the input, that is wired
 * @returns {Best | null} null where nothing fits; a higher score is better
 */
export function bestPort(catalogue, type, end) {
  /** @type {Best | null} */
  let best = null;
  for (const port of ("source" in end ? type.inputs : type.outputs).values()) {
    const [source, target] = "source" in end ? [end.source, port.type] : [port.type, end.target];
    const fit = port.wired ? catalogue.fit(source, target) : null;
    const score = fit ? scoreOf(fit, source, target, port) : 0;
    if (fit && score > (best?.score ?? 0)) {
      best = { name: port.name, fit, score };
    }
  }
  return best;
}

/**
 * @param {Exclude<Fit, null>} fit
 * @param {string} source
 * @param {string} target
 * @param {import("./types.js").Port} port
 */
function scoreOf(fit, source, target, port) {
  const exact = source === target ? 8 : itemOf(source) === target ? 4 : 0;
  const loose = source === "any" || target === "any" ? 1 : 2;
  return exact + loose + (fit === "whole" ? 2 : 0) + (port.field ? 0 : 1) + (port.required ? 0.5 : 0);
}

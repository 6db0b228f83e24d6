/** What a workflow exposes, and what it could. No elements. */

import { exposedAs } from "../../../store/edits.js";
import { split } from "../../../store/names.js";

/** @typedef {import("../../../store/types.js").Field} Field */
/** @typedef {import("../../../store/types.js").Graph} Graph */
/** @typedef {import("../../../store/types.js").Json} Json */
/** @typedef {import("../../../store/types.js").Node} Node */
/** @typedef {import("../../../store/types.js").NodeType} NodeType */
/** @typedef {import("../../../store/types.js").Port} Port */
/** @typedef {{type(node: Node, graph: Graph): NodeType}} Types */
/**
 * @typedef {Object} Exposed
 * @property {string} name
 * @property {readonly string[]} places `"node.input"`, all of which get the value
 * @property {string} of the title of the first node
 * @property {Port | null} port null where it leads to nothing that is there
 * @property {Field | null} field null where it cannot be typed
 * @property {Json | undefined} value
 */
/** @typedef {{place: string, port: Port, field: Field, name: string | null}} Candidate */

/** @param {Node} node @param {NodeType} type */
const titleOf = (node, type) => node.view.title || type.title;

/**
 * List what a workflow exposes.
 * @param {Graph} document
 * @param {Types} types
 * @returns {Exposed[]}
 */
export function exposed(document, types) {
  return [...document.inputs].map(([name, places]) => {
    const [id, input] = split(places[0] ?? "");
    const node = document.nodes.get(id);
    const type = node ? types.type(node, document) : null;
    const port = type?.inputs.get(input) ?? null;
    return {
      name,
      places,
      of: node && type ? titleOf(node, type) : "",
      port,
      field: port?.field ?? null,
      value: node?.params.get(input),
    };
  });
}

/**
 * List what could be exposed, node by node.
 * @param {Graph} document
 * @param {Types} types
 * @returns {{id: string, title: string, candidates: Candidate[]}[]}
 */
export function candidates(document, types) {
  const found = [];
  for (const [id, node] of document.nodes) {
    const type = types.type(node, document);
    const fields = [];
    for (const port of type.inputs.values()) {
      if (!port.field || !port.wired || node.links.has(port.name)) continue;
      const place = `${id}.${port.name}`;
      fields.push({ place, port, field: port.field, name: exposedAs(document, place) });
    }
    if (fields.length) found.push({ id, title: titleOf(node, type), candidates: fields });
  }
  return found;
}

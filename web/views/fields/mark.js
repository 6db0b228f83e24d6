/** Icons of fields: drawn once each and copied, since a view full of nodes has hundreds. */

import { icon } from "../icons.js";

/** @type {Map<string, SVGSVGElement>} */
const drawn = new Map();

/**
 * Draw an icon.
 * @param {string} name
 * @returns {globalThis.Node}
 */
export function mark(name) {
  let found = drawn.get(name);
  if (found === undefined) drawn.set(name, (found = icon(name)));
  return found.cloneNode(true);
}

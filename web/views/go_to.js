/** Going to a node, wherever in the document it is. */

import { follow } from "../store/scopes.js";

/** @typedef {import("../editor.js").Editor} Editor */

/**
 * Show a node, and put the focus into one of its fields.
 * @param {Editor} editor
 * @param {string} node its id in jobs; what a node expanded into leads to that node
 * @param {string | null} [field]
 * @returns {boolean} whether it is there
 */
export function goTo(editor, node, field = null) {
  const { session } = editor;
  const parts = node.split("/");
  for (let depth = parts.length; depth > 0; depth -= 1) {
    const path = parts.slice(0, depth - 1);
    const id = parts[depth - 1] ?? "";
    if (!follow(session.document, path)?.graph.nodes.has(id)) continue;
    session.goTo(path, [`node:${id}`]);
    editor.perform("view.fitSelection");
    if (field !== null) setTimeout(() => focusField(id, field), 250);
    return true;
  }
  editor.notify({ text: `The node ${node} is not in this workflow any more.`, kind: "warn" });
  return false;
}

/** @param {string} id @param {string} field */
function focusField(id, field) {
  const place = document.querySelector(`[data-node="${CSS.escape(id)}"] [data-field="${CSS.escape(field)}"]`);
  // What can only be wired has no field, but a port, where Enter lists what it can be wired to.
  const port = document.querySelector(`[data-node="${CSS.escape(id)}"] [data-port="${CSS.escape(`in:${field}`)}"]`);
  const control = place?.matches("input, textarea, select, button") ? place
    : (place?.querySelector("input, textarea, select, button, [tabindex='0']") ?? port);
  if (control instanceof HTMLElement) control.focus({ preventScroll: true });
}

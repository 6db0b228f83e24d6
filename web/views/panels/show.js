/** Showing a panel, where its command would hide it if it is there. */

/** @typedef {import("../../editor.js").Editor} Editor */

/** @param {Editor} editor @param {string} id */
export function showPanel(editor, id) {
  editor.panels.show(id, { focus: true });
}

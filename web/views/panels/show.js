/** Showing a panel, where its command would hide it if it is there. */

/** @typedef {import("../../editor.js").Editor} Editor */

/** @param {Editor} editor @param {string} id */
export function showPanel(editor, id) {
  const shown = document.querySelector(`.panel[data-panel="${CSS.escape(id)}"]`);
  if (shown instanceof HTMLElement && shown.checkVisibility()) return;
  editor.perform(`panel.${id}`);
}

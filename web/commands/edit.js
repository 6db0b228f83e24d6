/** Commands that edit what is selected, and steps back and forth. */

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Command} Command */

/** @returns {Command[]} */
export function editCommands() {
  return [
    { id: "edit.undo", title: "Undo", group: "Edit", keys: ["Mod+Z"], typing: true,
      when: (editor) => editor.session.canUndo, run: undo },
    { id: "edit.redo", title: "Redo", group: "Edit", keys: ["Mod+Shift+Z", "Mod+Y"], typing: true,
      when: (editor) => editor.session.canRedo, run: redo },
  ];
}

/** @param {Editor} editor */
function undo(editor) {
  const { undoLabel } = editor.session;
  if (editor.session.undo()) editor.say(`Undone: ${undoLabel}`);
}

/** @param {Editor} editor */
function redo(editor) {
  const { redoLabel } = editor.session;
  if (editor.session.redo()) editor.say(`Done again: ${redoLabel}`);
}

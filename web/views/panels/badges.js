/** How many jobs have not ended and how many things are wrong, on the buttons of the panels that tell more. */

import { liveOf } from "../../api/live.js";

/** @typedef {import("../../editor.js").Editor} Editor */

/** @param {Editor} editor */
export function mount(editor) {
  let frame = 0;
  const draw = () => {
    frame = 0;
    const pending = editor.runs.pending();
    editor.panels.badge("queue", text(pending.length));
    editor.panels.badge("problems", text(liveOf(editor).problems.of(editor.session.id).length), "error");
  };
  const soon = () => {
    if (frame === 0) frame = requestAnimationFrame(draw);
  };
  const offs = /** @type {const} */ (["queue", "problems", "session"]).map((type) => editor.on(type, soon));
  soon();
  return {
    destroy() {
      for (const off of offs) off();
      cancelAnimationFrame(frame);
    },
  };
}

/** @param {number} count */
function text(count) {
  return count === 0 ? "" : count > 99 ? "99+" : String(count);
}

/** Changing the size of a node, a frame or a note by its corner. */

import { LINE, MAX_WIDTH, MIN_LINES, MIN_WIDTH } from "../../../geometry/boxes.js";
import { setFrame, setNote, setView } from "../../../store/edits.js";
import { parseItem } from "../../../store/names.js";

/** @import {Item, NodeView} from "../../../store/types.js" */
/** @import {Canvas} from "../canvas.js" */
/** @import {Gesture} from "../pointer.js" */

/** @param {Canvas} canvas @param {PointerEvent} start @param {Item} item @returns {Gesture} */
export function resize(canvas, start, item) {
  const { kind, id } = parseItem(item);
  return kind === "node" ? resizeNode(canvas, start, id) : resizeBox(canvas, start, item);
}

/** @param {Canvas} canvas @param {PointerEvent} start @param {string} id @returns {Gesture} */
function resizeNode(canvas, start, id) {
  const placed = canvas.scene.nodes.get(id);
  const text = placed?.laid.rows.findLast((row) => row.lines);
  /** @type {Partial<NodeView>} */
  let view = {};
  return {
    cursor: "nwse-resize",
    move(event) {
      if (!placed) return;
      const { zoom } = canvas.camera.view;
      const width = Math.round(placed.box.width + (event.clientX - start.clientX) / zoom);
      view = { width: Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, width)) };
      if (text?.lines && text.input !== undefined) {
        const lines = Math.round(text.lines + (event.clientY - start.clientY) / zoom / LINE);
        const rows = { ...placed.node.view.rows, [text.input]: Math.max(MIN_LINES, Math.min(60, lines)) };
        if (lines !== text.lines || placed.node.view.rows) view = { ...view, rows };
      }
      canvas.scene.preview(id, view);
      canvas.invalidate();
    },
    end: () => canvas.editor.apply("Resize", (graph) => setView(graph, id, view)),
    cancel: () => canvas.follow(),
  };
}

/** @param {Canvas} canvas @param {PointerEvent} start @param {Item} item @returns {Gesture} */
function resizeBox(canvas, start, item) {
  const box = canvas.boxOf(item);
  const { kind, id } = parseItem(item);
  let size = box && { width: box.width, height: box.height };
  const over = () => {
    canvas.scene.sizing = null;
    canvas.invalidate();
  };
  return {
    cursor: "nwse-resize",
    move(event) {
      if (!box) return;
      const { zoom } = canvas.camera.view;
      const width = Math.max(120, Math.round(box.width + (event.clientX - start.clientX) / zoom));
      const height = Math.max(60, Math.round(box.height + (event.clientY - start.clientY) / zoom));
      size = { width, height };
      canvas.scene.sizing = { item, width, height };
      canvas.invalidate();
    },
    end() {
      over();
      const set = kind === "frame" ? setFrame : setNote;
      if (size) canvas.editor.apply("Resize", (graph) => set(graph, id, size ?? {}));
    },
    cancel: over,
  };
}

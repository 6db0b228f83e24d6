/** What is told of a node from outside the document, and what others draw within one. */

import { liveOf } from "../../api/live.js";
import { nodeOf } from "../../store/runs.js";
import { marksOf } from "../marks.js";

/** @import {Editor} from "../../editor.js" */
/** @import {Json} from "../../store/types.js" */

/** @typedef {{element: HTMLElement, update: (value: Json | undefined) => void, destroy: () => void}} Body */

/** What the next run would do with a node. @param {Editor} editor @param {string} id */
export const markOf = (editor, id) => marksOf(editor).of(id);

/** What is wrong with a node, in words; "" where nothing is. @param {Editor} editor @param {string} id */
export function problemOf(editor, id) {
  const { session } = editor;
  const found = liveOf(editor).problems.at(session.id, nodeOf(session.path, id));
  return found.map((problem) => problem.message).join("\n");
}

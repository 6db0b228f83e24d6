/** What others draw within a node: its fields and its pictures. */

import { liveOf } from "../../api/live.js";
import { nodeOf } from "../../store/runs.js";
import { fieldElement } from "../fields/field.js";
import { marksOf } from "../marks.js";
import { mediaElement, mediaHeight } from "../media.js";

/** @import {Editor} from "../../editor.js" */
/** @import {Field, Json, Port} from "../../store/types.js" */

/** @typedef {{element: HTMLElement, update: (value: Json | undefined) => void, destroy: () => void}} Body */

/** @param {Editor} editor @param {string} id @param {Field} field @param {Port} port @returns {Body} */
export const fieldBody = (editor, id, field, port) => fieldElement(editor, id, field, port);

/** @param {Editor} editor @param {string} id */
export const mediaBody = (editor, id) => mediaElement(editor, id);

/**
 * How high what a node shows of its runs is; 0 where there is nothing.
 * @param {Editor} editor @param {string} id @param {() => number} width
 */
export const heightOfMedia = (editor, id, width) => mediaHeight(editor, id, width);

/** What the next run would do with a node. @param {Editor} editor @param {string} id */
export const markOf = (editor, id) => marksOf(editor).of(id);

/** What is wrong with a node, in words; "" where nothing is. @param {Editor} editor @param {string} id */
export function problemOf(editor, id) {
  const { session } = editor;
  const found = liveOf(editor).problems.at(session.id, nodeOf(session.path, id));
  return found.map((problem) => problem.message).join("\n");
}

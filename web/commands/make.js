/** Commands in few words. */

/** @import {Editor} from "../editor.js" */
/** @import {Command} from "../store/types.js" */

/**
 * Make commands of one group.
 * @param {string} group
 * @returns {(id: string, title: string, keys: readonly string[], run: Command["run"], when?: Command["when"]) =>
 *   Command}
 */
export const inGroup = (group) => (id, title, keys, run, when) => ({
  id,
  title,
  group,
  keys,
  run,
  ...(when && { when }),
});

/** @param {Editor} editor */
export const some = (editor) => editor.session.selection.size > 0;

/** @param {Editor} editor */
export const someNodes = (editor) => editor.selectedNodes.length > 0;

/** Workflows of ComfyUI: the server writes them in our form, since it has the node types. */

import { placeOf } from "./panels/problems.js";

/** @param {import("../editor.js").Editor} editor @returns {import("../api/opened_file.js").Translate} */
export function translateBy(editor) {
  return async (json) => {
    const { workflow, problems } = await editor.api.readWorkflow(json);
    const [first] = problems;
    const what = problems.length === 1 ? "One thing" : `${problems.length} things`;
    if (first) editor.notify({ text: `${what} could not be read: ${placeOf(first)}: ${first.message}`, kind: "warn" });
    return workflow;
  };
}

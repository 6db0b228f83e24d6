/** Links to what is on this server: they name it and hold nothing else. */

import { copyText } from "../copy_text.js";
import { titleOf } from "../shell/tabs.js";
import { keeperOf } from "./keeper.js";
import { linkTo } from "./opening.js";

/** @typedef {import("../../editor.js").Editor} Editor */

/** Copy a link to the workflow that is open. @param {Editor} editor */
export async function shareLink(editor) {
  const { session } = editor;
  const { template } = keeperOf(editor).of(session);
  if (session.name === null && (template === null || session.dirty)) {
    const answer = await editor.ask({ title: "Save it first?",
      body: "A link names a saved workflow; this one has no name yet.",
      choices: [{ value: "cancel", title: "No" }, { value: "save", title: "Save as…", kind: "primary" }] });
    if (answer !== "save" || !(await editor.perform("file.saveAs"))) return;
  }
  const path = session.name !== null ? linkTo({ workflow: session.name }) : linkTo({ template: template ?? "" });
  const link = location.origin + path;
  const copied = await copyText(link);
  const told = `The link to “${titleOf(session)}” is copied. Whoever opens it must be logged in as you are.`;
  editor.notify({ text: copied ? told : link });
}

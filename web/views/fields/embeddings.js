/** The names of embeddings, offered where a prompt calls one by `embedding:`. */

import { openList } from "./list.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("./prompt.js").PromptControl} PromptControl */

const CALL = /(?:^|[\s(,])embedding:$/;

/** @type {WeakMap<Editor, Promise<readonly string[]>>} */
const known = new WeakMap();

/**
 * Tell whether a text before the caret calls an embedding.
 * @param {string} before
 */
export const calls = (before) => CALL.test(before);

/** Names as prompts call them. @param {Editor} editor @returns {Promise<readonly string[]>} */
function namesOf(editor) {
  let names = known.get(editor);
  if (names === undefined) {
    const asked = editor.api.models().then(({ models }) => models.embeddings ?? []);
    known.set(editor, (names = asked.then((files) => files.map((file) => file.replace(/\.[^./]+$/, "")))));
    // Files come and go: what was asked is good for a while, what failed is not kept.
    const forget = () => known.delete(editor);
    names.then(() => setTimeout(forget, 10_000), forget);
  }
  return names;
}

/**
 * Let the user choose an embedding; its name goes where the caret is.
 * @param {PromptControl} prompt
 */
export async function offerEmbeddings(prompt) {
  const { input, host } = prompt;
  const at = input.selectionEnd;
  const names = await namesOf(host.editor).catch(() => []);
  // Whoever went on typing does not want the list any more.
  if (names.length === 0 || document.activeElement !== input || input.selectionEnd !== at) return;
  openList({
    anchor: input,
    label: "Embeddings",
    choices: names.map((name) => ({ value: name, title: name })),
    value: null,
    pick: (name) =>
      prompt.change((text) => ({ text: text.slice(0, at) + name + text.slice(at), ...caret(at + name.length) })),
    closed: () => {},
  });
}

/** @param {number} at */
const caret = (at) => ({ start: at, end: at });

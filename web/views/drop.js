/** Files and pictures that are dropped on the canvas: a workflow opens in a tab of its own, a picture can be loaded. */

import { address, partOf, refusal } from "../api/http.js";
import { readFile } from "../api/opened_file.js";
import { openTab } from "../start.js";
import { DocumentError } from "../store/document.js";
import { el } from "./dom.js";
import { translateBy } from "./foreign.js";
import { openJob } from "./output_actions.js";
import { DRAGGED } from "./panels/history.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {{readonly x: number, readonly y: number}} Place */

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const veil = el("div", { class: "drop-veil", "aria-hidden": "true", hidden: true },
    el("p", { text: "Drop a workflow, or a picture that was made with one" }));
  host.append(veil);
  const over = (/** @type {DragEvent} */ event) => {
    if (event.defaultPrevented || !wanted(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    veil.hidden = isField(event.target);
  };
  const leave = (/** @type {DragEvent} */ event) => {
    if (!(event.relatedTarget instanceof Node) || !host.contains(event.relatedTarget)) veil.hidden = true;
  };
  const drop = (/** @type {DragEvent} */ event) => {
    veil.hidden = true;
    if (event.defaultPrevented || !wanted(event)) return;
    event.preventDefault();
    void take(editor, event).catch((error) => editor.fail("It could not be opened", error));
  };
  // A file that is dropped beside the canvas must not take the place of the page.
  const stray = (/** @type {DragEvent} */ event) => {
    if (!event.defaultPrevented && event.dataTransfer?.types.includes("Files")) event.preventDefault();
  };
  host.addEventListener("dragover", over);
  host.addEventListener("dragleave", leave);
  host.addEventListener("drop", drop);
  addEventListener("dragover", stray);
  addEventListener("drop", stray);
  return {
    destroy() {
      host.removeEventListener("dragover", over);
      host.removeEventListener("dragleave", leave);
      host.removeEventListener("drop", drop);
      removeEventListener("dragover", stray);
      removeEventListener("drop", stray);
      veil.remove();
    },
  };
}

/** @param {DragEvent} event */
function wanted({ dataTransfer, target }) {
  const types = dataTransfer?.types ?? [];
  return (types.includes("Files") || types.includes(DRAGGED)) && !isField(target);
}

/** Fields take files themselves. @param {EventTarget | null} target */
function isField(target) {
  return target instanceof Element && target.closest("[data-field]") !== null;
}

/** @param {Editor} editor @param {DragEvent} event */
async function take(editor, { dataTransfer, clientX, clientY }) {
  const output = dataTransfer?.getData(DRAGGED) ?? "";
  const files = [...(dataTransfer?.files ?? [])];
  if (output !== "") return openOutput(editor, output);
  for (const file of files) await openFile(editor, file, { x: clientX, y: clientY });
}

/** @param {Editor} editor @param {string} id */
async function openOutput(editor, id) {
  for (const [job] of editor.runs.jobs) {
    const found = editor.runs.outputs(job).find((output) => output.id === id);
    if (found) return openJob(editor, found.job, found.name);
  }
  const response = await fetch(address(`/outputs/${partOf(id)}`));
  if (!response.ok) throw refusal({ status: response.status, headers: response.headers, text: await response.text() });
  const blob = await response.blob();
  await openFile(editor, new File([blob], id, { type: blob.type }), null);
}

/**
 * Open what a file holds; a picture may be meant itself.
 * @param {Editor} editor
 * @param {File} file
 * @param {Place | null} place in the window, where a picture would be loaded
 */
export async function openFile(editor, file, place) {
  /** @type {import("../api/opened_file.js").Found} */
  let found;
  try {
    found = await readFile(file, translateBy(editor));
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    editor.notify({ text: error.message, kind: "error" });
    return;
  }
  const { graph: document, why } = found;
  if (why !== "") editor.notify({ text: `The workflow in ${file.name} cannot be opened. ${why}`, kind: "warn" });
  const picture = file.type.startsWith("image/");
  const answer = document === null ? "load" : picture && place !== null ? await choose(editor, file) : "open";
  if (answer === "load") editor.perform("edit.loadPicture", { file, screen: place });
  else if (answer === "open" && document !== null) openTab(editor, { title: titleOf(file), document });
}

/** @param {Editor} editor @param {File} file @returns {Promise<string | null>} */
function choose(editor, file) {
  return editor.ask({
    title: `What of “${file.name}” do you want?`,
    body: "The workflow that made it opens in a tab of its own; what is open stays as it is.",
    choices: [
      { value: "load", title: "Load the picture" },
      { value: "open", title: "Open its workflow", kind: "primary" },
    ],
  });
}

/** @param {File} file */
function titleOf({ name }) {
  return name.replace(/\.\w+$/, "") || name;
}

/** What can be done with a picture that a job made: make it again, open what made it, copy its seed, delete it. */

import { liveOf } from "../api/live.js";
import { ApiError } from "../api/http.js";
import { openTab } from "../start.js";
import { readGraph } from "../store/document.js";
import { seedsOf } from "../store/seeds_of.js";
import { copyText } from "./copy_text.js";
import { el } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../api/wire.js").Output} Output */

/**
 * Make the buttons.
 * @param {Editor} editor
 * @param {Output} output
 * @param {{gone?: () => void, small?: boolean}} [options] `gone`: it is not there any more, or the editor is to be seen
 */
export function outputActions(editor, output, { gone = () => {}, small = false } = {}) {
  const look = `icon-button${small ? " small" : ""}`;
  const button = (/** @type {string} */ name, /** @type {string} */ title, /** @type {() => unknown} */ act) =>
    el("button", { class: look, type: "button", "aria-label": title, data: { action: name, tip: title },
      on: { click: () => guarded(editor, title, act) } }, icon(ICONS[name] ?? "node"));
  return [
    button("again", "Make this one again", () => makeAgain(editor, output)),
    button("workflow", "Open the workflow that made it", async () => {
      await openWorkflow(editor, output);
      gone();
    }),
    button("seed", "Copy its seed", () => copySeed(editor, output)),
    el("a", { class: look, href: `${output.url}?download=true`, "aria-label": "Download",
      data: { action: "download", tip: "Download" } }, icon("download")),
    button("delete", "Delete", async () => ((await deleteOutputs(editor, [output])) ? gone() : null)),
  ];
}

/** @type {{readonly [action: string]: string}} */
const ICONS = { again: "refresh", workflow: "template", seed: "dice", delete: "trash" };

/** @param {Editor} editor @param {string} what @param {() => unknown} act */
async function guarded(editor, what, act) {
  try {
    await act();
  } catch (error) {
    const gone = error instanceof ApiError && error.status === 404;
    if (gone) editor.notify({ text: `${what}: the job that made it is not kept any more.`, kind: "warn" });
    else editor.fail(what, error);
  }
}

/** Queue the job that made a picture once more, as it was. @param {Editor} editor @param {Output} output */
async function makeAgain(editor, output) {
  const job = await editor.api.retry(output.job);
  liveOf(editor).tell(editor.runs.applyJob(job));
  editor.notify({ text: `${output.name} is made again.` });
}

/**
 * Open what made a picture in a new tab, with the values that it was made with.
 * @param {Editor} editor
 * @param {Output} output
 */
async function openWorkflow(editor, output) {
  await openJob(editor, output.job, output.name.replace(/_?\d*_?\.\w+$/, "") || output.name);
}

/**
 * Open a job's workflow in a new tab, which shows how the job goes.
 * @param {Editor} editor
 * @param {string} id
 * @param {string} title
 */
export async function openJob(editor, id, title) {
  const document = await documentOf(editor, id);
  const session = openTab(editor, { title, document });
  liveOf(editor).adopt(session, id);
}

/** Tell the seeds that made a picture. @param {Editor} editor @param {Output} output */
async function copySeed(editor, output) {
  const seeds = seedsOf(await documentOf(editor, output.job), output.node);
  if (seeds.length === 0) {
    editor.notify({ text: "Nothing that made this picture has a seed.", kind: "warn" });
    return;
  }
  const text = String(seeds[0]);
  const copied = await copyText(text);
  editor.notify({ text: copied ? `The seed ${text} was copied.` : `The seed is ${text}.` });
}

/** A job's document, with the values that were given beside it. @param {Editor} editor @param {string} id */
async function documentOf(editor, id) {
  const [workflow, job] = await Promise.all([editor.api.jobWorkflow(id), editor.api.job(id)]);
  let document = readGraph(workflow);
  for (const [name, value] of Object.entries(job.inputs)) {
    for (const place of document.inputs.get(name) ?? [name]) document = withValue(document, place, value);
  }
  return document;
}

/** @param {Graph} document @param {string} place `"node.input"` @param {Json} value @returns {Graph} */
function withValue(document, place, value) {
  const dot = place.lastIndexOf(".");
  const node = document.nodes.get(place.slice(0, dot));
  if (node === undefined) return document;
  const params = new Map(node.params).set(place.slice(dot + 1), value);
  return { ...document, nodes: new Map(document.nodes).set(place.slice(0, dot), { ...node, params }) };
}

/** @param {Editor} editor @param {readonly Output[]} outputs @returns {Promise<boolean>} */
export async function deleteOutputs(editor, outputs) {
  const what = outputs.length === 1 ? `“${outputs[0]?.name}”` : `${outputs.length} pictures`;
  const answer = await editor.ask({
    title: `Delete ${what}?`,
    body: "The files are removed from the server's disk. This cannot be undone.",
    choices: [{ value: "delete", title: "Delete", kind: "danger" }],
  });
  if (answer !== "delete") return false;
  for (const { id } of outputs) {
    try {
      await editor.api.deleteOutput(id);
    } catch (error) {
      if (!(error instanceof ApiError && (error.status === 404 || error.status === 410))) throw error;
    }
  }
  return true;
}

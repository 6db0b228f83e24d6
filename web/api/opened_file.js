/** Workflows out of files that somebody drops, picks or pastes: JSON of ours or of ComfyUI, pictures with either. */

import { DocumentError, readGraph } from "../store/document.js";
import { isApiForm, isEditorForm, withoutNaN } from "../store/comfy.js";
import { parse } from "../store/json.js";
import { pictureTexts } from "./png.js";

/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {(json: JsonObject) => Promise<JsonObject>} Translate writes ComfyUI's API form in ours */
/** @typedef {{graph: Graph | null, why: string}} Found no graph: there is none, or why it cannot be read */

const LARGEST = 256 * 2 ** 20;
export const EDITOR_FORM = "This is what ComfyUI's editor saves, which does not name its values. "
  + "Save it there once more with “Export (API)”: that form opens here.";

/**
 * Return the workflow that a file holds.
 * @param {File} file
 * @param {Translate} translate
 * @returns {Promise<Found>}
 * @throws {DocumentError} where it is neither a workflow nor a picture, in words
 */
export async function readFile(file, translate) {
  if (file.size > LARGEST) throw new DocumentError(`${file.name} is too large to be a workflow.`);
  if (file.type.startsWith("image/")) return readPicture(await file.arrayBuffer(), translate);
  let json;
  try {
    json = parseForeign(await file.text());
  } catch {
    throw new DocumentError(`${file.name} is no JSON, and no picture either.`);
  }
  return { graph: await readDocument(json, translate), why: "" };
}

/** Read JSON, also as Python writes it. @param {string} text @returns {Json} */
export function parseForeign(text) {
  try {
    return parse(text);
  } catch {
    return parse(withoutNaN(text));
  }
}

/** @param {ArrayBuffer} data @param {Translate} translate @returns {Promise<Found>} */
export async function readPicture(data, translate) {
  const texts = await pictureTexts(data);
  let why = "";
  for (const key of ["nodegraph", "prompt", "workflow"]) {
    const text = texts.get(key);
    if (text === undefined) continue;
    try {
      return { graph: await readDocument(parseForeign(text), translate), why: "" };
    } catch (error) {
      if (!(error instanceof DocumentError) && !(error instanceof SyntaxError)) throw error;
      why = error instanceof DocumentError ? error.message : why;
    }
  }
  return { graph: null, why };
}

/** @param {Json} json @param {Translate} translate @returns {Promise<Graph>} */
export async function readDocument(json, translate) {
  if (isEditorForm(json)) throw new DocumentError(EDITOR_FORM);
  return readGraph(isApiForm(json) ? await translate(json) : json);
}

/** Workflows out of files that somebody drops or picks: JSON of ours, ComfyUI's API form, pictures with either. */

import { DocumentError, readGraph } from "../store/document.js";
import { isApiForm, readApiForm } from "../store/comfy.js";
import { parse } from "../store/json.js";
import { pictureTexts } from "./png.js";

/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/types.js").NodeType} NodeType */
/** @typedef {(type: string) => NodeType | undefined} FindType */

const LARGEST = 256 * 2 ** 20;

/**
 * Return the workflow that a file holds.
 * @param {File} file
 * @param {FindType} find
 * @returns {Promise<Graph | null>} null for a picture that carries none
 * @throws {DocumentError} where it is neither, in words
 */
export async function readFile(file, find) {
  if (file.size > LARGEST) throw new DocumentError(`${file.name} is too large to be a workflow.`);
  if (file.type.startsWith("image/")) return readPicture(await file.arrayBuffer(), find);
  let json;
  try {
    json = parse(await file.text());
  } catch {
    throw new DocumentError(`${file.name} is no JSON, and no picture either.`);
  }
  return readDocument(json, find);
}

/** @param {ArrayBuffer} data @param {FindType} find @returns {Promise<Graph | null>} */
export async function readPicture(data, find) {
  const texts = await pictureTexts(data);
  for (const key of ["nodegraph", "prompt", "workflow"]) {
    const text = texts.get(key);
    if (text === undefined) continue;
    try {
      return readDocument(parse(text), find);
    } catch (error) {
      if (!(error instanceof DocumentError) && !(error instanceof SyntaxError)) throw error;
    }
  }
  return null;
}

/** @param {Json} json @param {FindType} find @returns {Graph} */
export function readDocument(json, find) {
  return readGraph(isApiForm(json) ? readApiForm(json, find) : json);
}

/** A picture that is pasted or dropped is sent to the server and loaded by a node. */

import { addNode, setParam } from "../../store/edits.js";
import { INPUT, inputFiles } from "../fields/files.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").NodeType} NodeType */
/** @typedef {import("../../store/types.js").Point} Point */

/**
 * Load a picture by the selected node if that loads one, else by a new node.
 * @param {Editor} editor
 * @param {File} file
 * @param {Point | null} screen in the window, where it was dropped
 */
export async function loadPicture(editor, file, screen) {
  if (!file.type.startsWith("image/")) {
    editor.notify({ text: `${file.name} is no picture. PNG, JPEG and WebP files can be loaded.`, kind: "warn" });
    return;
  }
  const { session } = editor;
  const chosen = screen === null ? editor.selectedNodes[0] : undefined;
  const point = screen === null ? editor.canvas?.here : editor.canvas?.pointOf(screen);
  const name = await send(editor, file);
  const node = chosen === undefined ? undefined : session.graph.nodes.get(chosen);
  const field = node && pictureField(editor.catalogue.type(node, session.graph));
  if (chosen !== undefined && field) session.apply("Load picture", (graph) => setParam(graph, chosen, field, name));
  else addLoader(editor, session, name, point ?? { x: 0, y: 0 });
}

/**
 * Send it, telling how far that is where it takes a while.
 * @param {Editor} editor
 * @param {File} file
 */
async function send(editor, file) {
  let told = -1;
  const onProgress = (/** @type {number} */ part) => {
    const tenth = Math.floor(part * 10);
    const text = `Sending ${file.name}: ${tenth * 10} %`;
    if (tenth > told && file.size > 1_000_000) editor.notify({ text, id: "upload" });
    told = tenth;
  };
  const sent = await inputFiles(editor).send(file, { name: file.name || "pasted.png", onProgress });
  editor.notify({ text: `${sent.name} is on the server.`, id: "upload" });
  return sent.name;
}

/** The field of a type that takes a picture. @param {NodeType} type @returns {string | null} */
function pictureField(type) {
  for (const port of type.inputs.values()) {
    const kind = port.field?.kind;
    if ((kind === "file" || kind === "mask") && port.field?.folder === INPUT) return port.name;
  }
  return null;
}

/**
 * @param {Editor} editor
 * @param {import("../../store/session.js").Session} session
 * @param {string} name
 * @param {Point} point
 */
function addLoader(editor, session, name, point) {
  const { catalogue } = editor;
  const type = loaderOf(catalogue);
  const field = type && pictureField(type);
  if (!type || !field) {
    editor.notify({ text: "There is no node type that loads pictures.", kind: "warn" });
    return;
  }
  const made = addNode(session.graph, type.id, { x: Math.round(point.x), y: Math.round(point.y) }, catalogue);
  const graph = setParam(made.graph, made.id, field, name);
  session.apply("Load picture", () => graph, { select: [`node:${made.id}`] });
}

/** @param {import("../../store/catalogue.js").Catalogue} catalogue @returns {NodeType | undefined} */
function loaderOf(catalogue) {
  const known = catalogue.find("LoadImage");
  if (known && pictureField(known)) return known;
  return [...catalogue.types.values()].find((type) => pictureField(type) && [...type.outputs.values()]
    .some((port) => port.type === "Image"));
}

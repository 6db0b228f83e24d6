/** Commands that edit: steps back and forth, the clipboard, adding, wiring by keyboard, what is set from outside. */

import { expose, exposedAs, freeInputName, unexpose } from "../store/edits.js";
import { isPortName, split } from "../store/names.js";
import { copySelected, pasteHeld } from "../views/shell/clipboard.js";
import { endOf, openConnect } from "../views/shell/connect.js";
import { askText } from "../views/shell/dialogs.js";
import { openPalette } from "../views/shell/palette.js";
import { loadPicture } from "../views/shell/pictures.js";
import { some } from "./make.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../editor.js").PaletteDetail} PaletteDetail */
/** @typedef {import("../store/types.js").Command} Command */
/** @typedef {import("../store/types.js").Point} Point */

const GROUP = "Edit";

/** @returns {Command[]} */
export function editCommands() {
  return [...stepCommands(), ...clipboardCommands(), ...addCommands(), ...exposeCommands()];
}

/** @returns {Command[]} */
function stepCommands() {
  return [
    { id: "edit.undo", title: "Undo", group: GROUP, keys: ["Mod+Z"], typing: true,
      when: (editor) => editor.session.canUndo, run: undo },
    { id: "edit.redo", title: "Redo", group: GROUP, keys: ["Mod+Shift+Z", "Mod+Y"], typing: true,
      when: (editor) => editor.session.canRedo, run: redo },
  ];
}

/** @param {Editor} editor */
function undo(editor) {
  const { undoLabel } = editor.session;
  if (editor.session.undo()) editor.say(`Undone: ${undoLabel}`);
}

/** @param {Editor} editor */
function redo(editor) {
  const { redoLabel } = editor.session;
  if (editor.session.redo()) editor.say(`Done again: ${redoLabel}`);
}

/** @returns {Command[]} */
function clipboardCommands() {
  const place = (/** @type {unknown} */ detail) => /** @type {{point?: Point} | undefined} */ (detail)?.point;
  return [
    { id: "edit.copy", title: "Copy", group: GROUP, keys: ["Mod+C"], when: some,
      run: (editor) => copySelected(editor, "copy") },
    { id: "edit.cut", title: "Cut", group: GROUP, keys: ["Mod+X"], when: some,
      run: (editor) => copySelected(editor, "cut") },
    { id: "edit.paste", title: "Paste", group: GROUP, keys: ["Mod+V"],
      run: (editor, detail) => pasteHeld(editor, { point: place(detail) }) },
    { id: "edit.paste.links", title: "Paste with incoming links", group: GROUP, keys: ["Mod+Shift+V"],
      run: (editor, detail) => pasteHeld(editor, { point: place(detail), keepInputs: true }) },
  ];
}

/** @returns {Command[]} */
function addCommands() {
  return [
    { id: "palette.open", title: "Add a node", group: GROUP, keys: ["Shift+A", "/"],
      run: (editor, detail) => openPalette(editor, /** @type {PaletteDetail | undefined} */ (detail)) },
    { id: "palette.insert", title: "Add a node into the link", group: GROUP, keys: [], run: insert,
      when: (editor) => editor.session.graph.nodes.size > 0 },
    { id: "connect.open", title: "Wire the node", group: GROUP, keys: ["L"],
      run: (editor, detail) => openConnect(editor, endOf(detail)) },
    { id: "edit.loadPicture", title: "Load a picture", group: GROUP, keys: [], run: pictureOf },
  ];
}

/** @param {Editor} editor @param {unknown} detail the link's target, and a place */
function insert(editor, detail) {
  const { target, ...place } = /** @type {PaletteDetail & {target?: string}} */ (detail ?? {});
  const [id, input] = split(target ?? "");
  const output = editor.session.graph.nodes.get(id)?.links.get(input);
  if (output === undefined) editor.notify({ text: "Point at a link, then choose this in its menu." });
  else openPalette(editor, { ...place, output, into: target });
}

/** @param {Editor} editor @param {unknown} detail the file; without it, it is asked for */
async function pictureOf(editor, detail) {
  const given = /** @type {{file?: File, screen?: Point | null} | undefined} */ (detail);
  const file = given?.file ?? (await askFile());
  if (file) await loadPicture(editor, file, given?.screen ?? null);
}

/** @returns {Promise<File | null>} */
function askFile() {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/*";
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files?.[0] ?? null));
    input.addEventListener("cancel", () => resolve(null));
    input.click();
  });
}

/** @returns {Command[]} */
function exposeCommands() {
  const group = "Form";
  const hide = (/** @type {Editor} */ editor, /** @type {unknown} */ place) =>
    editor.apply("Take out of the form", (graph) => unexpose(graph, placeOf(editor, place)));
  return [
    { id: "edit.expose", title: "Make it an input of the workflow", group, keys: [], run: exposeInput },
    { id: "edit.unexpose", title: "Not an input of the workflow any more", group, keys: [], run: hide },
  ];
}

/** @param {Editor} editor @param {unknown} place @returns {string} `"node.input"` */
function placeOf(editor, place) {
  if (typeof place === "string") return place;
  const field = document.activeElement?.closest("[data-field]");
  const node = field?.closest("[data-node]");
  if (field instanceof HTMLElement && node instanceof HTMLElement) {
    return `${node.dataset.node}.${field.dataset.field}`;
  }
  throw new Error("point at an input of a node, then choose this in its menu");
}

/** @param {Editor} editor @param {unknown} detail */
async function exposeInput(editor, detail) {
  const place = placeOf(editor, detail);
  const { graph } = editor.session;
  const name = await askText({
    title: "Input of the workflow",
    label: "Name in the form, and where the workflow is run from elsewhere",
    value: exposedAs(graph, place) ?? freeInputName(graph, split(place)[1]),
    action: "Add",
    check: (text) => (isPortName(text) ? null : "Letters, digits and _, and first a letter or _."),
  });
  if (name) editor.apply("Add to the form", (now) => expose(now, place, name));
}

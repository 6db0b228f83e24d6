/** Commands that change what of the canvas is seen. */

import { inGroup, some } from "./make.js";

/** @import {Editor} from "../editor.js" */
/** @import {Command} from "../store/types.js" */

const STEP = 1.25;
const PAN = 80;

/** @param {(canvas: import("../views/canvas/canvas.js").Canvas, editor: Editor) => unknown} run */
const onCanvas = (run) => (/** @type {Editor} */ editor) => (editor.canvas ? run(editor.canvas, editor) : undefined);

/** @returns {Command[]} */
export function viewCommands() {
  return [...zooms(), ...pans(), ...settings()];
}

/** @returns {Command[]} */
function zooms() {
  const make = inGroup("View");
  const zoom = (/** @type {number} */ factor) => onCanvas((canvas) => canvas.camera.zoomBy(factor));
  const reset = onCanvas((canvas) => canvas.camera.zoomBy(1 / canvas.camera.view.zoom));
  const fitAll = onCanvas((canvas) => canvas.fit());
  const fitSome = onCanvas((canvas, editor) => canvas.fit(some(editor) ? editor.session.selection : undefined));
  return [
    make("view.zoomIn", "Zoom in", ["Mod+=", "Alt+="], zoom(STEP)),
    make("view.zoomOut", "Zoom out", ["Mod+-", "Alt+-"], zoom(1 / STEP)),
    make("view.zoomReset", "Zoom to 100 %", ["Mod+0", "Alt+0"], reset),
    make("view.fit", "Show everything", ["Home", "Shift+1"], fitAll),
    make("view.fitSelection", "Show the selection", [".", "Shift+2"], fitSome),
  ];
}

/** Where nothing is selected, arrows move the view. @returns {Command[]} */
function pans() {
  const none = (/** @type {Editor} */ editor) => editor.session.selection.size === 0;
  const pan = (/** @type {string} */ name, /** @type {number} */ x, /** @type {number} */ y) => ({
    id: `view.pan${name}`,
    title: `Move the view ${name.toLowerCase()}`,
    group: "View",
    keys: [`Arrow${name}`],
    when: none,
    run: onCanvas((canvas) => canvas.camera.pan(-x * PAN, -y * PAN)),
  });
  return [pan("Left", -1, 0), pan("Right", 1, 0), pan("Up", 0, -1), pan("Down", 0, 1)];
}

/** @returns {Command[]} */
function settings() {
  const group = "View";
  const toggle = (/** @type {"minimap" | "snap" | "guides"} */ name) => (/** @type {Editor} */ editor) => {
    editor.settings.set(name, !editor.settings.get(name));
  };
  return [
    { id: "view.minimap", title: "Show or hide the map", group, keys: ["Alt+M"], run: toggle("minimap") },
    {
      id: "view.legend",
      title: "Show or hide what the ports' colours mean",
      group,
      keys: ["Alt+L"],
      run: onCanvas((canvas) => canvas.legend.toggle()),
    },
    { id: "view.snap", title: "Snap to the grid, or not", group, keys: [], run: toggle("snap") },
    { id: "view.guides", title: "Line up with other nodes, or not", group, keys: [], run: toggle("guides") },
  ];
}

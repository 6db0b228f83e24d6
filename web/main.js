/** Start the editor: make its parts, mount its views, open what is to be shown. */

import { Api, ApiError } from "./api/client.js";
import { liveOf } from "./api/live.js";
import { browserStorage } from "./api/storage.js";
import { appCommands } from "./commands/app.js";
import { editCommands } from "./commands/edit.js";
import { fileCommands } from "./commands/file.js";
import { graphCommands } from "./commands/graph.js";
import { viewCommands } from "./commands/view.js";
import { Editor } from "./editor.js";
import { openEmpty } from "./start.js";
import { Catalogue } from "./store/catalogue.js";
import { Runs } from "./store/runs.js";
import { Settings } from "./store/settings.js";
import { mount as mountCanvas } from "./views/canvas/canvas.js";
import { mount as mountNotices } from "./views/documents/notices.js";
import { openFirst } from "./views/documents/opening.js";
import { mount as mountPath } from "./views/documents/path.js";
import { find } from "./views/dom.js";
import { mount as mountEmpty } from "./views/empty.js";
import { COMMANDS as fieldCommands } from "./views/fields/commands.js";
import { COMMANDS as formCommands, mount as mountForm } from "./views/form.js";
import { LIVE_COMMANDS, LIVE_PANELS, LIVE_VIEWS } from "./views/live.js";
import { mount as mountMinimap } from "./views/minimap.js";
import { mount as mountOutline } from "./views/outline.js";
import { mount as mountHelp } from "./views/shell/help.js";
import { openSignIn } from "./views/shell/server.js";
import { mountShell } from "./views/shell/shell.js";
import { offerTour } from "./views/shell/tour.js";
import { expose } from "./views/state.js";
import { mount as mountZoom } from "./views/zoom.js";

/** @typedef {{destroy(): void}} View */
/** @typedef {(editor: Editor, host: HTMLElement) => View} Mount */

/** Views with a place of their own on the page, by that place. @type {readonly (readonly [string, Mount])[]} */
const VIEWS = [["#canvas", mountCanvas], ["#minimap", mountMinimap], ["#zoom", mountZoom], ["#form", mountForm],
  ["#path", mountPath], ["#banners", mountNotices], ...LIVE_VIEWS];

/** Panels of the dock on the right, from top to bottom.
 * @type {readonly import("./views/shell/panels.js").Panel[]} */
const PANELS = [
  ...LIVE_PANELS,
  { id: "outline", title: "Outline", icon: "outline", mount: mountOutline, keys: ["O"] },
  { id: "help", title: "Help", icon: "help", mount: mountHelp },
];

/** Make the editor, with an empty tab. */
function makeEditor() {
  const settings = new Settings(browserStorage("localStorage"));
  const parts = { api: new Api(), catalogue: new Catalogue(null), runs: new Runs(), settings };
  const editor = new Editor(parts);
  const own = [editCommands(), fileCommands(), graphCommands(), viewCommands(), appCommands()];
  editor.commands.add([...own, fieldCommands, formCommands, LIVE_COMMANDS].flat());
  openEmpty(editor);
  return editor;
}

/**
 * A view that cannot be mounted must not keep the others from it.
 * @param {Editor} editor
 */
function mountViews(editor) {
  for (const [selector, mount] of VIEWS) {
    try {
      mount(editor, find(selector));
    } catch (error) {
      editor.fail(`A part of the page did not start (${selector})`, error);
    }
  }
  for (const panel of PANELS) editor.panels.add(panel);
}

/** Open what the address names; a stranger is told how to get in. @param {Editor} editor */
async function begin(editor) {
  try {
    await liveOf(editor).readCatalogue();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return void openSignIn();
    editor.fail("The node types could not be read", error);
  }
  await openFirst(editor);
  mountEmpty(editor, find("#canvas"));
  offerTour(editor);
}

async function main() {
  const editor = makeEditor();
  mountShell(editor);
  mountViews(editor);
  editor.panels.restore();
  await begin(editor);
  expose(editor);
}

await main();

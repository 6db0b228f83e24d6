/** The shell: all that is around the canvas and belongs to no one panel. */

import { find } from "../dom.js";
import { mount as mountBar } from "./bar.js";
import { mount as mountClipboard } from "./clipboard.js";
import { mount as mountConnect } from "./connect.js";
import { mount as mountMenus } from "./context_menu.js";
import { mount as mountKeyboard } from "./keyboard.js";
import { mount as mountLive } from "./live_region.js";
import { Panels } from "./panels.js";
import { mount as mountTabs } from "./tabs.js";
import { mount as mountTheme } from "./theme.js";
import { mount as mountTips } from "./tips.js";
import { mount as mountToasts } from "./toasts.js";

/** @param {import("../../editor.js").Editor} editor */
export function mountShell(editor) {
  mountTheme(editor);
  mountToasts(editor, find("#toasts"));
  mountBar(editor, { tools: find("#tools"), rail: find("#rail .rail-tools") });
  editor.panels = new Panels(editor, { rail: find("#dockrail .rail-panels"), dock: find("#dock") });
  mountTabs(editor, find("#tabs"));
  mountTips(editor);
  mountConnect(editor);
  mountKeyboard(editor);
  mountClipboard(editor);
  mountMenus(editor);
  mountLive(editor);
}

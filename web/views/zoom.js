/** How large the canvas is shown, and buttons that change it. */

import { el } from "./dom.js";
import { commandButton } from "./shell/bar.js";

/** @import {Editor} from "../editor.js" */

/** @param {Editor} editor @param {HTMLElement} host */
export function mount(editor, host) {
  const button = commandButton.bind(null, editor);
  const percent = el("button", {
    class: "zoom-percent",
    type: "button",
    data: { command: "view.zoomReset", tip: "Zoom to 100 %" },
    on: { click: () => editor.perform("view.zoomReset") },
  });
  const element = el(
    "div",
    { class: "zoom-bar", role: "toolbar", "aria-label": "Zoom" },
    button("view.zoomOut", "minus", "Zoom out"),
    percent,
    button("view.zoomIn", "plus", "Zoom in"),
    button("view.fit", "fit", "Show everything"),
    button("view.legend", "info", "What the colours mean"),
    button("view.minimap", "map", "Show or hide the map"),
  );
  const show = () => {
    const text = `${Math.round((editor.canvas?.camera.view.zoom ?? 1) * 100)} %`;
    if (percent.textContent === text) return;
    percent.textContent = text;
    percent.setAttribute("aria-label", `Zoom ${text}: zoom to 100 %`);
  };
  const offs = /** @type {const} */ (["view", "session", "scope"]).map((type) => editor.on(type, show));
  host.append(element);
  show();
  return {
    destroy() {
      for (const off of offs) off();
      element.remove();
    },
  };
}

/** The banner that says that the server is not there, and what becomes of what one does meanwhile. */

import { liveOf } from "../api/live.js";
import { el, fill } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../editor.js").Editor} Editor */

/** A short break is nothing to read of. */
const PATIENCE = 600;

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const text = el("span", { class: "banner-text" });
  const retry = el("button", { class: "button small", type: "button", text: "Try now",
    data: { command: "live.reconnect" }, on: { click: () => editor.perform("live.reconnect") } });
  const banner = el("div", { class: "banner connection", role: "alert", hidden: true }, icon("warning"), text,
    el("span", { class: "spacer" }), retry);
  host.append(banner);
  let timer = 0;
  const draw = () => {
    const { state, retryAt } = liveOf(editor).connection;
    banner.hidden = state === "open" || state === "connecting";
    banner.dataset.state = state;
    retry.hidden = state === "denied";
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const again = seconds > 1 ? `It is tried again in ${seconds} s.` : "It is being tried again.";
    const unsent = liveOf(editor).outbox.of(editor.session.id).length > 0;
    const pending = unsent ? " The run is queued when the server is back." : "";
    fill(text, state === "denied" ? DENIED : `The server cannot be reached. ${again} Jobs go on there.${pending}`);
    clearTimeout(timer);
    if (!banner.hidden) timer = setTimeout(draw, 1000);
  };
  const update = () => {
    clearTimeout(timer);
    const { state } = liveOf(editor).connection;
    if (state === "down" && banner.hidden) timer = setTimeout(draw, PATIENCE);
    else draw();
  };
  const offs = [editor.on("connection", update), editor.on("queue", () => !banner.hidden && draw())];
  update();
  return {
    destroy() {
      clearTimeout(timer);
      for (const off of offs) off();
      banner.remove();
    },
  };
}

const DENIED = "The server does not know you any more. Open a new link of it (nodegraph users link) in this browser.";

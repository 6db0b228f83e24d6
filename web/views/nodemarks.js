/** Marks on the nodes that are in view: what they warned of, and which of their fields and ports is wrong. */

import { liveOf } from "../api/live.js";
import { nodeOf } from "../store/runs.js";
import { el } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../editor.js").Editor} Editor */

/**
 * @param {Editor} editor
 * @param {HTMLElement} host that holds the nodes' elements, at any depth
 */
export function mount(editor, host) {
  let frame = 0;
  const all = () => {
    frame = 0;
    for (const node of host.querySelectorAll("article[data-node]")) if (node instanceof HTMLElement) draw(editor, node);
  };
  const soon = () => {
    if (frame === 0) frame = requestAnimationFrame(all);
  };
  const types = /** @type {const} */ (["run", "problems", "session", "scope", "document", "catalogue"]);
  const offs = types.map((type) => editor.on(type, soon));
  const observer = new MutationObserver((records) => {
    for (const { addedNodes } of records) {
      for (const node of addedNodes) {
        if (!(node instanceof HTMLElement)) continue;
        if (node.matches("article[data-node]")) draw(editor, node);
        else if (node.matches("[data-field], .row")) soon(); // a field that was made anew has to be marked anew
      }
    }
  });
  observer.observe(host, { childList: true, subtree: true });
  soon();
  return {
    destroy() {
      for (const off of offs) off();
      observer.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}

/** @param {Editor} editor @param {HTMLElement} element */
function draw(editor, element) {
  const { session, runs } = editor;
  const node = nodeOf(session.path, element.dataset.node ?? "");
  sign(element, runs.node(session.job, node).warnings.join("\n"));
  fields(element, liveOf(editor).problems.at(session.id, node));
}

/** @param {HTMLElement} element @param {string} warning "" for none */
function sign(element, warning) {
  const header = element.querySelector(".node-header");
  const found = header?.querySelector(".node-sign");
  if (warning === "") return void found?.remove();
  const text = `It warned: ${warning}`;
  if (found instanceof HTMLElement) {
    found.title = text;
    found.setAttribute("aria-label", text);
  } else {
    header?.append(el("span", { class: "node-sign", role: "img", title: text, "aria-label": text }, icon("warning")));
  }
}

/** @param {HTMLElement} element @param {readonly import("../store/types.js").Problem[]} problems */
function fields(element, problems) {
  const wrong = new Map(problems.map(({ field, message }) => [field, message]));
  for (const place of element.querySelectorAll("[data-field]")) {
    if (!(place instanceof HTMLElement)) continue;
    const message = wrong.get(place.dataset.field ?? "");
    if (message === undefined && !place.hasAttribute("data-invalid")) continue;
    place.toggleAttribute("data-invalid", message !== undefined);
    place.title = message ?? "";
  }
  for (const port of element.querySelectorAll(".row-ports .port-in")) {
    if (!(port instanceof HTMLElement)) continue;
    const message = wrong.get(port.dataset.port?.slice("in:".length) ?? "");
    port.toggleAttribute("data-invalid", message !== undefined);
    port.setAttribute("aria-description", message ?? "");
  }
}

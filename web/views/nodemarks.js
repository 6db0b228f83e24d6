/**
 * Marks on the nodes that are in view: what is wrong with them and with which field, whether the next run takes them
 * from the cache, and why not.
 */

import { liveOf } from "../api/live.js";
import { nodeOf } from "../store/runs.js";
import { el } from "./dom.js";
import { icon } from "./icons.js";
import { marksOf } from "./marks.js";

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
      for (const node of addedNodes) if (node instanceof HTMLElement && node.matches("article[data-node]")) draw(editor, node);
      // A field that was made anew has to be marked anew.
      for (const node of addedNodes) if (node instanceof HTMLElement && node.matches("[data-field], [data-field] *")) soon();
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
  const id = element.dataset.node ?? "";
  const { session, runs } = editor;
  const node = nodeOf(session.path, id);
  const problems = liveOf(editor).problems.at(session.id, node);
  const run = runs.node(session.job, node);
  const mark = marksOf(editor).of(id);
  const failed = problems.length > 0;
  const warned = !failed && run.warnings.length > 0;
  const kind = failed ? "error" : warned ? "warning" : (mark?.state ?? "");
  const why = failed ? problems.map(({ message }) => message).join("\n") : warned ? run.warnings.join("\n") : (mark?.why ?? "");
  element.toggleAttribute("data-problem", failed);
  if (mark) element.dataset.mark = mark.state;
  else delete element.dataset.mark;
  badge(element, kind, why);
  fields(element, problems);
}

/** @type {{readonly [kind: string]: readonly [icon: string, words: string]}} */
const KINDS = {
  error: ["error", "Something is wrong"],
  warning: ["warning", "It warned"],
  cached: ["check", "It is taken from the cache"],
  run: ["refresh", "It will run"],
};

/** @param {HTMLElement} element @param {string} kind @param {string} why */
function badge(element, kind, why) {
  const header = element.querySelector(".node-header");
  if (header === null) return;
  let found = header.querySelector(".node-mark");
  if (kind === "") return void found?.remove();
  const [name, words] = KINDS[kind] ?? ["info", ""];
  const text = why === "" ? words : `${words}: ${why}`;
  if (!(found instanceof HTMLElement)) {
    found = el("span", { class: "node-mark", role: "img" });
    header.append(found);
  }
  if (!(found instanceof HTMLElement) || (found.dataset.kind === kind && found.title === text)) return;
  found.dataset.kind = kind;
  found.title = text;
  found.setAttribute("aria-label", text);
  found.replaceChildren(icon(name));
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
}

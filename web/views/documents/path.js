/** Where in the workflow one is: the subgraphs that one has gone into, each of which leads back. */

import { follow } from "../../store/scopes.js";
import { el, fill } from "../dom.js";
import { icon } from "../icons.js";
import { titleOf } from "../shell/tabs.js";

/** @typedef {import("../../editor.js").Editor} Editor */

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const nav = el("nav", { class: "path", "aria-label": "Where in the workflow", hidden: true });
  host.append(nav);
  const draw = () => {
    const { path, document } = editor.session;
    nav.hidden = path.length === 0;
    if (nav.hidden) return fill(nav);
    const names = [titleOf(editor.session), ...path.map((id, at) => nameOf(document, path.slice(0, at), id))];
    fill(nav, ...names.flatMap((name, depth) => [depth > 0 && icon("right"),
      crumb(editor, name, depth, depth === path.length)]));
  };
  const types = /** @type {const} */ (["scope", "session", "document", "saving"]);
  const offs = types.map((type) => editor.on(type, draw));
  draw();
  return { destroy: () => (offs.forEach((off) => off()), nav.remove()) };
}

/** @param {import("../../store/types.js").Graph} document @param {readonly string[]} path @param {string} id */
function nameOf(document, path, id) {
  const node = follow(document, path)?.graph.nodes.get(id);
  return node?.view.title ?? node?.graph ?? id;
}

/** @param {Editor} editor @param {string} name @param {number} depth @param {boolean} isHere */
function crumb(editor, name, depth, isHere) {
  if (isHere) return el("span", { class: "crumb cut", "aria-current": "location", text: name, data: { depth } });
  const go = () => {
    const { path } = editor.session;
    editor.session.goTo(path.slice(0, depth), path[depth] === undefined ? [] : [`node:${path[depth]}`]);
    editor.canvas?.focus();
  };
  return el("button", { class: "crumb cut", type: "button", text: name, data: { depth }, on: { click: go } });
}

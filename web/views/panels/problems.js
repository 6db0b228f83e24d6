/** What is wrong with the open tab's workflow, and with its last run: each leads to its place. */

import { liveOf } from "../../api/live.js";
import { el, fill } from "../dom.js";
import { icon } from "../icons.js";
import { goTo } from "../go_to.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Problem} Problem */

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const list = el("ul", { class: "problems", "aria-label": "Problems" });
  const empty = el("p", { class: "empty dim",
    text: "Nothing is wrong. What keeps a workflow from running is listed here, and leads to its place." });
  const element = el("div", {}, list, empty);
  const update = () => {
    const { session } = editor;
    const problems = liveOf(editor).problems.of(session.id);
    const warnings = warningsOf(editor);
    fill(list, ...problems.map((problem) => row(editor, problem, "error")),
      ...warnings.map((problem) => row(editor, problem, "warning")));
    empty.hidden = list.childElementCount > 0;
  };
  const offs = /** @type {const} */ (["problems", "session", "catalogue"]).map((type) => editor.on(type, update));
  offs.push(editor.on("run", (event) => event.type === "run" && event.job === editor.session.job && update()));
  host.append(element);
  update();
  return {
    destroy() {
      for (const off of offs) off();
      element.remove();
    },
  };
}

/** What nodes of the last run warned of. @param {Editor} editor @returns {Problem[]} */
function warningsOf({ session, runs }) {
  if (session.job === null) return [];
  return [...runs.nodes(session.job)].flatMap(([node, { warnings }]) =>
    warnings.map((message) => ({ code: "warning", message, node, field: null })));
}

/** @param {Editor} editor @param {Problem} problem @param {"error" | "warning"} kind */
function row(editor, problem, kind) {
  const { node, field, message } = problem;
  const place = placeOf(problem);
  const words = el("span", { class: "problem-message", text: message });
  const parts = [icon(kind),
    el("span", { class: "problem-text" }, words, el("span", { class: "problem-place dim cut", text: place }))];
  const content = node === null ? el("div", { class: "problem" }, ...parts)
    : el("button", { class: "problem", type: "button", "aria-label": `${message}. Go to ${place}`,
      on: { click: () => goTo(editor, node, field) } }, ...parts);
  content.dataset.kind = kind;
  if (node !== null) content.dataset.problem = node;
  return el("li", {}, content);
}

/** Where a problem is, in words. @param {Problem} problem */
export function placeOf({ node, field }) {
  if (!node) return "The workflow";
  const own = field?.replace(/^(params|links)\./, "");
  return own ? `${node} · ${own}` : node;
}

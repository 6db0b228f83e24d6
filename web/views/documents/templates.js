/** The workflows that come with nodegraph, with a picture of each: to begin with. */

import { readGraph } from "../../store/document.js";
import { el, fill } from "../dom.js";
import { openDialog } from "../shell/dialogs.js";
import { miniature } from "./miniature.js";
import { openTemplate, titleOfTemplate } from "./opening.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").JsonObject} JsonObject */

/** @param {Editor} editor */
export async function openTemplates(editor) {
  const list = el("ul", { class: "templates" });
  const dialog = openDialog({ name: "templates", title: "Templates", body: list, size: "wide" });
  const { items } = await editor.api.templates();
  const templates = Array.isArray(items) ? items.filter((item) => typeof item === "object" && item !== null) : [];
  const cards = templates.map((item) => card(editor, /** @type {JsonObject} */ (item), () => dialog.close()));
  fill(list, ...cards);
  list.querySelector("button")?.focus();
}

/** @param {Editor} editor @param {JsonObject} item @param {() => void} close */
function card(editor, item, close) {
  const name = String(item.name);
  const title = text(item.title) || titleOfTemplate(name);
  const made = text(item.thumbnail);
  const picture = el("div", { class: "template-picture" },
    made !== "" && el("img", { src: made, alt: "", width: 96, height: 96 }));
  const takes = Array.isArray(item.inputs) ? `; takes ${item.inputs.join(", ")}` : "";
  const told = text(item.description) || `${item.nodes} nodes${takes}.`;
  const open = () => {
    close();
    void openTemplate(editor, name).catch((error) => editor.fail("The template could not be opened", error));
  };
  void draw(editor, name, title, picture);
  return el("li", {}, el("button", { class: "template", type: "button", data: { template: name },
    on: { click: open } }, picture,
    el("b", { class: "template-title", text: title }), el("span", { class: "dim", text: told })));
}

/** @param {Editor} editor @param {string} name @param {string} title @param {HTMLElement} place */
async function draw(editor, name, title, place) {
  const json = await editor.api.template(name).catch(() => null);
  if (json !== null) place.prepend(miniature(readGraph(json), editor.catalogue, `Drawing of ${title}`));
}

/** @param {import("../../store/types.js").Json | undefined} value */
function text(value) {
  return typeof value === "string" ? value : "";
}

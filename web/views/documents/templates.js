/** The workflows that come with nodegraph, with a picture of each: to begin with. */

import { readGraph } from "../../store/document.js";
import { el, fill } from "../dom.js";
import { openDialog } from "../shell/dialogs.js";
import { miniature } from "./miniature.js";
import { openTemplate, titleOfTemplate } from "./opening.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").JsonObject} JsonObject */

/** What is said of those that are known. @type {ReadonlyMap<string, string>} */
const WORDS = new Map([
  ["text_to_image", "A picture from a text. Type what you want to see, and run."],
  ["image_to_image", "Another picture from one of yours and a text: choose how much of it stays."],
  ["inpaint", "Paint over a part of a picture and have that part made anew."],
  ["upscale", "A picture made larger, with more in it."],
]);

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
  const title = titleOfTemplate(name);
  const picture = el("div", { class: "template-picture" });
  const text = WORDS.get(name) ?? `${item.nodes} nodes${Array.isArray(item.inputs) ? `; takes ${item.inputs.join(", ")}` : ""}.`;
  const open = () => {
    close();
    void openTemplate(editor, name).catch((error) => editor.fail("The template could not be opened", error));
  };
  void draw(editor, name, title, picture);
  return el("li", {}, el("button", { class: "template", type: "button", data: { template: name }, on: { click: open } }, picture,
    el("b", { class: "template-title", text: title }), el("span", { class: "dim template-text", text })));
}

/** @param {Editor} editor @param {string} name @param {string} title @param {HTMLElement} place */
async function draw(editor, name, title, place) {
  const json = await editor.api.template(name).catch(() => null);
  if (json !== null) place.append(miniature(readGraph(json), editor.catalogue, `Drawing of ${title}`));
}

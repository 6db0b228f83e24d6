/**
 * Opening: the workflows that are saved on the server, drafts without a name, files of this computer, what was
 * deleted.
 */

import { readGraph } from "../../store/document.js";
import { el, fill } from "../dom.js";
import { openFile } from "../drop.js";
import { when } from "../format.js";
import { icon } from "../icons.js";
import { openDialog } from "../shell/dialogs.js";
import { DRAFTS, keeperOf } from "./keeper.js";
import { miniature } from "./miniature.js";
import { openDraft, openSaved } from "./opening.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../api/wire.js").SavedWorkflow} SavedWorkflow */
/** @typedef {"saved" | "drafts" | "deleted"} Shelf */

const MOST = 1000;
const WORDS = { saved: "Saved", drafts: "Drafts", deleted: "Deleted" };
const NOTHING = {
  saved: "Nothing is saved yet. Save what is open, or begin with a template.",
  drafts: "No drafts: all that is open has a name.",
  deleted: "Nothing was deleted.",
};

/** @param {Editor} editor */
export function openLibrary(editor) {
  new Library(editor);
}

class Library {
  /** @type {SavedWorkflow[]} */
  #items = [];
  /** @type {Shelf} */
  #shelf = "saved";
  #off;

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.search = el("input", { class: "input", type: "search", placeholder: "Search workflows", autofocus: true,
      "aria-label": "Search workflows", on: { input: () => this.#draw(), keydown: (event) => this.#key(event) } });
    this.shelves = el("div", { class: "shelves", role: "radiogroup", "aria-label": "Which workflows" });
    this.list = el("ul", { class: "library-list scroll" });
    this.look = el("div", { class: "library-look" });
    const body = el("div", { class: "library" }, el("div", { class: "library-top" }, this.search, this.shelves),
      el("div", { class: "library-parts" }, this.list, this.look));
    const foot = el("div", { class: "library-foot" }, this.#fileButton(),
      el("button", { class: "button", type: "button", data: { action: "templates" },
        on: { click: () => (this.dialog.close(), editor.perform("file.templates")) } }, icon("template"), "Templates"));
    this.dialog = openDialog({ name: "open", title: "Open a workflow", body, size: "tall", foot });
    this.#off = editor.on("files", () => void this.#load());
    void this.dialog.result.then(() => this.#off());
    void this.#load();
  }

  #fileButton() {
    const input = el("input", { type: "file", hidden: true, accept: ".json,application/json,image/png,image/webp" });
    input.addEventListener("change", () => {
      this.dialog.close();
      for (const file of input.files ?? []) void openFile(this.editor, file, null).catch((error) => this.#fail(error));
    });
    const button = el("button", { class: "button", type: "button", data: { action: "file" },
      on: { click: () => input.click() } }, icon("upload"), "File of this computer…");
    return el("span", {}, input, button);
  }

  /** @param {unknown} error */
  #fail(error) {
    this.editor.fail("It could not be opened", error);
  }

  async #load() {
    const shelf = this.#shelf;
    try {
      const { items } = await this.editor.api.workflows({ limit: MOST, deleted: shelf === "deleted",
        drafts: shelf === "drafts" });
      if (shelf !== this.#shelf) return;
      this.#items = items;
      if (shelf === "drafts") this.#items.sort((a, b) => b.modified - a.modified);
    } catch (error) {
      this.editor.fail("The workflows could not be listed", error);
    }
    this.#draw();
  }

  #draw() {
    const shelves = /** @type {Shelf[]} */ (Object.keys(WORDS));
    fill(this.shelves, ...shelves.map((shelf) => el("button", { class: "shelf", type: "button", role: "radio",
      "aria-checked": String(shelf === this.#shelf), data: { shelf }, text: WORDS[shelf],
        on: { click: () => this.#go(shelf) } })));
    const words = this.search.value.trim().toLowerCase().split(/\s+/);
    const found = this.#items.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
    const empty = this.#items.length === 0 ? NOTHING[this.#shelf] : "No workflow has such a name.";
    fill(this.list, ...found.map((item) => this.#row(item)),
      found.length === 0 && el("li", { class: "dim empty", text: empty }));
    fill(this.look);
    delete this.look.dataset.name;
  }

  /** @param {Shelf} shelf */
  #go(shelf) {
    this.#shelf = shelf;
    this.#items = [];
    void this.#load();
    const button = this.shelves.querySelector(`[data-shelf="${shelf}"]`);
    if (button instanceof HTMLElement) button.focus();
  }

  /** @param {SavedWorkflow} item */
  #row(item) {
    const { name, modified, deleted } = item;
    const isDraft = name.startsWith(DRAFTS);
    const cut = name.lastIndexOf("/");
    const isOpen = this.editor.sessions.some((session) =>
      session.name === name || keeperOf(this.editor).of(session).draft === name);
    const title = isDraft ? `Draft of ${when(modified)}` : name.slice(cut + 1);
    const button = el("button", { class: "library-item", type: "button", data: { workflow: name }, on: {
      click: () => void this.#open(item), focus: () => void this.#show(item), pointerenter: () => void this.#show(item),
    } }, icon(isDraft ? "edit" : "file"), el("span", { class: "library-name cut" },
      !isDraft && cut > 0 && el("span", { class: "dim", text: name.slice(0, cut + 1) }), title),
    isOpen && el("span", { class: "dim small-text", text: "open" }),
      el("span", { class: "dim small-text", text: when(modified) }));
    const remove = el("button", { class: "icon-button small", type: "button", data: { action: "delete", tip: "Delete" },
      "aria-label": `Delete ${title}`, on: { click: () => void this.#delete(item) } }, icon("trash"));
    return el("li", { class: "library-row" }, button, !deleted && remove);
  }

  /** Show what is in a workflow, small. @param {SavedWorkflow} item */
  async #show({ name, deleted, revision }) {
    if (this.look.dataset.name === name) return;
    this.look.dataset.name = name;
    const { api, catalogue } = this.editor;
    const json = await (deleted ? api.revision(name, revision)
      : api.workflow(name).then((found) => found.json)).catch(() => null);
    if (this.look.dataset.name !== name || json === null) return;
    try {
      const document = readGraph(json);
      const takes = document.inputs.size > 0 ? `; takes ${[...document.inputs.keys()].join(", ")}` : "";
      fill(this.look, miniature(document, catalogue, `Drawing of ${name}`),
        el("p", { class: "dim small-text", text: `${document.nodes.size} nodes${takes}` }));
    } catch (error) {
      fill(this.look, el("p", { class: "error-text", text: error instanceof Error ? error.message : String(error) }));
    }
  }

  /** @param {SavedWorkflow} item */
  async #open({ name, deleted, revision }) {
    this.dialog.close();
    try {
      if (deleted) await this.editor.api.restoreRevision(name, revision);
      if (name.startsWith(DRAFTS)) await openDraft(this.editor, name);
      else await openSaved(this.editor, name);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {SavedWorkflow} item */
  async #delete({ name, etag }) {
    const answer = await this.editor.ask({ title: `Delete “${name}”?`,
      body: "It can be restored: it is listed among “Deleted”.",
      choices: [{ value: "delete", title: "Delete", kind: "danger" }] });
    if (answer !== "delete") return;
    await this.editor.api.deleteWorkflow(name, etag).catch((error) => this.editor.fail("It was not deleted", error));
    await this.#load();
    this.search.focus(); // what had the focus is gone
  }

  /** Arrows go through the list from the field. @param {KeyboardEvent} event */
  #key(event) {
    const first = this.list.querySelector("button");
    if (event.key === "ArrowDown") first?.focus();
    else if (event.key === "Enter") first?.click();
    else return;
    event.preventDefault();
  }
}

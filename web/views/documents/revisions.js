/** What a saved workflow was before: its revisions, to look at, to compare, to go back to. */

import { readGraph } from "../../store/document.js";
import { el, fill } from "../dom.js";
import { openDiff } from "../diff.js";
import { bytes, when } from "../format.js";
import { openDialog } from "../shell/dialogs.js";
import { keeperOf } from "./keeper.js";
import { miniature } from "./miniature.js";
import { openCopy } from "./opening.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/session.js").Session} Session */
/** @typedef {import("../../api/wire.js").Revision} Revision */

/** @param {Editor} editor @param {Session} session */
export async function openRevisions(editor, session) {
  const { name } = session;
  if (name === null) {
    editor.notify({ text: "Save the workflow first: from then on each save is a revision that one can go back to.",
      kind: "warn",
      action: { title: "Save", run: () => editor.perform("file.save") } });
    return;
  }
  await keeperOf(editor).settle(session);
  const { items } = await editor.api.revisions(name);
  const list = el("ul", { class: "library-list scroll", "aria-label": "Revisions" });
  const look = el("div", { class: "library-look" });
  const body = el("div", { class: "library" }, el("div", { class: "library-parts" }, list, look));
  const dialog = openDialog({ name: "revisions", title: `Revisions of “${name}”`, body, size: "tall" });
  const view = new RevisionView(editor, session, name, look, () => dialog.close());
  fill(list, ...items.map((revision) => view.row(revision, revision.etag !== null && revision.etag === session.etag)));
  list.querySelector("button")?.focus();
}

class RevisionView {
  /**
   * @param {Editor} editor
   * @param {Session} session
   * @param {string} name
   * @param {HTMLElement} look
   * @param {() => void} close
   */
  constructor(editor, session, name, look, close) {
    this.editor = editor;
    this.session = session;
    this.name = name;
    this.look = look;
    this.close = close;
  }

  /** @param {Revision} revision @param {boolean} isNow */
  row(revision, isNow) {
    const { number, etag, modified, size, autosave } = revision;
    const told = etag === null ? "was deleted then" : isNow ? "as it is now" : autosave ? "kept by itself" : "saved";
    const show = () => void this.#show(revision, isNow);
    const button = el("button", { class: "library-item", type: "button", disabled: etag === null,
      data: { revision: number },
      on: { click: show, focus: show } }, el("b", { text: `Revision ${number}` }),
    el("span", { class: "library-name dim", text: told }),
    el("span", { class: "dim small-text", text: etag === null ? "" : bytes(size) }),
      el("span", { class: "dim small-text", text: when(modified) }));
    return el("li", { class: "library-row" }, button);
  }

  /** @param {Revision} revision @param {boolean} isNow */
  async #show({ number, etag, modified }, isNow) {
    if (etag === null || this.look.dataset.revision === String(number)) return;
    this.look.dataset.revision = String(number);
    const json = await this.editor.api.revision(this.name,
      number).catch((error) => this.editor.fail("It could not be read", error));
    if (!json || this.look.dataset.revision !== String(number)) return;
    const document = readGraph(json);
    const button = (/** @type {string} */ text, /** @type {string} */ action, /** @type {() => unknown} */ act,
      kind = "") =>
      el("button", { class: `button ${kind}`, type: "button", text, data: { action }, on: { click: act } });
    const title = `${this.name}, revision ${number}`;
    fill(this.look, miniature(document, this.editor.catalogue, title),
      el("p", { class: "dim", text: `Revision ${number} of ${when(modified)}, ${document.nodes.size} nodes` }),
      el("div", { class: "look-buttons" },
        button("Go back to it", "restore", () => void this.#restore(number, document), isNow ? "" : "primary"),
        button("Compare with now", "compare", () => openDiff(this.editor, {
          before: document, after: this.session.document, titles: [`Revision ${number}`, "Now"] })),
        button("Open as a copy", "copy", () => (this.close(), openCopy(this.editor, document, title)))));
  }

  /** @param {number} number @param {Graph} document */
  async #restore(number, document) {
    const { editor, session, name } = this;
    this.close();
    try {
      await keeperOf(editor).settle(session);
      const { etag } = await editor.api.restoreRevision(name, number, session.etag ?? undefined);
      keeperOf(editor).take(session, document, etag, `Go back to revision ${number}`);
      editor.notify({ text: `“${name}” is as it was at revision ${number}. Undo takes that back.` });
    } catch (error) {
      editor.fail("The revision was not restored", error);
    }
  }
}

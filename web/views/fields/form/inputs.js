/** The fields of what a workflow exposes. */

import { liveOf } from "../../../api/live.js";
import { setParam } from "../../../store/edits.js";
import { split } from "../../../store/names.js";
import { el, fill } from "../../dom.js";
import { words } from "../../format.js";
import { bodiesOf } from "../combo.js";
import { FieldView, isPrompt } from "../field.js";
import { seedMode, SEED_MODES, setSeedMode } from "../seeds.js";
import { exposed } from "./exposed.js";

/** @typedef {import("../../../editor.js").Editor} Editor */
/** @typedef {import("../../../store/types.js").Graph} Graph */
/** @typedef {import("./exposed.js").Exposed} Exposed */
/** @typedef {{view: FieldView | null, row: HTMLElement, port: unknown, places: readonly string[]}} Row */

export class FormInputs {
  /** @type {Map<string, Row>} */
  #rows = new Map();

  /** @param {Editor} editor @param {() => void} choose lets the user choose what is exposed */
  constructor(editor, choose) {
    this.editor = editor;
    this.choose = choose;
    this.element = el("div", { class: "form-inputs" });
  }

  /** Draw what is exposed now; a field that is being typed into stays the same element. */
  update() {
    const { document } = this.editor.session;
    const wanted = exposed(document, this.editor.catalogue);
    const names = new Set(wanted.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      const now = wanted.find((one) => one.name === name);
      if (names.has(name) && now?.port === row.port && same(now?.places ?? [], row.places)) continue;
      row.view?.destroy();
      row.row.remove();
      this.#rows.delete(name);
    }
    for (const input of wanted) {
      if (!this.#rows.has(input.name)) this.#rows.set(input.name, this.#make(input));
      this.#show(input);
    }
    this.#order(wanted);
  }

  /** @param {readonly Exposed[]} wanted */
  #order(wanted) {
    if (wanted.length === 0) return void fill(this.element, this.#empty());
    const rows = wanted.flatMap(({ name }) => this.#rows.get(name)?.row ?? []);
    // What has the focus would lose it if it were put in again.
    if (same([...this.element.children], rows)) return;
    fill(this.element, ...rows);
  }

  #empty() {
    return el(
      "div",
      { class: "form-empty" },
      el("p", { text: "This workflow shows no fields here yet." }),
      el("p", {
        class: "dim",
        text: "Choose which of its fields the form has. They can be set by name from the command line and the API too.",
      }),
      el("button", {
        class: "button",
        type: "button",
        text: "Choose fields",
        data: { command: "form.choose" },
        on: { click: this.choose },
      }),
    );
  }

  /** @param {Exposed} input @returns {Row} */
  #make(input) {
    const { name, field, port, places, of } = input;
    const view = field ? new FieldView(this.#host(input, field)) : null;
    const text = typeof field?.schema.description === "string" ? field.schema.description : "";
    const note = view
      ? null
      : el("p", {
          class: "dim",
          text: port
            ? `${words(name)} takes a link, so it cannot be typed here.`
            : `${words(name)} leads to nothing that is there any more.`,
        });
    const row = el(
      "div",
      { data: { input: name } },
      view?.element ?? note,
      view && text && el("p", { class: "form-hint dim", text }),
    );
    row.title = of;
    return { view, row, port, places };
  }

  /** @param {Exposed} input */
  #show({ name, value, places }) {
    const view = this.#rows.get(name)?.view;
    if (!view) return;
    view.update(value);
    const [id = "", input = ""] = split(places[0] ?? "");
    const { session } = this.editor;
    const [problem] = liveOf(this.editor).problems.at(session.id, id, input);
    view.tell(problem?.message ?? null);
  }

  /**
   * @param {Exposed} input
   * @param {import("../../../store/types.js").Field} field
   * @returns {import("../host.js").FieldHost}
   */
  #host({ name, places }, field) {
    const { editor } = this;
    const label = words(name);
    /** @param {(graph: Graph, id: string, input: string) => Graph} edit @returns {(document: Graph) => Graph} */
    const each = (edit) => (document) => places.reduce((graph, place) => edit(graph, ...split(place)), document);
    const [id, input] = split(places[0] ?? "");
    const node = () => editor.session.document.nodes.get(id);
    return {
      editor,
      field,
      name,
      label,
      prompt: isPrompt(editor, node()),
      roomy: true,
      commit: (value, merge) => {
        const edit = each((graph, to, port) => setParam(graph, to, port, value));
        editor.session.applyRoot(`Change ${label}`, edit, merge ? { merge } : undefined);
      },
      source: () => node()?.links.get(input) ?? null,
      seedMode: () => seedMode(node(), input),
      setSeedMode: (mode) => {
        const known = SEED_MODES.find((one) => one === mode) ?? "fixed";
        const edit = each((graph, to, port) => setSeedMode(graph, to, port, known));
        editor.session.applyRoot(`Change what becomes of ${label}`, edit);
      },
      bodies: () => bodiesOf(editor.session.document),
      leave: () => {
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
      },
    };
  }

  destroy() {
    for (const { view } of this.#rows.values()) view?.destroy();
    this.#rows.clear();
  }
}

/** @param {readonly unknown[]} a @param {readonly unknown[]} b */
const same = (a, b) => a.length === b.length && a.every((one, at) => one === b[at]);

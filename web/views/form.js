/**
 * The form of a workflow: the fields that it exposes, a button that runs it, and what it makes. It works on a phone,
 * and whoever has opened it gets back to the canvas by a button that is always there, or by Escape.
 */

import { liveOf } from "../api/live.js";
import { FINAL, timeLeft } from "../store/runs.js";
import { el } from "./dom.js";
import { FormChooser } from "./fields/form/chooser.js";
import { FormInputs } from "./fields/form/inputs.js";
import { FormResults } from "./fields/form/results.js";
import { left, percent } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Command} Command */
/** @typedef {import("../store/runs.js").Job} Job */

/** Below this width the form is what is shown first. */
const NARROW = "(max-width: 699px)";
const SECOND = 1000;

/** @type {WeakMap<Editor, FormView>} */
const forms = new WeakMap();

/** @type {readonly Command[]} */
export const COMMANDS = [
  {
    id: "view.form",
    title: "Form or canvas",
    group: "View",
    keys: ["Mod+Alt+F"],
    typing: true,
    run: (editor) => forms.get(editor)?.toggle(),
  },
  {
    id: "form.choose",
    title: "Choose the form's fields",
    group: "View",
    keys: [],
    when: (editor) => editor.session.document.nodes.size > 0,
    run: (editor) => forms.get(editor)?.choose(),
  },
];

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const form = new FormView(editor, host);
  forms.set(editor, form);
  return form;
}

class FormView {
  #frame = 0;
  #choosing = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** What is not to be reached while the form lies over it. @type {HTMLElement[]} */
  #below = [];

  /** @param {Editor} editor @param {HTMLElement} host */
  constructor(editor, host) {
    this.editor = editor;
    this.host = host;
    this.inputs = new FormInputs(editor, () => this.choose());
    this.results = new FormResults(editor);
    this.chooser = new FormChooser(editor, () => this.choose(false));
    this.title = el("h2", { class: "cut" });
    this.page = el(
      "div",
      { class: "form", tabindex: -1, data: { panel: "form" } },
      this.#head(),
      el(
        "div",
        { class: "form-body" },
        el("div", { class: "form-left" }, this.inputs.element, this.chooser.element, this.#run()),
        this.results.element,
      ),
    );
    this.page.addEventListener("keydown", (event) => this.#keyed(event));
    host.append(this.page);
    const types = /** @type {const} */ ([
      "document",
      "session",
      "sessions",
      "scope",
      "catalogue",
      "problems",
      "run",
      "queue",
      "preview",
      "outputs",
    ]);
    this.offs = types.map((type) => editor.on(type, () => this.#soon()));
    const address = new URLSearchParams(location.search);
    if (address.has("form") || matchMedia(NARROW).matches) this.show();
  }

  #head() {
    return el(
      "header",
      { class: "form-head" },
      el(
        "button",
        {
          class: "button",
          type: "button",
          data: { command: "view.form" },
          title: "Back to the canvas (Escape)",
          on: { click: () => this.hide() },
        },
        icon("left"),
        "Canvas",
      ),
      this.title,
      el("span", { class: "spacer" }),
      el(
        "button",
        {
          class: "button",
          type: "button",
          data: { command: "form.choose" },
          "aria-label": "Choose fields",
          on: { click: () => this.choose(!this.#choosing) },
        },
        icon("settings"),
        el("span", { class: "form-wide", text: "Choose fields" }),
      ),
    );
  }

  #run() {
    this.button = el(
      "button",
      { class: "button primary", type: "button", data: { command: "run.run" }, on: { click: () => this.#start() } },
      icon("play"),
      el("span", { text: "Run" }),
    );
    this.cancel = el(
      "button",
      {
        class: "button",
        type: "button",
        data: { command: "run.cancel" },
        hidden: true,
        on: { click: () => this.editor.perform("run.cancel") },
      },
      icon("stop"),
      el("span", { text: "Cancel" }),
    );
    this.state = el("p", { class: "form-state", role: "status" });
    this.line = el("span", {
      class: "form-line",
      role: "progressbar",
      "aria-label": "Run",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      hidden: true,
    });
    return el("div", { class: "form-run" }, this.line, this.state, this.cancel, this.button);
  }

  get shown() {
    return !this.host.hidden;
  }

  toggle() {
    if (this.shown) this.hide();
    else this.show();
  }

  show() {
    if (this.shown) return;
    this.host.hidden = false;
    document.body.classList.add("form-open");
    // What is selected could be deleted by a key, and nobody would see it.
    this.editor.session.select([]);
    const stage = this.host.parentElement;
    this.#below = [...(stage?.children ?? [])].flatMap((one) =>
      one instanceof HTMLElement && one !== this.host && !one.inert ? [one] : [],
    );
    for (const one of this.#below) one.inert = true;
    this.#clock = setInterval(() => this.#soon(), SECOND);
    this.update();
    this.page.focus({ preventScroll: true });
  }

  hide() {
    if (!this.shown) return;
    this.host.hidden = true;
    document.body.classList.remove("form-open");
    for (const one of this.#below) one.inert = false;
    this.#below = [];
    clearInterval(this.#clock);
  }

  /** @param {boolean} [choosing] */
  choose(choosing = true) {
    this.#choosing = choosing;
    this.show();
    this.update();
  }

  #soon() {
    if (!this.shown || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.shown) this.update();
    });
  }

  update() {
    const { session } = this.editor;
    this.title.textContent = session.name ?? (session.title || "Workflow");
    this.inputs.element.hidden = this.#choosing;
    this.chooser.element.hidden = !this.#choosing;
    if (this.#choosing) this.chooser.update();
    this.inputs.update();
    this.results.update();
    this.#showRun();
  }

  #start() {
    this.editor.perform("run.run");
    if (matchMedia(NARROW).matches) this.results.element.scrollIntoView({ block: "start", behavior: "smooth" });
  }

  #showRun() {
    const { session, runs } = this.editor;
    const job = session.job === null ? undefined : runs.jobs.get(session.job);
    const busy = job !== undefined && !FINAL.has(job.state);
    const [problem] = liveOf(this.editor).problems.of(session.id);
    if (this.state) this.state.textContent = problem ? problem.message : job ? words(job) : "";
    this.state?.classList.toggle("error-text", problem !== undefined || job?.state === "failed");
    if (this.cancel) this.cancel.hidden = !busy;
    if (!this.line) return;
    this.line.hidden = !busy;
    this.line.style.setProperty("--part", percent(job?.progress ?? 0));
    this.line.setAttribute("aria-valuenow", String(Math.floor((job?.progress ?? 0) * 100)));
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "Escape") {
      if (this.#choosing) this.choose(false);
      else this.hide();
      event.preventDefault();
      event.stopPropagation();
    } else if (plain && event.key !== "Tab" && !/^F\d/.test(event.key)) {
      event.stopPropagation(); // what lies below would take it for its own
    }
  }

  destroy() {
    this.hide();
    for (const off of this.offs) off();
    cancelAnimationFrame(this.#frame);
    this.inputs.destroy();
    this.page.remove();
    forms.delete(this.editor);
  }
}

/** Say what a job does. @param {Job} job */
function words(job) {
  const time = timeLeft(job, Date.now() / 1000);
  switch (job.state) {
    case "queued":
      return job.place === null ? "Waiting for its turn" : `Waiting: ${job.place} before it`;
    case "running":
      return `${percent(job.progress)}${time === null ? "" : `, ${left(time)}`}`;
    case "waiting":
      return "It asks something: answer to go on";
    case "failed":
      return "The run failed; what went wrong stands under Problems";
    case "cancelled":
      return "Cancelled";
    default:
      return "Done";
  }
}

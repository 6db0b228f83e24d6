/** What a screen reader is told of runs, of errors and of what is selected. */

import { liveOf } from "../../api/live.js";
import { parseItem } from "../../store/names.js";
import { FINAL } from "../../store/runs.js";

/** @typedef {import("../../editor.js").Editor} Editor */

const QUARTER = 0.25;

/** @param {Editor} editor */
export function mount(editor) {
  const told = new Told(editor);
  const offs = [
    editor.on("run", (event) => event.type === "run" && told.run(event.job)),
    editor.on("selection", () => told.selection()),
    editor.on("scope", () => told.scope()),
  ];
  return { destroy: () => offs.forEach((off) => off()) };
}

class Told {
  /** The last that was told of a job: its state and the quarter that it had come to. @type {Map<string, string>} */
  #jobs = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
  }

  /** @param {string} id */
  run(id) {
    const { runs, sessions } = this.editor;
    const job = runs.jobs.get(id);
    if (job === undefined || !sessions.some((session) => session.job === id)) return;
    const quarter = job.state === "running" ? Math.floor(job.progress / QUARTER) : 0;
    const key = `${job.state} ${quarter}`;
    const before = this.#jobs.get(id);
    this.#jobs.set(id, key);
    // What ended before this page was there is no news.
    if (before === key || (before === undefined && FINAL.has(job.state) && !liveOf(this.editor).tabs.ran(id))) return;
    const name = job.name || "The run";
    const texts = { queued: `${name} waits in the queue.`, running: quarter === 0 ? `${name} has started.`
      : `${name}: ${quarter * QUARTER * 100} per cent.`, waiting: `${name} asks something.`, done: `${name} is done.`,
    failed: `${name} has failed.`, cancelled: `${name} was cancelled.` };
    this.editor.say(texts[job.state]);
  }

  /** After a while only: a marquee changes it with every move. */
  selection() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { selection, graph } = this.editor.session;
      const [first] = selection;
      if (selection.size > 1) this.editor.say(`${selection.size} selected`);
      else if (first !== undefined) this.editor.say(`${this.#name(graph, first)} selected`);
    }, 300);
  }

  /**
   * @param {import("../../store/types.js").Graph} graph
   * @param {import("../../store/types.js").Item} item
   */
  #name(graph, item) {
    const { kind, id } = parseItem(item);
    const node = kind === "node" ? graph.nodes.get(id) : undefined;
    return node ? node.view.title ?? this.editor.catalogue.type(node, graph).title : `${kind} ${id}`;
  }

  scope() {
    const path = this.editor.session.path;
    this.editor.say(path.length > 0 ? `In the subgraph ${path.at(-1)}` : "In the whole workflow");
  }
}

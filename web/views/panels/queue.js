/** The queue: what runs, what asks, what waits in which order, what has ended; and whether jobs are begun at all. */

import { liveOf } from "../../api/live.js";
import { cancelJob } from "../../commands/run.js";
import { FINAL, timeLeft } from "../../store/runs.js";
import { el, fill } from "../dom.js";
import { bytes, duration, left, percent, when } from "../format.js";
import { icon } from "../icons.js";
import { openJob } from "../output_actions.js";
import { dragRows } from "./reorder.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/runs.js").Job} Job */
/** @typedef {{element: HTMLElement, update(job: Job, now: number): void}} Row */

const ENDED = 30;
const SECOND = 1000;
const WORDS = { done: "Done", failed: "Failed", cancelled: "Cancelled" };

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const panel = new QueuePanel(editor);
  host.append(panel.element);
  return panel;
}

class QueuePanel {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    this.pause = el("button", { class: "button small", type: "button", data: { command: "queue.pause" },
      on: { click: () => editor.perform("queue.pause") } });
    this.clear = el("button", { class: "button small", type: "button", text: "Cancel all",
      data: { command: "queue.clear" }, on: { click: () => editor.perform("queue.clear") } });
    this.state = el("p", { class: "queue-state dim", role: "status" });
    this.devices = el("ul", { class: "devices" });
    this.pending = el("ol", { class: "jobs", "aria-label": "Jobs that run and wait" });
    this.ended = el("ol", { class: "jobs", "aria-label": "Jobs that have ended" });
    const run = editor.commands.get("run.run");
    const key = run === null ? "" : editor.keys.label(run);
    this.empty = el("p", { class: "empty dim" }, "Nothing runs. ", key && el("kbd", { text: key }),
      key && " runs the workflow.");
    this.element = el("div", {},
      el("div", { class: "panel-tools" }, this.state, el("span", { class: "spacer" }), this.pause, this.clear),
      this.devices, this.empty, this.pending, this.endedTitle, this.ended);
    dragRows(this.pending, (id, place) => this.#move(id, place));
    const types = /** @type {const} */ (["run", "queue", "connection"]);
    this.#offs = types.map((type) => editor.on(type, () => this.#soon()));
    this.#clock = setInterval(() => this.#soon(), SECOND);
    this.#offs.push(editor.on("connection", () => liveOf(editor).connection.state === "open" && void this.#load()));
    this.#soon();
    void this.#load();
    void this.#askRights();
  }

  #editor;
  #offs;
  #clock;
  #frame = 0;
  /** @type {Map<string, JobRow>} */
  #rows = new Map();
  endedTitle = el("h3", { class: "list-title", text: "Ended" });

  destroy() {
    for (const off of this.#offs) off();
    clearInterval(this.#clock);
    cancelAnimationFrame(this.#frame);
    this.element.remove();
  }

  /** Only admins may pause what is everybody's. */
  async #askRights() {
    const me = await this.#editor.api.me().catch(() => null);
    this.pause.hidden = me?.admin === false;
  }

  /** Jobs of before this page. */
  async #load() {
    try {
      const { items } = await this.#editor.api.jobs({ limit: ENDED, state: ["done", "failed", "cancelled"] });
      for (const job of items) if (!this.#editor.runs.jobs.has(job.id)) this.#editor.runs.applyJob(job);
      this.#soon();
    } catch (error) {
      this.#editor.fail("The queue could not be read", error);
    }
  }

  #soon() {
    if (this.#frame === 0 && this.element.checkVisibility()) this.#frame = requestAnimationFrame(() => this.#update());
    else if (this.#frame === 0 && !this.element.isConnected) this.#frame = requestAnimationFrame(() => this.#update());
  }

  #update() {
    this.#frame = 0;
    const { runs } = this.#editor;
    const pending = runs.pending();
    this.#head(pending);
    const now = Date.now() / 1000;
    this.#list(this.pending, pending, now);
    this.#list(this.ended, runs.ended().slice(0, ENDED), now);
    const there = new Set([...this.pending.children, ...this.ended.children]);
    for (const [id, row] of this.#rows) if (!there.has(row.element)) this.#rows.delete(id);
    this.endedTitle.hidden = this.ended.childElementCount === 0;
    this.empty.hidden = pending.length > 0;
  }

  /** @param {readonly Job[]} pending */
  #head(pending) {
    const { queue, devices } = this.#editor.runs;
    fill(this.pause, icon(queue.paused ? "play" : "pause"), queue.paused ? "Resume" : "Pause");
    this.pause.setAttribute("aria-pressed", String(queue.paused));
    const count = (/** @type {string} */ state) => pending.filter((job) => job.state === state).length;
    this.clear.disabled = count("queued") === 0;
    const reason = queue.reason && queue.reason !== "paused" ? `: ${queue.reason}` : "";
    const counts = `${count("running")} running · ${count("queued")} queued`;
    this.state.textContent = queue.paused ? `Paused${reason}` : counts;
    this.state.dataset.state = queue.paused ? "paused" : "open";
    fill(this.devices, ...[...devices.values()].map(deviceRow));
  }

  /** @param {HTMLElement} list @param {readonly Job[]} jobs @param {number} now */
  #list(list, jobs, now) {
    let before = list.firstElementChild;
    for (const job of jobs) {
      const row = this.#rows.get(job.id) ?? new JobRow(this.#editor, job.id);
      this.#rows.set(job.id, row);
      row.update(job, now);
      if (row.element === before) before = before.nextElementSibling;
      else list.insertBefore(row.element, before);
    }
    while (before !== null) {
      const next = before.nextElementSibling;
      before.remove();
      before = next;
    }
  }

  /** @param {string} id @param {{before?: string, after?: string}} place */
  async #move(id, place) {
    try {
      liveOf(this.#editor).tell(this.#editor.runs.applyJob(await this.#editor.api.move(id, place)));
    } catch (error) {
      this.#editor.fail("The job could not be moved", error);
      this.#soon();
    }
  }
}

class JobRow {
  /** @param {Editor} editor @param {string} id */
  constructor(editor, id) {
    this.#editor = editor;
    this.#id = id;
    this.name = el("button", { class: "job-name cut", type: "button", data: { action: "open" },
      on: { click: () => this.#open() } });
    this.text = el("span", { class: "job-text dim cut" });
    this.part = el("span", { class: "job-part" });
    this.buttons = el("span", { class: "job-buttons" });
    this.element = el("li", { class: "job", data: { job: id } },
      el("span", { class: "job-dot dot", "aria-hidden": "true" }), this.name, this.buttons, this.text, this.part);
  }

  #editor;
  #id;
  #state = "";

  /** @param {Job} job @param {number} now */
  update(job, now) {
    const { element } = this;
    const phase = job.cancelling ? "cancelling" : job.state;
    element.dataset.state = phase;
    this.name.textContent = job.name || "Untitled";
    this.name.title = "Show it on the canvas";
    this.text.textContent = textOf(job, now);
    this.text.title = job.failure?.message ?? "";
    this.part.style.setProperty("--part", String(job.state === "running" ? job.progress : 0));
    if (phase === this.#state) return;
    this.#state = phase;
    element.toggleAttribute("data-movable", job.state === "queued");
    fill(this.buttons, ...this.#actions(job));
  }

  /** @param {Job} job */
  #actions(job) {
    const button = (/** @type {string} */ action, /** @type {string} */ name, /** @type {string} */ title,
      /** @type {() => unknown} */ act) =>
      el("button", { class: "icon-button small", type: "button", "aria-label": `${title}: ${job.name || "Untitled"}`,
        data: { action, tip: title }, on: { click: () => this.#try(title, act) } }, icon(name));
    const { api } = this.#editor;
    if (FINAL.has(job.state)) {
      return [button("retry", "refresh", "Run again", () => api.retry(job.id)),
        button("delete", "trash", "Remove from the list", () => api.deleteJob(job.id))];
    }
    const cancel = job.cancelling ? [] : [button("cancel", "close", "Cancel", () => cancelJob(this.#editor, job.id))];
    if (job.state !== "queued") return cancel;
    return [button("first", "front", "Run it next", () => api.move(job.id, { end: "first" })),
      button("up", "up", "Move up", () => this.#step(-1)),
      button("down", "down", "Move down", () => this.#step(1)), ...cancel];
  }

  /** @param {number} by */
  async #step(by) {
    const queued = this.#editor.runs.queued();
    const other = queued[queued.findIndex(({ id }) => id === this.#id) + by];
    if (other) await this.#editor.api.move(this.#id, by < 0 ? { before: other.id } : { after: other.id });
  }

  /** @param {string} what @param {() => unknown} act */
  async #try(what, act) {
    try {
      await act();
    } catch (error) {
      this.#editor.fail(what, error);
    }
  }

  /** Show the tab that the job is of, else open its workflow. */
  #open() {
    const session = liveOf(this.#editor).tabs.sessionOf(this.#id);
    if (session) {
      this.#editor.select(session.id);
      return;
    }
    const name = this.#editor.runs.jobs.get(this.#id)?.name ?? "";
    void this.#try("Its workflow could not be opened", () => openJob(this.#editor, this.#id, name || "Job"));
  }
}

/** @param {import("../../api/wire.js").Device} device */
function deviceRow({ id, state, reason, memory }) {
  return el("li", { class: "device", data: { state } },
    el("span", { class: "dot", "aria-hidden": "true" }), el("span", { text: id }),
    el("span", { class: "dim cut", text: reason || state, title: reason }), el("span", { class: "spacer" }),
    el("span", { class: "dim", text: memory > 0 ? bytes(memory) : "" }));
}

/** @param {Job} job @param {number} now @returns {string} */
function textOf(job, now) {
  if (job.cancelling) return "Is being cancelled";
  if (job.state === "running") {
    const rest = timeLeft(job, now);
    const device = job.device ? ` · ${job.device}` : "";
    return `${percent(job.progress)}${rest === null ? "" : ` · ${left(rest)}`}${device}`;
  }
  if (job.state === "waiting") return job.questions[0]?.question ?? "Asks";
  if (job.state === "queued") {
    const rest = timeLeft(job, now);
    return rest === null ? "Waits" : `Waits · done in ${duration(Math.max(1, rest))}`;
  }
  const took = job.seconds > 0 ? ` · ${duration(job.seconds)}` : "";
  const ended = job.ended === null ? "" : ` · ${when(job.ended)}`;
  return job.state === "failed" ? `Failed: ${job.failure?.message ?? ""}` : `${WORDS[job.state]}${took}${ended}`;
}

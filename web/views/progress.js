/** The run button and how far the run is: in the bar, in the tab's title, in its icon. */

import { liveOf, nameOf } from "../api/live.js";
import { FINAL, timeLeft } from "../store/runs.js";
import { el } from "./dom.js";
import { Favicon } from "./favicon.js";
import { left, percent } from "./format.js";
import { goTo } from "./go_to.js";
import { icon } from "./icons.js";
import { showPanel } from "./panels/show.js";
import { MOST, noticeOf, runnerOf } from "./runner.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/runs.js").Job} Job */
/** @typedef {import("../store/session.js").Session} Session */
/** @typedef {"idle" | "sending" | "queued" | "running" | "waiting" | "cancelling"} Phase */

const SECOND = 1000;

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const bar = new RunBar(editor);
  host.append(bar.element);
  return bar;
}

class RunBar {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    const button = (/** @type {string} */ command, /** @type {string} */ name, /** @type {string} */ title) =>
      el("button", { class: "icon-button", type: "button", "aria-label": title, data: { command, tip: title },
        on: { click: () => editor.perform(command) } }, icon(name));
    this.run = el("button", { class: "button primary run-button", type: "button",
      data: { command: "run.run", tip: "Run" }, on: { click: () => editor.perform("run.run") } },
      icon("play"), el("span", { text: "Run" }));
    this.count = el("input", { class: "input run-count", type: "number", min: "1", max: String(MOST), value: "1",
      "aria-label": "How many runs", data: { tip: "How many runs" }, on: { change: () => this.#setCount() } });
    this.front = button("run.front", "front", "Run before all that waits");
    this.onChange = button("run.onChange", "refresh", "Run on every change");
    this.cancel = button("run.cancel", "stop", "Cancel the run");
    this.text = el("span", { class: "run-text cut" });
    this.line = el("span", { class: "run-line", role: "progressbar", "aria-label": "Run", hidden: true },
      el("span", { class: "run-part" }));
    this.element = el("div", { class: "run-bar", data: { state: "idle" } }, this.text, this.run, this.count, this.front,
      this.onChange, this.cancel, this.line);
    this.#offs = /** @type {const} */ (["run", "queue", "session", "sessions", "document", "connection"]).map((type) =>
      editor.on(type, () => this.#soon()));
    this.#clock = setInterval(() => this.#tick(), SECOND);
    document.addEventListener("visibilitychange", this.#seen);
    this.#update();
  }

  #editor;
  #offs;
  #clock;
  #favicon = new Favicon();
  #frame = 0;
  /** What has ended while nobody looked. */
  #news = "";
  /** @type {Map<string, string>} */
  #states = new Map();
  #seen = () => {
    if (document.visibilityState === "visible") this.#news = "";
    this.#soon();
  };

  destroy() {
    for (const off of this.#offs) off();
    clearInterval(this.#clock);
    cancelAnimationFrame(this.#frame);
    document.removeEventListener("visibilitychange", this.#seen);
    this.element.remove();
  }

  #setCount() {
    const count = Math.round(Number(this.count.value));
    runnerOf(this.#editor).count = Number.isFinite(count) ? Math.min(MOST, Math.max(1, count)) : 1;
    this.count.value = String(runnerOf(this.#editor).count);
  }

  #tick() {
    if (this.#job()?.state === "running") this.#soon();
  }

  /** However much happens, the bar is drawn once a frame; in a hidden tab there are no frames, but a title. */
  #soon() {
    if (document.visibilityState === "hidden") this.#update();
    else if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#update());
  }

  /** The job that is told of: the open tab's, else whichever runs. @returns {Job | undefined} */
  #job() {
    const { runs, session } = this.#editor;
    const own = session.job === null ? undefined : runs.jobs.get(session.job);
    return own && !FINAL.has(own.state) ? own : runs.pending().find(({ state }) => state === "running");
  }

  #update() {
    this.#frame = 0;
    const job = this.#job();
    const phase = this.#phase(job);
    const now = Date.now() / 1000;
    const part = job?.state === "running" ? job.progress : 0;
    this.element.dataset.state = phase;
    this.text.textContent = this.#words(phase, job, now);
    this.cancel.disabled = !(this.#editor.commands.get("run.cancel")?.when?.(this.#editor) ?? false);
    this.run.disabled = this.front.disabled = this.#editor.session.document.nodes.size === 0;
    this.onChange.setAttribute("aria-pressed", String(runnerOf(this.#editor).onChange));
    this.line.hidden = phase === "idle";
    this.line.setAttribute("aria-valuenow", String(Math.floor(part * 100)));
    this.line.style.setProperty("--part", String(part));
    this.#tellOutside(job, phase, part);
    this.#listen();
  }

  /** @param {Job | undefined} job @returns {Phase} */
  #phase(job) {
    if (liveOf(this.#editor).outbox.of(this.#editor.session.id).length > 0) return "sending";
    if (job === undefined || FINAL.has(job.state)) return "idle";
    if (job.cancelling) return "cancelling";
    return job.state === "running" ? "running" : job.state === "waiting" ? "waiting" : "queued";
  }

  /** @param {Phase} phase @param {Job | undefined} job @param {number} now */
  #words(phase, job, now) {
    const waiting = this.#editor.runs.queued().length;
    const more = waiting > 0 && phase === "running" ? ` · ${waiting} more` : "";
    const rest = job === undefined ? null : timeLeft(job, now);
    const there = liveOf(this.#editor).connection.state === "open";
    if (phase === "sending") return there ? "Sending" : "Waits for the server";
    if (phase === "cancelling") return "Cancelling";
    if (phase === "waiting") return "Asks you something";
    if (phase === "queued") return this.#editor.runs.queue.paused ? "Queue paused" : place(job?.place ?? null);
    if (phase === "running" && job) return `${percent(job.progress)}${rest === null ? "" : ` · ${left(rest)}`}${more}`;
    return "";
  }

  /**
   * Tell in the tab's title and icon how it goes.
   * @param {Job | undefined} job
   * @param {Phase} phase
   * @param {number} part
   */
  #tellOutside(job, phase, part) {
    const name = (job && phase !== "idle" && job.name) || nameOf(this.#editor.session) || "Untitled";
    const sign = phase === "running" ? percent(part) : phase === "waiting" ? "?" : phase === "idle" ? this.#news : "";
    const title = `${sign ? `${sign} ` : ""}${name} – nodegraph`;
    if (document.title !== title) document.title = title;
    this.#favicon.show(phase === "running" ? part : null, this.#color(phase));
  }

  /** @param {Phase} phase */
  #color(phase) {
    if (phase === "waiting") return "--warn";
    if (phase === "idle" && this.#news === "✕") return "--danger";
    if (phase === "idle" && this.#news === "✓") return "--ok";
    return phase === "running" ? "--accent" : null;
  }

  /** Tell how the runs of this page end, in the title too while the page is hidden. */
  #listen() {
    const { runs, sessions } = this.#editor;
    for (const session of sessions) {
      const job = session.job === null ? undefined : runs.jobs.get(session.job);
      if (job === undefined) continue;
      const before = this.#states.get(job.id);
      // What ended before this page was there is no news; what this page ran may have ended before it was looked at.
      if (before === undefined && !liveOf(this.#editor).tabs.ran(job.id)) {
        if (!FINAL.has(job.state)) this.#states.set(job.id, job.state);
        continue;
      }
      this.#states.set(job.id, job.state);
      if (before === job.state) continue;
      this.#told(session, job);
      if (document.visibilityState !== "hidden" || !FINAL.has(job.state)) continue;
      this.#news = job.state === "done" ? "✓" : "✕";
    }
  }

  /** Whoever has to do something is told, and led to where. @param {Session} session @param {Job} job */
  #told(session, job) {
    const failed = job.state === "failed";
    if (!failed && job.state !== "waiting") return;
    const [question] = job.questions;
    const what = failed ? `has failed: ${job.failure?.message ?? ""}` : `asks you: ${question?.question ?? ""}`;
    const node = failed ? (job.failure?.node ?? null) : (question?.node ?? null);
    this.#editor.notify({
      text: `${job.name || "The run"} ${what}`,
      kind: failed ? "error" : "info",
      ...(failed && { id: noticeOf(session) }),
      action: { title: "Show", run: () => this.#show(session, node) },
    });
  }

  /** @param {Session} session @param {string | null} node */
  #show(session, node) {
    this.#editor.select(session.id);
    if (node === null) showPanel(this.#editor, "problems");
    else goTo(this.#editor, node);
  }
}

/** @param {number | null} place */
function place(place) {
  return place === null || place === 0 ? "Queued" : `Queued, ${place} before it`;
}

/** Runs the open tab: so often, in front, up to some nodes, on every change. */

import { liveOf } from "../api/live.js";
import { ApiError } from "../api/http.js";
import { FINAL } from "../store/runs.js";
import { staleNodes } from "../store/stale.js";
import { placeOf } from "./panels/problems.js";
import { showPanel } from "./panels/show.js";
import { seedsAfterRun, seedsBeforeRun } from "./fields/seeds.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/session.js").Session} Session */
/** @typedef {import("../store/types.js").Graph} Graph */

const DEBOUNCE = 350;
export const MOST = 999;
/** However many runs are queued, their seeds are one step back. */
const SEEDS = { merge: "seeds" };
/** @type {WeakMap<Editor, Runner>} */
const known = new WeakMap();

/** The id of the notice that tells why a tab's run did not go well. @param {Session} session */
export const noticeOf = (session) => `run ${session.id}`;

/** Return what runs the tabs of an editor. @param {Editor} editor @returns {Runner} */
export function runnerOf(editor) {
  const found = known.get(editor) ?? new Runner(editor);
  known.set(editor, found);
  return found;
}

class Runner {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    editor.on("document", () => this.#changed());
    editor.on("problems", () => this.#mended());
  }

  #editor;
  /** How often the next run is queued. */
  count = 1;
  /** @type {WeakSet<Session>} */
  #onChange = new WeakSet();
  #timer = 0;
  /** What each tab was when it was run, with the seeds of the next run. @type {WeakMap<Session, Graph>} */
  #ran = new WeakMap();

  /** Whether the open tab is run on every change. */
  get onChange() {
    return this.#onChange.has(this.#editor.session);
  }

  /**
   * Queue the open tab's workflow as often as `count` says.
   * @param {{front?: boolean, targets?: string[]}} [options]
   */
  async run({ front = false, targets } = {}) {
    const editor = this.#editor;
    const { session } = editor;
    const live = liveOf(editor);
    const times = this.count;
    /** @type {Promise<import("../api/wire.js").JobAnswer>[]} */
    const sent = [];
    // All are sent at once, as the tab is now: whoever edits meanwhile changes nothing of them.
    for (let time = 0; time < times; time += 1) {
      session.applyRoot("Draw seeds", (document) => seedsBeforeRun(document, editor.catalogue), SEEDS);
      sent.push(live.run(session, { targets }));
      session.applyRoot("Count seeds on", (document) => seedsAfterRun(document, editor.catalogue), SEEDS);
    }
    this.#ran.set(session, session.document);
    editor.emit({ type: "queue" });
    try {
      const jobs = await Promise.all(sent);
      if (front) for (const { id } of jobs.toReversed()) await this.#toFront(id);
      // One run alone is told of by its own news, which may be here before the answer is.
      if (times > 1) editor.say(`${times} runs are queued.`);
    } catch (error) {
      await Promise.allSettled(sent);
      this.#refused(session, error);
    }
  }

  /** Run on every change from now on, or do not any more. */
  toggleOnChange() {
    const { session } = this.#editor;
    if (this.#onChange.delete(session)) clearTimeout(this.#timer);
    else {
      this.#onChange.add(session);
      this.#changed();
    }
    this.#editor.emit({ type: "queue" });
  }

  /** @param {string} id */
  async #toFront(id) {
    try {
      liveOf(this.#editor).tell(this.#editor.runs.applyJob(await this.#editor.api.move(id, { end: "first" })));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error; // it has begun already
    }
  }

  /** @param {Session} session @param {unknown} error */
  #refused(session, error) {
    const editor = this.#editor;
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    const [first] = error.problems;
    if (first === undefined) throw error;
    const count = error.problems.length;
    const reasons = count === 1 ? ". " : `, for ${count} reasons; the first: `;
    const text = `The workflow cannot run${reasons}`;
    editor.notify({
      text: `${text}${placeOf(first)}: ${first.message}`,
      kind: "error",
      id: noticeOf(session),
      action: { title: "Show", run: () => showPanel(editor, "problems") },
    });
  }

  /** What was told of a run that did not go well holds no more. */
  #mended() {
    const { problems } = liveOf(this.#editor);
    for (const session of this.#editor.sessions) {
      if (problems.of(session.id).length === 0) this.#editor.dismiss(noticeOf(session));
    }
  }

  #changed() {
    const { session } = this.#editor;
    if (!this.#onChange.has(session)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#follow(session), DEBOUNCE);
  }

  /** Run a tab as it is now, in place of its run that has become old. @param {Session} session */
  async #follow(session) {
    const live = liveOf(this.#editor);
    if (!this.#onChange.has(session) || !this.#differs(session)) return;
    live.outbox.withdraw(session.id);
    const old = live.tabs.jobsOf(session).filter(({ state }) => !FINAL.has(state));
    for (const job of old) void this.#editor.api.cancel(job.id).catch(() => {});
    this.#ran.set(session, session.document);
    try {
      await live.run(session);
    } catch (error) {
      // While somebody types, a workflow is often not whole: the problems are marked, nobody is interrupted.
      if (!(error instanceof ApiError) && !(error instanceof DOMException)) throw error;
    }
  }

  /** Tell whether a tab gives something else than its last run. @param {Session} session */
  #differs(session) {
    const submitted = this.#ran.get(session) ?? session.submitted;
    if (submitted === null) return session.document.nodes.size > 0;
    return staleNodes(session.document, submitted).size > 0;
  }
}

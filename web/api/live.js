/**
 * What is live in the page: the server's events go into `editor.runs`, tabs learn of their jobs, jobs go out surely.
 */

import { Catalogue } from "../store/catalogue.js";
import { writeGraph } from "../store/document.js";
import { Problems } from "../store/problems.js";
import { ApiError } from "./http.js";
import { JobsOfTabs } from "./jobs_of_tabs.js";
import { Outbox } from "./outbox.js";
import { Previews } from "./previews.js";
import { browserStorage } from "./storage.js";
import { EventStream } from "./stream.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").EditorEvent} EditorEvent */
/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {import("../store/session.js").Session} Session */
/** @typedef {import("./client.js").Errand} Errand */
/** @typedef {import("./wire.js").JobAnswer} JobAnswer */
/** @typedef {{state: "connecting" | "open" | "down" | "denied", retryAt: number}} Link */

/** Jobs that are asked for one by one after the server could not tell what became of them. */
const MOST_LOST = 40;
/** @type {WeakMap<Editor, Live>} */
const lives = new WeakMap();

/**
 * Return what is live of an editor; it begins the first time.
 * @param {Editor} editor
 * @returns {Live}
 */
export function liveOf(editor) {
  let live = lives.get(editor);
  if (live === undefined) {
    live = new Live(editor);
    lives.set(editor, live);
  }
  return live;
}

class Live {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    this.problems = new Problems();
    this.previews = new Previews((job, node) => editor.emit({ type: "preview", job, node }));
    this.outbox = new Outbox(editor.api, browserStorage("sessionStorage"), () => editor.emit({ type: "queue" }));
    this.tabs = new JobsOfTabs(editor);
    this.#offs = [
      editor.on("document", () => this.#edited()),
      editor.on("session", () => this.#edited()),
      editor.on("sessions", () => this.#meet()),
    ];
    this.#stream = new EventStream({
      message: (message) => this.#take(message),
      preview: (preview) => this.previews.take(preview),
      state: (state, retryIn) => this.#connected(state, retryIn),
    });
    this.#meet();
    for (const errand of this.outbox.recover()) {
      void this.submit(errand).catch((error) => editor.fail(`“${errand.name || "A run"}” was not queued`, error));
    }
  }

  #editor;
  #offs;
  #stream;
  /** @type {Link} */
  connection = { state: "connecting", retryAt: 0 };
  #losses = 0;
  #etag = "";
  /** @type {Promise<void>} */
  #reading = Promise.resolve();
  /** @type {WeakMap<Session, Graph>} */
  #seen = new WeakMap();
  /** @type {WeakSet<Session>} */
  #met = new WeakSet();

  /** Connect at once. */
  retry() {
    this.#stream.retryNow();
  }

  close() {
    this.#stream.close();
    for (const off of this.#offs) off();
    lives.delete(this.#editor);
  }

  /**
   * Queue a tab's workflow as it is.
   * @param {Session} session
   * @param {{targets?: string[], document?: Graph}} [options]
   * @returns {Promise<JobAnswer>}
   */
  async run(session, { targets, document = session.document } = {}) {
    const workflow = writeGraph(document);
    const errand = { workflow, targets, client: session.id, name: nameOf(session).slice(0, 200) };
    try {
      const job = await this.submit(errand);
      this.tabs.submitted(session, job.id, document);
      // News of the job may have been here before the answer was: it may have failed already.
      const known = session.job === job.id ? this.#editor.runs.jobs.get(job.id) : undefined;
      this.setProblems(session, known?.state === "failed" ? problemsOf(known) : []);
      return job;
    } catch (error) {
      if (error instanceof ApiError && error.problems.length > 0) this.setProblems(session, error.problems);
      throw error;
    }
  }

  /** @param {Errand} errand @returns {Promise<JobAnswer>} */
  async submit(errand) {
    const job = await this.outbox.send(errand);
    this.tell(this.#editor.runs.applyJob(job));
    return job;
  }

  /** @param {Session} session @param {readonly import("../store/types.js").Problem[]} problems */
  setProblems(session, problems) {
    this.problems.set(session.id, problems);
    this.#editor.emit({ type: "problems" });
  }

  /** Ask for all about a job, and take it in; null where it is not there any more. @param {string} id */
  async fetchJob(id) {
    try {
      const job = await this.#editor.api.job(id);
      this.tell(this.#editor.runs.applyJob(job));
      return job;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        this.tell(this.#editor.runs.apply({ type: "events", events: [gone(id)] }));
        return null;
      }
      if (error instanceof ApiError) return null; // it is asked for again when the connection is back
      throw error;
    }
  }

  /** Show the job of a tab on the canvas, whoever queued it. @param {Session} session @param {string} job */
  adopt(session, job) {
    this.tabs.adopt(session, job);
    if (!this.#editor.runs.jobs.has(job)) void this.fetchJob(job);
    this.#editor.emit({ type: "run", job, node: null });
  }

  /** @param {readonly EditorEvent[]} events */
  tell(events) {
    if (events.some(({ type }) => type === "outputs")) this.tabs.forgetResults();
    for (const event of events) {
      if (event.type === "run" && event.node === null) this.#jobChanged(event.job);
    }
    for (const event of events) {
      if (event.type === "catalogue") this.#reloadCatalogue();
      else this.#editor.emit(event);
    }
  }

  /** Ask for the node types, where they are others than those that are known; once at a time. */
  readCatalogue() {
    const read = async () => {
      const answer = await this.#editor.api.nodes(this.#etag === "" ? {} : { etag: this.#etag });
      if (answer === null) return;
      this.#etag = answer.etag;
      this.#editor.catalogue = new Catalogue(answer.json);
      this.#editor.emit({ type: "catalogue" });
    };
    this.#reading = this.#reading.then(read, read);
    return this.#reading;
  }

  /** The node types may be others now; where the server cannot be asked, it is asked when it is there again. */
  #reloadCatalogue() {
    this.readCatalogue().catch((error) => {
      if (!(error instanceof ApiError)) throw error;
    });
  }

  /** @param {JsonObject} message */
  #take(message) {
    this.tell(this.#editor.runs.apply(message));
    const lost = [...this.#editor.runs.lost].slice(0, MOST_LOST);
    this.#editor.runs.lost.clear();
    for (const id of lost) void this.fetchJob(id);
    if (message.type === "snapshot") void this.tabs.recognize();
  }

  /** @param {string} id */
  #jobChanged(id) {
    const job = this.#editor.runs.jobs.get(id);
    const session = this.tabs.sessionOf(id);
    this.tabs.changed();
    if (job?.state === "running" && job.left === null && job.progress === 0) void this.#askTimeLeft(id);
    if (session === null || job === undefined || job.id !== session.job) return;
    const failed = job.state === "failed" ? problemsOf(job) : [];
    if (failed.length > 0) this.setProblems(session, failed);
  }

  /** Lists and events do not tell how long jobs like it took. @param {string} id */
  async #askTimeLeft(id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    const job = await this.#editor.api.job(id).catch(() => null);
    const known = this.#editor.runs.jobs.get(id);
    if (typeof job?.left !== "number" || known?.state !== "running") return;
    this.#editor.runs.jobs.set(id, { ...known, left: job.left, toldAt: Date.now() / 1000 });
  }
  /** @type {Set<string>} */
  #asked = new Set();

  /** @param {import("./stream.js").Connection} state @param {number} retryIn */
  #connected(state, retryIn) {
    this.connection = { state, retryAt: Date.now() + retryIn };
    if (state === "open") {
      this.#losses = 0;
      this.outbox.flush();
      this.#reloadCatalogue();
    } else {
      this.#losses += 1;
      if (this.#losses % 3 === 2) void this.#lookWhy();
    }
    this.#editor.emit({ type: "connection" });
  }

  /** A browser does not tell why a websocket was refused. */
  async #lookWhy() {
    const why = await this.#editor.api.me().catch((error) => error);
    if (why instanceof ApiError && why.status === 401) {
      this.connection = { ...this.connection, state: "denied" };
      this.#editor.emit({ type: "connection" });
    } else if (!(why instanceof Error)) this.retry();
  }

  /** What an edit may have mended is no problem any more. */
  #edited() {
    const { session } = this.#editor;
    const before = this.#seen.get(session);
    this.#seen.set(session, session.document);
    if (before === undefined || before === session.document) return;
    if (this.problems.edited(session.id, before, session.document)) this.#editor.emit({ type: "problems" });
  }

  /** Tabs that are new, or were there before the page was left: ask for their last jobs. */
  #meet() {
    for (const session of this.#editor.sessions) {
      if (this.#met.has(session)) continue;
      this.#met.add(session);
      this.#seen.set(session, session.document);
      this.tabs.changed();
      // Events told of its outputs, and of its nodes, only since the page is there.
      if (session.job !== null) void this.fetchJob(session.job);
      else void this.tabs.recognize();
    }
  }
}

/** What a tab's jobs are called; "" where it has no name yet. @param {Session} session */
export function nameOf(session) {
  return session.name ?? session.title;
}

/**
 * Return why a job failed, problem by problem.
 * @param {import("../store/runs.js").Job} job
 * @returns {import("../store/types.js").Problem[]}
 */
function problemsOf({ failure }) {
  if (failure === null) return [];
  if (failure.problems.length > 0) return failure.problems;
  return [{ code: failure.code, message: failure.message, node: failure.node ?? null, field: null }];
}

/** @param {string} id @returns {JsonObject} */
function gone(id) {
  return { type: "job.deleted", job: id, seq: 0, time: 0, data: { id, state: "cancelled" } };
}

/** Which job is shown in which tab, and what each ran. */

import { readGraph, writeGraph } from "../store/document.js";
import { equal, isObject } from "../store/json.js";
import { FINAL } from "../store/runs.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {import("../store/session.js").Session} Session */
/** @typedef {import("../store/runs.js").Job} Job */
/** @typedef {import("./wire.js").Output} Output */

const REMEMBERED = 60;

export class JobsOfTabs {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
  }

  #editor;
  /** @type {Map<string, Graph>} */
  #documents = new Map();
  /** Jobs that a tab shows though another client queued them. @type {WeakMap<Session, Set<string>>} */
  #adopted = new WeakMap();
  /** @type {WeakMap<Session, {outputs: Map<string, Output[]>}>} */
  #results = new WeakMap();
  /** What jobs of others run. @type {Map<string, Promise<JsonObject | null>>} */
  #workflows = new Map();

  /** A tab's jobs: what has not begun, then the last that began first. @param {Session} session @returns {Job[]} */
  jobsOf(session) {
    const { runs } = this.#editor;
    const found = new Map(runs.ofClient(session.id).map((job) => [job.id, job]));
    for (const id of [...(this.#adopted.get(session) ?? []), session.job ?? ""]) {
      const job = runs.jobs.get(id);
      if (job) found.set(id, job);
    }
    return [...found.values()].sort((a, b) => begun(b) - begun(a) || b.seq - a.seq);
  }

  /** @param {string} id @returns {Session | null} the tab that a job is of */
  sessionOf(id) {
    const job = this.#editor.runs.jobs.get(id);
    return (
      this.#editor.sessions.find((session) => session.id === job?.client || this.#adopted.get(session)?.has(id)) ??
      this.#editor.sessions.find((session) => session.job === id) ??
      null
    );
  }

  /** Tell whether this page has queued a job. @param {string} id */
  ran(id) {
    return this.#documents.has(id);
  }

  /** Remember what a job ran. @param {Session} session @param {string} id @param {Graph} document */
  submitted(session, id, document) {
    this.#documents.set(id, document);
    for (const old of this.#documents.keys()) {
      if (this.#documents.size <= REMEMBERED) break;
      this.#documents.delete(old);
    }
    this.changed();
    if (session.job === id) session.submitted = document;
  }

  /** @param {Session} session @param {string} id */
  adopt(session, id) {
    this.#adopted.set(session, (this.#adopted.get(session) ?? new Set()).add(id));
    session.job = id;
    this.forgetResults();
    session.submitted = this.#documents.get(id) ?? null;
    void this.#learn(session, id);
  }

  /** Jobs came or went: each tab shows the one that runs or asks, else the newest that was begun. */
  changed() {
    for (const session of this.#editor.sessions) {
      const jobs = this.jobsOf(session);
      const shown =
        jobs.find(({ state }) => state === "running" || state === "waiting") ??
        jobs.find(({ started, state }) => started !== null || FINAL.has(state)) ??
        jobs[0];
      if (shown === undefined || shown.id === session.job) continue;
      session.job = shown.id;
      this.forgetResults();
      session.submitted = this.#documents.get(shown.id) ?? null;
      if (session.submitted === null) void this.#learn(session, shown.id);
    }
  }

  /** A job that runs what an open tab holds is that tab's, if nobody else shows it: the page was opened meanwhile. */
  async recognize() {
    for (const job of this.#editor.runs.pending().slice(0, 8)) {
      if (job.state === "queued" || this.sessionOf(job.id) !== null) continue;
      const asked = this.#workflows.get(job.id) ?? this.#editor.api.jobWorkflow(job.id).catch(() => null);
      this.#workflows.set(job.id, asked);
      const workflow = await asked;
      const found = workflow && this.#editor.sessions.find((session) => isFree(session) && runsThis(session, workflow));
      if (!found || this.sessionOf(job.id) !== null) continue;
      this.adopt(found, job.id);
      this.#editor.emit({ type: "run", job: job.id, node: null });
    }
  }

  /**
   * Return what a node wrote when it last wrote anything, in whichever job of the tab that was.
   * @param {Session} session
   * @param {string} node its id in jobs
   * @returns {readonly Output[]}
   */
  results(session, node) {
    let known = this.#results.get(session);
    if (known === undefined) {
      known = { outputs: this.#collect(session) };
      this.#results.set(session, known);
    }
    return known.outputs.get(node) ?? [];
  }

  /** Files came or went. */
  forgetResults() {
    this.#results = new WeakMap();
  }

  /** @param {Session} session */
  #collect(session) {
    /** @type {Map<string, Output[]>} */
    const found = new Map();
    for (const job of this.jobsOf(session)) {
      /** @type {Map<string, Output[]>} */
      const wrote = new Map();
      for (const output of this.#editor.runs.outputs(job.id)) {
        for (const node of andOuter(output.node)) wrote.set(node, [...(wrote.get(node) ?? []), output]);
      }
      for (const [node, outputs] of wrote) if (!found.has(node)) found.set(node, outputs);
    }
    return found;
  }

  /** Ask for what a job ran. @param {Session} session @param {string} id */
  async #learn(session, id) {
    const workflow = await this.#editor.api.jobWorkflow(id).catch(() => null);
    if (workflow === null || session.job !== id || session.submitted !== null) return;
    try {
      session.submitted = readGraph(workflow);
    } catch {
      return; // a workflow of another form: nothing can be told of what changed since
    }
    this.#editor.emit({ type: "run", job: id, node: null });
  }
}

/** When a job was begun, or was ended without; what waits is newer than all others. @param {Job} job */
function begun({ started, ended }) {
  return started ?? ended ?? Infinity;
}

/** A node and all instances that it is in. @param {string} id */
function andOuter(id) {
  const parts = id.split("/");
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

/** @param {Session} session */
function isFree(session) {
  return session.job === null && session.document.nodes.size > 0;
}

/**
 * Tell whether a tab gives what a workflow gives, however they are drawn.
 * @param {Session} session
 * @param {JsonObject} other
 */
function runsThis({ document }, other) {
  const own = writeGraph(document);
  return equal(own.nodes ?? {}, other.nodes ?? {}) && equal(withoutViews(own.subgraphs), withoutViews(other.subgraphs));
}

/** @param {Json | undefined} subgraphs @returns {Json} */
function withoutViews(subgraphs) {
  if (!isObject(subgraphs)) return null;
  return Object.entries(subgraphs).map(([name, graph]) => {
    if (!isObject(graph)) return [name, graph];
    const { view: _, subgraphs: inner, ...rest } = graph;
    return [name, rest, withoutViews(inner)];
  });
}

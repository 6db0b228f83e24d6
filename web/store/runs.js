/**
 * What is known of jobs: the server's messages go in, what changed comes out. No DOM, no network.
 *
 * A message tells a thing whole, so that being told twice changes nothing: this is what makes going on after a broken
 * connection safe.
 */

import { isObject } from "./json.js";
import { aggregate, IDLE, JobNodes, nodeOf } from "./nodestates.js";

/** @typedef {import("./types.js").Json} Json */
/** @typedef {import("./types.js").JsonObject} JsonObject */
/** @typedef {import("./types.js").EditorEvent} EditorEvent */
/** @typedef {import("./types.js").JobState} JobState */
/** @typedef {import("./types.js").NodeRun} NodeRun */
/** @typedef {import("../api/wire.js").JobSummary} JobSummary */
/** @typedef {import("../api/wire.js").LiveJob} LiveJob */
/** @typedef {import("../api/wire.js").Output} Output */
/** @typedef {import("../api/wire.js").Device} Device */
/** @typedef {import("../api/wire.js").QueueState} QueueState */
/**
 * A job as it is known here. `left`: seconds till it ends, as they were told at the time `toldAt`; `progress`: 0 to 1;
 * `ahead`: how many seconds the clock here is ahead of the server's, by which `started` is told.
 * @typedef {JobSummary & {progress: number, left: number | null, toldAt: number, ahead: number, place: number | null,
 *   cancelling: boolean}} Job
 */

/** @type {ReadonlySet<JobState>} */
export const FINAL = new Set(["done", "failed", "cancelled"]);
/** Ended jobs that are remembered; the history asks the server for more. */
const REMEMBERED = 300;

/** @type {ReadonlySet<unknown>} */
const STATES = new Set(["queued", "running", "waiting", ...FINAL]);

/** What the server leaves out where there is nothing to tell, and what one of another version may not tell. */
const BARE = { batch: null, index: null, retry_of: null, device: null, started: null, ended: null, failure: null,
  seq: 0, user: "", name: "", client: "", nodes: 0, priority: 0, position: 0, attempts: 0, created: 0, seconds: 0,
  questions: [] };

export class Runs {
  /** @type {Map<string, Job>} */
  jobs = new Map();
  /** @type {Map<string, Device>} */
  devices = new Map();
  /** @type {QueueState} */
  queue = { paused: false, reason: null, queued: 0, running: 0, waiting: 0 };
  /** Jobs that a snapshot did not hold, though they had not ended: whoever has a network asks for them. */
  /** @type {Set<string>} */
  lost = new Set();
  /** Saved workflows as others told of them: name to the ETag, null where it was deleted. */
  /** @type {Map<string, string | null>} */
  saved = new Map();
  /** The least that an event's time was ever behind the clock here: what took long says more. */
  #ahead = Infinity;
  /** @type {Map<string, JobNodes>} */
  #nodes = new Map();
  /** @type {Map<string, Output[]>} */
  #outputs = new Map();

  /**
   * Take in a message of the server.
   * @param {JsonObject} message a `snapshot` or `events`
   * @param {number} [now] seconds since 1970
   * @returns {EditorEvent[]} what changed, each once
   */
  apply(message, now = Date.now() / 1000) {
    /** @type {Map<string, EditorEvent>} */
    const told = new Map();
    const tell = (/** @type {EditorEvent} */ event) =>
      told.set(event.type === "run" ? `run ${event.job} ${event.node}` : event.type, event);
    if (message.type === "snapshot") this.#restore(object(message.data), now, tell);
    if (message.type === "events") for (const event of list(message.events)) this.#take(object(event), now, tell);
    return [...told.values()];
  }

  /**
   * Take in all about a job, as the server answers it.
   * @param {JobSummary & Partial<import("../api/wire.js").JobAnswer>} told
   * @param {number} [now]
   * @returns {EditorEvent[]}
   */
  applyJob(told, now = Date.now() / 1000) {
    this.lost.delete(told.id);
    // An answer may have been written before the events that came meanwhile.
    if (isOlder(told, this.jobs.get(told.id))) return [];
    this.#setJob(told, now);
    if (told.node_states?.length) this.#nodesOf(told.id).restore(told.node_states.filter(isObject));
    if (told.outputs?.length) this.#outputs.set(told.id, ordered(told.outputs.filter(isOutput).map(fullOutput)));
    if (FINAL.has(told.state)) this.#nodesOf(told.id).settle(told.state);
    return [{ type: "run", job: told.id, node: null }, { type: "queue" }, { type: "outputs" }];
  }

  /**
   * Return what a node of a job does; of an instance of a subgraph, what all in it do together.
   * @param {string | null} job
   * @param {string} id with `/` between an instance and what is in it
   * @param {number} [expected] how many nodes are in the instance
   * @returns {NodeRun}
   */
  node(job, id, expected = 0) {
    const nodes = job === null ? undefined : this.#nodes.get(job);
    if (job === null || nodes === undefined) return IDLE;
    const live = !FINAL.has(this.jobs.get(job)?.state ?? "done");
    return aggregate(nodes.own(id), nodes.within(id), live ? expected : 0);
  }

  /** The nodes of a job of which anything was told. @param {string} job @returns {ReadonlyMap<string, NodeRun>} */
  nodes(job) {
    return this.#nodes.get(job)?.all ?? new Map();
  }

  /** Return what a job wrote so far, in order. @param {string | null} job @returns {readonly Output[]} */
  outputs(job) {
    return (job === null ? undefined : this.#outputs.get(job)) ?? [];
  }

  /** Return a client's jobs, newest first. @param {string} client @returns {Job[]} */
  ofClient(client) {
    return [...this.jobs.values()].filter((job) => job.client === client).sort((a, b) => b.seq - a.seq);
  }

  /** Return the jobs that have not ended: what runs, what asks, then what waits in the order in which it may begin. */
  pending() {
    const rank = { running: 0, waiting: 1, queued: 2, done: 3, failed: 3, cancelled: 3 };
    const place = (/** @type {Job} */ a, /** @type {Job} */ b) => a.position - b.position || a.seq - b.seq;
    return [...this.jobs.values()]
      .filter((job) => !FINAL.has(job.state))
      .sort((a, b) => rank[a.state] - rank[b.state] || b.priority - a.priority || place(a, b));
  }

  /** Return the jobs that wait for their turn, in the order in which they may begin. */
  queued() {
    return this.pending().filter(({ state }) => state === "queued");
  }

  /** Return the jobs that ended, the last one first. */
  ended() {
    return [...this.jobs.values()]
      .filter((job) => FINAL.has(job.state))
      .sort((a, b) => (b.ended ?? 0) - (a.ended ?? 0) || b.seq - a.seq);
  }

  /**
   * @param {JsonObject} data
   * @param {number} now
   * @param {(event: EditorEvent) => unknown} tell
   */
  #restore(data, now, tell) {
    const open = new Set([...this.jobs.values()].filter((job) => !FINAL.has(job.state)).map((job) => job.id));
    for (const told of list(data.jobs).filter(isJob)) {
      const job = /** @type {LiveJob} */ (/** @type {unknown} */ (told)); // as the server's API says
      open.delete(job.id);
      this.applyJob(job, now);
      tell({ type: "run", job: job.id, node: null });
    }
    for (const id of open) this.lost.add(id);
    this.devices.clear();
    for (const device of list(data.devices)) this.#setDevice(object(device));
    this.#setQueue(object(data.queue));
    tell({ type: "queue" });
    tell({ type: "outputs" });
    tell({ type: "files" });
  }

  /**
   * @param {JsonObject} event
   * @param {number} now
   * @param {(event: EditorEvent) => unknown} tell
   */
  #take(event, now, tell) {
    if (typeof event.time === "number") this.#ahead = Math.min(this.#ahead, now - event.time);
    const [what, kind] = String(event.type).split(".");
    const data = object(event.data);
    const job = typeof event.job === "string" ? event.job : "";
    if (what === "job" && isJob(data)) this.#takeJob(kind, data, now, tell);
    else if (what === "node" && job !== "") this.#takeNode(job, kind, data, now, tell);
    else if (what === "output" && isOutput(data)) this.#takeOutput(kind, data, tell);
    else if (what === "queue") {
      this.#setQueue(data);
      tell({ type: "queue" });
    } else if (what === "device") {
      this.#setDevice(data);
      tell({ type: "queue" });
    } else if (what === "batch") tell({ type: "queue" });
    else if (what === "workflow") {
      this.saved.set(String(data.name), kind === "deleted" ? null : String(data.etag));
      tell({ type: "files" });
    } else if (what === "file") tell({ type: "files" });
    else if (what === "nodes") tell({ type: "catalogue" });
  }

  /**
   * @param {string} kind
   * @param {JsonObject} data
   * @param {number} now
   * @param {(event: EditorEvent) => unknown} tell
   */
  #takeJob(kind, data, now, tell) {
    const summary = /** @type {JobSummary} */ (/** @type {unknown} */ (data)); // as the server's API says
    if (kind === "deleted") {
      this.#forget(summary.id);
      tell({ type: "outputs" });
    } else {
      this.#setJob(summary, now);
      // Another attempt begins anew; an answered question goes on, and what ran before is told again from the cache.
      if (kind === "running") this.#nodes.set(summary.id, new JobNodes());
      if (FINAL.has(summary.state)) this.#nodesOf(summary.id).settle(summary.state);
      if (kind === "done") tell({ type: "outputs" });
    }
    tell({ type: "run", job: summary.id, node: null });
    tell({ type: "queue" });
  }

  /**
   * @param {string} id
   * @param {string} kind
   * @param {JsonObject} data
   * @param {number} now
   * @param {(event: EditorEvent) => unknown} tell
   */
  #takeNode(id, kind, data, now, tell) {
    const node = String(data.node);
    const job = this.jobs.get(id);
    this.#nodesOf(id).take(node, kind, data);
    if (job && typeof data.progress === "number") {
      const progress = Math.max(job.progress, data.progress);
      this.jobs.set(id, { ...job, progress, ahead: this.#clock(), ...keepLeft(job, now) });
    }
    tell({ type: "run", job: id, node });
  }

  /**
   * @param {string} kind
   * @param {JsonObject} data
   * @param {(event: EditorEvent) => unknown} tell
   */
  #takeOutput(kind, data, tell) {
    const output = fullOutput(/** @type {Output} */ (/** @type {unknown} */ (data))); // as the server's API says
    const others = this.outputs(output.job).filter(({ id }) => id !== output.id);
    this.#outputs.set(output.job, kind === "added" ? ordered([...others, output]) : others);
    tell({ type: "outputs" });
    tell({ type: "run", job: output.job, node: output.node });
  }

  /**
   * @param {JobSummary & Partial<LiveJob>} told
   * @param {number} now
   */
  #setJob(told, now) {
    const known = this.jobs.get(told.id);
    const same = known !== undefined && known.state === told.state;
    const { node_states: _, ...rest } = told;
    const progress = told.state === "done" ? 1 : (told.progress ?? (same ? known.progress : 0));
    const place = told.state === "queued" ? (told.place ?? known?.place ?? null) : null;
    const time = told.left === undefined && same ? keepLeft(known, now) : { left: told.left ?? null, toldAt: now };
    const cancelling = told.cancelling ?? (same && known.cancelling);
    this.jobs.set(told.id, { ...BARE, ...rest, progress, place, cancelling, ahead: this.#clock(), ...time });
    if (!known || FINAL.has(told.state)) this.#trim();
  }

  /** How many seconds the clock here is ahead of the server's, as far as that is known. */
  #clock() {
    return Number.isFinite(this.#ahead) ? this.#ahead : 0;
  }

  /** @param {string} job */
  #nodesOf(job) {
    const known = this.#nodes.get(job);
    if (known) return known;
    const made = new JobNodes();
    this.#nodes.set(job, made);
    return made;
  }

  #trim() {
    if (this.jobs.size <= REMEMBERED * 1.2) return;
    for (const job of this.ended().slice(REMEMBERED)) this.#forget(job.id);
  }

  /** @param {string} job */
  #forget(job) {
    this.jobs.delete(job);
    this.#nodes.delete(job);
    this.#outputs.delete(job);
    this.lost.delete(job);
  }

  /** @param {JsonObject} data */
  #setDevice(data) {
    const device = /** @type {Device} */ (/** @type {unknown} */ (data)); // as the server's API says
    if (typeof device.id === "string") this.devices.set(device.id, device);
  }

  /** @param {JsonObject} data */
  #setQueue(data) {
    const queue = /** @type {QueueState} */ (/** @type {unknown} */ (data)); // as the server's API says
    const { paused, reason, queued, running, waiting } = queue;
    this.queue = { paused, reason, queued, running, waiting };
  }
}

/**
 * Tell whether something is a job in a state that is known here: a newer server may have others.
 * @param {Json} told
 */
function isJob(told) {
  return isObject(told) && typeof told.id === "string" && STATES.has(told.state);
}

/** @param {unknown} told */
function isOutput(told) {
  const output = object(/** @type {Json} */ (told)); // as messages are read
  return typeof output.id === "string" && typeof output.job === "string" && typeof output.node === "string";
}

/**
 * Tell whether a job was as it is told before it was as it is known: an attempt runs, asks, waits for the next one.
 * @param {JobSummary} told
 * @param {Job | undefined} known
 */
function isOlder(told, known) {
  if (known === undefined || FINAL.has(told.state)) return false;
  if (FINAL.has(known.state) || told.attempts < known.attempts) return true;
  const order = ["running", "waiting", "queued"];
  return told.attempts === known.attempts && order.indexOf(told.state) < order.indexOf(known.state);
}

/**
 * Return an output with what the server leaves out where there is nothing to tell.
 * @param {Output} output
 * @returns {Output}
 */
export function fullOutput(output) {
  return { ...output, width: output.width ?? null, height: output.height ?? null, thumbnail: output.thumbnail ?? null };
}

/** @param {Job} job @param {number} now @returns {{left: number | null, toldAt: number}} */
function keepLeft({ left, toldAt }, now) {
  return left === null ? { left, toldAt: now } : { left: Math.max(0, left - (now - toldAt)), toldAt: now };
}

/** @param {readonly Output[]} outputs */
function ordered(outputs) {
  return [...outputs].sort((a, b) => a.seq - b.seq);
}

/** @param {Json | undefined} value @returns {JsonObject} */
function object(value) {
  return isObject(value) ? value : {};
}

/** @param {Json | undefined} value */
function list(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * Estimate how many seconds a job goes on: by how far it is, once that says something, else by jobs like it.
 * @param {Job} job
 * @param {number} now seconds since 1970
 * @returns {number | null} null where nothing is known
 */
export function timeLeft(job, now) {
  const told = job.left === null ? null : Math.max(0, job.left - (now - job.toldAt));
  if (job.state !== "running" || job.started === null) return job.state === "queued" ? told : null;
  const passed = now - job.ahead - job.started;
  if (job.progress < 0.05 || passed < 0.5) return told;
  const paced = (passed * (1 - job.progress)) / job.progress;
  return told === null ? paced : told * (1 - job.progress) + paced * job.progress;
}

export { nodeOf };

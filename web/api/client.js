/** What the server can be asked, one method each. See the server's `openapi.json` for what its answers hold. */

import { isObject, parse } from "../store/json.js";
import { fullOutput } from "../store/runs.js";
import { ask, partOf, pathOf, request } from "./http.js";
import { upload } from "./upload.js";

export { ApiError } from "./http.js";

/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {import("./wire.js").JobAnswer} JobAnswer */
/** @typedef {import("./wire.js").JobSummary} JobSummary */
/** @typedef {import("./wire.js").Output} Output */
/** @typedef {import("./wire.js").QueueAnswer} QueueAnswer */
/** @typedef {import("./wire.js").InputFile} InputFile */
/** @typedef {import("./wire.js").SavedWorkflow} SavedWorkflow */
/** @typedef {import("./wire.js").Revision} Revision */
/** @typedef {import("./wire.js").Plan} Plan */
/** @typedef {import("./http.js").Query} Query */
/** @template T @typedef {{items: T[], cursor: string | null}} Part A part of a list; no cursor: it was the last. */
/**
 * @typedef {Object} Work
 * @property {JsonObject} [workflow]
 * @property {string} [workflow_name] a saved workflow, instead
 * @property {JsonObject} [inputs]
 * @property {string[]} [targets]
 */
/**
 * @typedef {Work & {name?: string, priority?: number, client?: string, key?: string, timeout?: number}} Errand
 */

/** The server's API. Every method raises `ApiError` where the server refuses or is not reached. */
export class Api {
  // Jobs

  /** @param {Errand} errand @param {AbortSignal} [signal] @returns {Promise<JobAnswer>} */
  submit(errand, signal) {
    return ask("POST", "/jobs", { json: body(errand), signal });
  }

  /** Tell which nodes would run, and why. @param {Work} work @param {AbortSignal} [signal] @returns {Promise<Plan>} */
  plan(work, signal) {
    return ask("POST", "/jobs/plan", { json: body(work), signal });
  }

  /** @param {Query} [query] `state`, `text`, `batch`, `cursor`, `limit` @returns {Promise<Part<JobSummary>>} */
  jobs(query = {}) {
    return ask("GET", "/jobs", { query });
  }

  /** @param {string} id @returns {Promise<JobAnswer>} */
  job(id) {
    return ask("GET", `/jobs/${partOf(id)}`);
  }

  /** @param {string} id @returns {Promise<JsonObject>} */
  jobWorkflow(id) {
    return ask("GET", `/jobs/${partOf(id)}/workflow`);
  }

  /** @param {string} id @returns {Promise<JobAnswer>} */
  cancel(id) {
    return ask("POST", `/jobs/${partOf(id)}/cancel`);
  }

  /** @param {string} id @returns {Promise<JobAnswer>} */
  retry(id) {
    return ask("POST", `/jobs/${partOf(id)}/retry`);
  }

  /** @param {string} id @param {JsonObject} answers node to what is chosen @returns {Promise<JobAnswer>} */
  answer(id, answers) {
    return ask("POST", `/jobs/${partOf(id)}/answers`, { json: { answers } });
  }

  /**
   * Move a queued job.
   * @param {string} id
   * @param {{priority?: number, before?: string, after?: string, end?: "first" | "last"}} place
   * @returns {Promise<JobAnswer>}
   */
  move(id, place) {
    return ask("PATCH", `/jobs/${partOf(id)}`, { json: body(place) });
  }

  /** @param {string} id @param {{outputs?: boolean}} [options] @returns {Promise<null>} */
  deleteJob(id, { outputs = false } = {}) {
    return ask("DELETE", `/jobs/${partOf(id)}`, { query: { outputs } });
  }

  // The queue

  /** @returns {Promise<QueueAnswer>} */
  queue() {
    return ask("GET", "/queue");
  }

  /** @param {string} [device] one device; without it all @returns {Promise<QueueAnswer>} */
  pause(device) {
    return ask("POST", "/queue/pause", { json: device === undefined ? {} : { device } });
  }

  /** @param {string} [device] @returns {Promise<QueueAnswer>} */
  resume(device) {
    return ask("POST", "/queue/resume", { json: device === undefined ? {} : { device } });
  }

  /** Cancel all queued jobs of the user. @returns {Promise<{count: number}>} */
  clear() {
    return ask("POST", "/queue/clear");
  }

  // Outputs

  /** @param {Query} [query] `job`, `node`, `kind`, `cursor`, `limit` @returns {Promise<Part<Output>>} */
  async outputs(query = {}) {
    /** @type {Part<Output>} */
    const { items, cursor } = await ask("GET", "/outputs", { query });
    return { items: items.map(fullOutput), cursor: cursor ?? null };
  }

  /** @param {string} id @returns {Promise<null>} */
  deleteOutput(id) {
    return ask("DELETE", `/outputs/${partOf(id)}`);
  }

  // What there is to make workflows of

  /**
   * List the node types; null where they are those that `etag` stands for.
   * @param {{fresh?: boolean, etag?: string}} [options]
   * @returns {Promise<{json: JsonObject, etag: string} | null>}
   */
  async nodes({ fresh = false, etag } = {}) {
    /** @type {{[name: string]: string}} */
    const headers = etag === undefined ? {} : { "If-None-Match": etag };
    const answer = await request("GET", "/nodes", { query: fresh ? { fresh } : {}, headers });
    if (answer.status === 304) return null;
    return { json: readObject(answer.text), etag: answer.headers.get("ETag") ?? "" };
  }

  /** @returns {Promise<{plugins: JsonObject[], skipped: JsonObject}>} */
  plugins() {
    return ask("GET", "/plugins");
  }

  /** The modules with custom elements that plugins bring. @returns {Promise<JsonObject>} */
  extensions() {
    return ask("GET", "/extensions");
  }

  /** @returns {Promise<{models: {[kind: string]: string[]}}>} */
  models() {
    return ask("GET", "/models");
  }

  /** @returns {Promise<JsonObject>} */
  templates() {
    return ask("GET", "/templates");
  }

  /** @param {string} name @returns {Promise<JsonObject>} */
  template(name) {
    return ask("GET", `/templates/${pathOf(name)}`);
  }

  // Files that workflows load

  /** @param {Query} [query] `text`, `cursor`, `limit` @returns {Promise<Part<InputFile>>} */
  files(query = {}) {
    return ask("GET", "/files", { query });
  }

  /**
   * Send a file; `InputFile.name` is what workflows load it by.
   * @param {Blob} file
   * @param {{name?: string, onProgress?: (part: number) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<InputFile>}
   */
  upload(file, options) {
    return upload(file, options);
  }

  // Saved workflows

  /** @param {Query} [query] `text`, `deleted`, `cursor`, `limit` @returns {Promise<Part<SavedWorkflow>>} */
  workflows(query = {}) {
    return ask("GET", "/workflows", { query });
  }

  /** @param {string} name @returns {Promise<{json: JsonObject, etag: string, revision: number}>} */
  async workflow(name) {
    const { text, headers } = await request("GET", `/workflows/${pathOf(name)}`);
    const revision = Number(headers.get("Nodegraph-Revision") ?? 0);
    return { json: readObject(text), etag: bare(headers.get("ETag")), revision };
  }

  /**
   * Save a workflow over the one that `etag` stands for; null: it must be new. `autosave`: nobody asked for it, so that
   * it need not be a revision of its own.
   * @param {string} name
   * @param {JsonObject} json
   * @param {string | null} etag
   * @param {{autosave?: boolean}} [options]
   * @returns {Promise<SavedWorkflow>}
   */
  saveWorkflow(name, json, etag, { autosave = false } = {}) {
    const headers = precondition(etag);
    return ask("PUT", `/workflows/${pathOf(name)}`, { json, headers, query: autosave ? { autosave } : {} });
  }

  /**
   * Write a workflow of ComfyUI's API form in ours; nothing is saved. What cannot be read is left out, and told.
   * @param {JsonObject} workflow
   * @returns {Promise<{format: string, workflow: JsonObject, problems: import("../store/types.js").Problem[]}>}
   */
  readWorkflow(workflow) {
    return ask("POST", "/workflows/read", { json: { workflow } });
  }

  /** @param {string} name @param {string} [etag] @returns {Promise<null>} */
  deleteWorkflow(name, etag) {
    return ask("DELETE", `/workflows/${pathOf(name)}`, { headers: etag === undefined ? {} : precondition(etag) });
  }

  /** @param {string} name @returns {Promise<{items: Revision[]}>} */
  revisions(name) {
    return ask("GET", "/revisions", { query: { name } });
  }

  /** @param {string} name @param {number} number @returns {Promise<JsonObject>} */
  revision(name, number) {
    return ask("GET", `/revisions/${number}`, { query: { name } });
  }

  /** @param {string} name @param {number} number @param {string} [etag] @returns {Promise<SavedWorkflow>} */
  restoreRevision(name, number, etag) {
    const headers = etag === undefined ? {} : precondition(etag);
    return ask("POST", `/revisions/${number}/restore`, { query: { name }, headers });
  }

  // The server

  /** @returns {Promise<JsonObject>} */
  system() {
    return ask("GET", "/system");
  }

  /** @returns {Promise<{user: string, admin: boolean, via: string}>} */
  me() {
    return ask("GET", "/me");
  }

  /** @returns {Promise<null>} */
  logout() {
    return ask("POST", "/logout");
  }
}

/**
 * Return fields as a body: what is undefined is left out.
 * @param {object} fields
 * @returns {JsonObject}
 */
function body(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/**
 * @param {string | null} etag
 * @returns {{[name: string]: string}}
 */
function precondition(etag) {
  return etag === null ? { "If-None-Match": "*" } : { "If-Match": `"${etag}"` };
}

/** @param {string | null} etag */
function bare(etag) {
  return (etag ?? "").replace(/^W\//, "").replaceAll('"', "");
}

/**
 * @param {string} text
 * @returns {JsonObject}
 */
function readObject(text) {
  const json = parse(text);
  if (!isObject(json)) throw new TypeError("the server answered no JSON object");
  return json;
}

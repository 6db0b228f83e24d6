/** How the server is asked: JSON over HTTP, with errors in words. */

import { isObject, parse, stringify } from "../store/json.js";

/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {import("../store/types.js").Problem} Problem */
/** @typedef {{[name: string]: string | number | boolean | readonly string[] | null | undefined}} Query */
/**
 * @typedef {Object} Options
 * @property {Query} [query]
 * @property {Json} [json] the body
 * @property {BodyInit} [body] the body as it is, instead
 * @property {{[name: string]: string}} [headers]
 * @property {AbortSignal} [signal]
 * @property {number} [timeout] milliseconds
 */
/** @typedef {{status: number, headers: Headers, text: string}} Answer */

const BASE = "/api/v1";
const TIMEOUT = 60_000;

/** Why the server did not do as asked. `status` is 0 where it was not reached. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {{problems?: readonly Problem[], reference?: string | null, after?: number | null}} [more]
   */
  constructor(status, code, message, { problems = [], reference = null, after = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.problems = problems;
    this.reference = reference;
    /** Seconds after which it may be asked again; null: not told. */
    this.after = after;
  }

  /** Whether the same request may be answered later: it did not arrive, or the server is starting, stopping or full. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status === 503;
  }
}

/**
 * Return an address below the API.
 * @param {string} path
 * @param {Query} [query]
 */
export function address(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return BASE + path + (text ? `?${text}` : "");
}

/**
 * Return a text as a part of a path. `..` leads out of the path however it is encoded, so that a name in a link could
 * have anything asked of the server: it becomes a name that nothing has.
 * @param {string} text
 */
export function partOf(text) {
  return /^\.\.?$/.test(text) ? text.replaceAll(".", "%252E") : encodeURIComponent(text);
}

/**
 * Return a name as a path: its folders stay folders.
 * @param {string} name
 */
export function pathOf(name) {
  return name.split("/").map(partOf).join("/");
}

/**
 * Ask the server.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Answer>}
 * @throws {ApiError} for every answer but 2xx and 304, and where there is none
 */
export async function request(method, path, options = {}) {
  const headers = new Headers(options.headers);
  let body = options.body;
  if (options.json !== undefined) {
    body = stringify(options.json);
    headers.set("Content-Type", "application/json");
  }
  const timeout = AbortSignal.timeout(options.timeout ?? TIMEOUT);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    const response = await fetch(address(path, options.query), { method, headers, body, signal });
    const answer = { status: response.status, headers: response.headers, text: await response.text() };
    if (!response.ok && response.status !== 304) throw refusal(answer);
    return answer;
  } catch (error) {
    if (error instanceof ApiError || options.signal?.aborted) throw error;
    throw unreachable(timeout.aborted);
  }
}

/**
 * Ask the server and read its JSON; null where it has nothing to say.
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<T>}
 */
export async function ask(method, path, options) {
  const { text } = await request(method, path, options);
  // What the server answers is what its OpenAPI document says: its own tests hold it to that.
  return /** @type {T} */ (/** @type {unknown} */ (text === "" ? null : parse(text)));
}

/**
 * Return the error that an answer tells.
 * @param {{status: number, headers: {get(name: string): string | null}, text: string}} answer
 */
export function refusal({ status, headers, text }) {
  const after = Number(headers.get("Retry-After") ?? NaN);
  const more = { reference: headers.get("X-Request-Id"), after: Number.isFinite(after) ? after : null };
  let told;
  try {
    told = parse(text);
  } catch {
    told = null;
  }
  const error = isObject(told) && isObject(told.error) ? told.error : {};
  const problems = (Array.isArray(error.problems) ? error.problems : []).filter(isObject).map(readProblem);
  const reference = typeof error.reference === "string" ? error.reference : more.reference;
  const message = typeof error.message === "string" ? error.message : `the server answered ${status}`;
  const code = typeof error.code === "string" ? error.code : "unknown";
  return new ApiError(status, code, message, { problems, reference, after: more.after });
}

/** @param {boolean} late */
export function unreachable(late) {
  const message = late ? "the server did not answer in time" : "the server cannot be reached";
  return new ApiError(0, late ? "late" : "unreachable", message);
}

/**
 * Return a problem as the server tells it.
 * @param {JsonObject} told
 * @returns {Problem}
 */
function readProblem(told) {
  const text = (/** @type {Json | undefined} */ value) => (typeof value === "string" ? value : null);
  return {
    code: text(told.code) ?? "unknown",
    message: text(told.message) ?? "",
    node: text(told.node),
    field: text(told.field),
  };
}

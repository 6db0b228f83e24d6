/**
 * Jobs on their way to the server: each is sent until it is answered, under one key, so that it runs once however often
 * it has to be sent. What was not answered when the page was left is sent when it comes back.
 */

import { isObject, parse, stringify } from "../store/json.js";
import { ApiError } from "./http.js";

/** @typedef {import("./client.js").Api} Api */
/** @typedef {import("./client.js").Errand} Errand */
/** @typedef {import("./wire.js").JobAnswer} JobAnswer */
/** @typedef {{readonly key: string, readonly errand: Errand, readonly stop: AbortController}} Sending */

const STORED = "nodegraph.outbox";
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

export class Outbox {
  /**
   * @param {Api} api
   * @param {Storage | null} storage where what is unanswered outlasts the page
   * @param {() => void} changed
   */
  constructor(api, storage, changed) {
    this.#api = api;
    this.#storage = storage;
    this.#changed = changed;
  }

  #api;
  #storage;
  #changed;
  /** @type {Map<string, Sending>} */
  #sending = new Map();
  /** @type {Set<() => void>} */
  #waiting = new Set();

  /** What is not answered yet, of a client. @param {string} client @returns {Sending[]} */
  of(client) {
    return [...this.#sending.values()].filter(({ errand }) => errand.client === client);
  }

  /**
   * Send a job until it is answered.
   * @param {Errand} errand
   * @returns {Promise<JobAnswer>} rejected where the server refuses it, or it was withdrawn
   */
  async send(errand) {
    const key = errand.key ?? newKey();
    const stop = new AbortController();
    this.#sending.set(key, { key, errand: { ...errand, key }, stop });
    this.#store();
    try {
      return await this.#until({ ...errand, key }, stop.signal);
    } finally {
      this.#sending.delete(key);
      this.#store();
    }
  }

  /** Withdraw what is not answered yet. @param {string} client @returns {boolean} whether there was anything */
  withdraw(client) {
    const found = this.of(client);
    for (const { stop } of found) stop.abort(new DOMException("the run was withdrawn", "AbortError"));
    return found.length > 0;
  }

  /** The server is there again: send at once what waits. */
  flush() {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Take out what a page before this one has left unanswered. @returns {Errand[]} */
  recover() {
    let stored = null;
    try {
      stored = parse(this.#storage?.getItem(STORED) ?? "[]");
    } catch {
      // what cannot be read is nothing that could be sent
    }
    const errands = Array.isArray(stored) ? stored.filter(isObject) : [];
    return errands.map((errand) => /** @type {Errand} */ (/** @type {unknown} */ (errand))); // as `#store` wrote it
  }

  /**
   * @param {Errand} errand
   * @param {AbortSignal} signal
   */
  async #until(errand, signal) {
    for (let wait = FIRST_WAIT; ; wait = Math.min(LONGEST_WAIT, wait * 2)) {
      try {
        return await this.#api.submit(errand, signal);
      } catch (error) {
        if (!(error instanceof ApiError) || !error.passing) throw error;
        await this.#pause(error.after === null ? wait : error.after * 1000, signal);
      }
    }
  }

  /** @param {number} wait @param {AbortSignal} signal @returns {Promise<void>} */
  #pause(wait, signal) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        signal.removeEventListener("abort", end);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, wait);
      this.#waiting.add(end);
      signal.addEventListener("abort", end);
    });
  }

  #store() {
    const sending = [...this.#sending.values()];
    const errands = sending.map(({ errand }) => /** @type {import("./http.js").JsonObject} */ (errand));
    try {
      if (errands.length === 0) this.#storage?.removeItem(STORED);
      else this.#storage?.setItem(STORED, stringify(errands));
    } catch {
      // No room: it is sent all the same, as long as the page is there.
    }
    this.#changed();
  }
}

/** Return a key that no other job has. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // `randomUUID` is not there over plain HTTP
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

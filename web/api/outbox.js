/**
 * Jobs on their way to the server: each is sent until it is answered, under one key, so that it runs once however often
 * it has to be sent. What was not answered when the page was left is sent when it comes back.
 */

import { isObject, parse, stringify } from "../store/json.js";
import { ApiError } from "./http.js";

/** @typedef {import("./client.js").Api} Api */
/** @typedef {import("./client.js").Errand} Errand */
/** @typedef {import("./wire.js").JobAnswer} JobAnswer */
/** @typedef {{readonly errand: Errand, readonly stop: AbortController}} Sending */

/** Each is stored by its own key, so that a thousand runs are not written again for each of them. */
const STORED = "nodegraph.outbox.";
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
    const sent = { ...errand, key };
    const stop = new AbortController();
    this.#sending.set(key, { errand: sent, stop });
    this.#store(key, sent);
    this.#changed();
    try {
      return await this.#until(sent, stop.signal);
    } finally {
      this.#sending.delete(key);
      this.#storage?.removeItem(STORED + key);
      this.#changed();
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
    const names = Array.from({ length: this.#storage?.length ?? 0 }, (_, at) => this.#storage?.key(at) ?? "");
    return names.filter((name) => name.startsWith(STORED)).flatMap((name) => this.#read(name));
  }

  /** @param {string} name @returns {Errand[]} none where it cannot be read, and so not be sent */
  #read(name) {
    try {
      const errand = parse(this.#storage?.getItem(name) ?? "null");
      return isObject(errand) ? [/** @type {Errand} */ (/** @type {unknown} */ (errand))] : []; // as `#store` wrote it
    } catch {
      return [];
    }
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

  /** @param {string} key @param {Errand} errand */
  #store(key, errand) {
    try {
      this.#storage?.setItem(STORED + key, stringify(errand));
    } catch {
      // No room: it is sent all the same, as long as the page is there.
    }
  }
}

/** Return a key that no other job has. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // `randomUUID` is not there over plain HTTP
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

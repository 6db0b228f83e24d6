/** The history part by part. The server finds outputs by kind, words only in jobs: then those are asked one by one. */

/** @typedef {import("../../api/client.js").Api} Api */
/** @typedef {import("../../api/wire.js").Output} Output */
/** @typedef {{readonly text: string, readonly kind: string}} Filter */

const SIZE = 60;
const JOBS = 20;

export class Pages {
  /** @param {Api} api */
  constructor(api) {
    this.#api = api;
  }

  #api;
  /** @type {string | null} */
  #cursor = null;
  finished = false;
  size = SIZE;

  restart() {
    this.#cursor = null;
    this.finished = false;
  }

  /** @param {Filter} filter @returns {Promise<Output[]>} */
  async next(filter) {
    const { items, cursor } = await this.#part(filter, this.#cursor);
    this.#cursor = cursor;
    this.finished = cursor === null;
    return items;
  }

  /** @param {Filter} filter @returns {Promise<Output[]>} */
  async newest(filter) {
    return (await this.#part(filter, null)).items;
  }

  /**
   * @param {Filter} filter
   * @param {string | null} cursor
   * @returns {Promise<{items: Output[], cursor: string | null}>}
   */
  async #part({ text, kind }, cursor) {
    const which = kind === "" ? {} : { kind };
    if (text === "") {
      const part = await this.#api.outputs({ ...which, cursor, limit: SIZE });
      return { items: part.items, cursor: part.cursor ?? null };
    }
    const jobs = await this.#api.jobs({ text, cursor, limit: JOBS });
    const parts = await Promise.all(jobs.items.map(({ id }) => this.#api.outputs({ ...which, job: id, limit: SIZE })));
    return { items: parts.flatMap(({ items }) => items), cursor: jobs.cursor ?? null };
  }
}

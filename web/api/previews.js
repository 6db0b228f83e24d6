/** The newest preview of each node. One is decoded at a time, off the page's own thread; the rest is dropped. */

/** @typedef {import("./stream.js").Preview} Preview */
/** @typedef {{readonly job: string, readonly node: string, readonly bitmap: ImageBitmap, readonly count: number}} Shown
 */

const REMEMBERED = 64;

export class Previews {
  /** @param {(job: string, node: string) => void} shown is told when a node has a newer picture */
  constructor(shown) {
    this.#tell = shown;
  }

  #tell;
  /** @type {Map<string, Shown>} */
  #shown = new Map();
  /** @type {Map<string, Preview>} */
  #next = new Map();
  /** @type {Set<string>} */
  #decoding = new Set();

  /** @param {Preview} preview */
  take(preview) {
    const key = keyOf(preview.job, preview.node);
    this.#next.set(key, preview);
    if (!this.#decoding.has(key)) void this.#decode(key);
  }

  /**
   * Return what a node shows so far; of an instance, the newest of what is in it.
   * @param {string | null} job
   * @param {string} node
   * @returns {Shown | null}
   */
  of(job, node) {
    if (job === null) return null;
    const own = this.#shown.get(keyOf(job, node));
    if (own) return own;
    let found = null;
    for (const shown of this.#shown.values()) if (shown.job === job && shown.node.startsWith(`${node}/`)) found = shown;
    return found;
  }

  /**
   * Return the newest picture of a node in any of some jobs.
   * @param {string} node
   * @param {(job: string) => boolean} among
   * @returns {Shown | null}
   */
  newest(node, among) {
    for (const shown of [...this.#shown.values()].reverse()) {
      if ((shown.node === node || shown.node.startsWith(`${node}/`)) && among(shown.job)) return shown;
    }
    return null;
  }

  /** @param {string} key */
  async #decode(key) {
    this.#decoding.add(key);
    for (let next = this.#next.get(key); next; next = this.#next.get(key)) {
      this.#next.delete(key);
      try {
        this.#put(key, next, await createImageBitmap(next.data));
      } catch {
        // a picture that is damaged is not shown; the next one will be
      }
    }
    this.#decoding.delete(key);
  }

  /** @param {string} key @param {Preview} preview @param {ImageBitmap} bitmap */
  #put(key, { job, node }, bitmap) {
    const before = this.#shown.get(key);
    this.#shown.delete(key); // so that the newest stands last
    this.#shown.set(key, { job, node, bitmap, count: (before?.count ?? 0) + 1 });
    before?.bitmap.close();
    for (const [old, { bitmap: picture }] of this.#shown) {
      if (this.#shown.size <= REMEMBERED) break;
      picture.close();
      this.#shown.delete(old);
    }
    this.#tell(job, node);
  }
}

/** @param {string} job @param {string} node */
function keyOf(job, node) {
  return `${job} ${node}`;
}

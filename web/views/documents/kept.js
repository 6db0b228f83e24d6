/**
 * Which tabs are open in which window of this browser, by name only: what is in them is on the server. A window that
 * opens anew takes up what the windows left that are not there any more.
 */

import { isObject, parse, stringify } from "../../store/json.js";

/** @typedef {import("../../store/settings.js").Store} Store */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").JsonObject} JsonObject */
/**
 * A tab as it is remembered. `draft`: under which name the server keeps what is not saved; `etag`: of the saved
 * document that it began with; `template`: what it shows as it came.
 * @typedef {{id: string, name: string | null, title: string, etag: string | null, draft: string | null,
 *   template: string | null}} KeptTab
 */
/** @typedef {{tabs: KeptTab[], current: string | null}} KeptWindow */

const KEY = "nodegraph.tabs";
const OWN = "nodegraph.window";
const CHANNEL = "nodegraph.windows";
const PATIENCE_MS = 150;

/** The windows of this browser. */
export class Windows {
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {Set<string>} */
  #alive = new Set();

  /**
   * @param {string} id a new one
   * @param {Store | null} store
   * @param {Store | null} own of this window alone
   */
  constructor(id, store, own) {
    this.store = store;
    this.own = own;
    this.before = own?.getItem(OWN) ?? null;
    this.id = this.before ?? id;
    this.fresh = id;
    if (typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel(CHANNEL);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
  }

  /** @param {unknown} data */
  #hear(data) {
    if (typeof data !== "object" || data === null) return;
    if ("ask" in data && data.ask !== this.fresh) this.#channel?.postMessage({ here: this.id, to: data.ask });
    else if ("here" in data && "to" in data && data.to === this.fresh) this.#alive.add(String(data.here));
  }

  /**
   * Take the tabs of this window as it was; of a new one, those of windows that are gone.
   * @returns {Promise<KeptWindow>}
   */
  async claim() {
    let windows = this.#read();
    if (windows.size > 0 && this.#channel !== null) {
      this.#channel.postMessage({ ask: this.fresh });
      await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
      windows = this.#read();
    }
    if (this.#alive.has(this.id)) this.id = this.fresh; // a copy of a window that is still there
    try {
      this.own?.setItem(OWN, this.id);
    } catch {
      // What cannot be remembered is taken for a new window the next time.
    }
    const mine = windows.get(this.id);
    const found = mine !== undefined ? [mine] : this.#orphans(windows);
    return merged(found);
  }

  /** @param {Map<string, KeptWindow>} windows @returns {KeptWindow[]} */
  #orphans(windows) {
    const gone = [...windows].filter(([id]) => !this.#alive.has(id));
    for (const [id] of gone) windows.delete(id);
    this.#write(windows);
    return gone.map(([, window]) => window);
  }

  /** Remember what is open here. @param {KeptWindow} window */
  keep(window) {
    const windows = this.#read();
    this.#write(windows.set(this.id, window));
  }

  /** @returns {Map<string, KeptWindow>} */
  #read() {
    /** @type {Json} */
    let json = null;
    try {
      json = parse(this.store?.getItem(KEY) ?? "null");
    } catch {
      // What cannot be read is as if it were not there.
    }
    const entries = isObject(json) ? Object.entries(json) : [];
    return new Map(entries.map(([id, window]) => [id, readWindow(window)]));
  }

  /** @param {Map<string, KeptWindow>} windows */
  #write(windows) {
    try {
      const json = [...windows].map(([id, { tabs, current }]) =>
        [id, { tabs: tabs.map((tab) => ({ ...tab })), current }]);
      this.store?.setItem(KEY, stringify(Object.fromEntries(json)));
    } catch {
      // Where nothing can be stored, the page begins anew each time; drafts stay on the server.
    }
  }
}

/** @param {Json} json @returns {KeptWindow} */
function readWindow(json) {
  const { tabs, current } = isObject(json) ? json : { tabs: [], current: null };
  const found = Array.isArray(tabs) ? tabs.filter(isObject).map(readTab) : [];
  return { tabs: found.filter(({ id }) => id !== ""), current: text(current) };
}

/** @param {JsonObject} json @returns {KeptTab} */
function readTab({ id, name, title, etag, draft, template }) {
  return { id: text(id) ?? "", name: text(name), title: text(title) ?? "", etag: text(etag), draft: text(draft),
    template: text(template) };
}

/** @param {Json | undefined} value */
function text(value) {
  return typeof value === "string" ? value : null;
}

/** A saved workflow is open once only. @param {readonly KeptWindow[]} windows @returns {KeptWindow} */
function merged(windows) {
  /** @type {Map<string, KeptTab>} */
  const tabs = new Map();
  for (const { tabs: some } of windows) {
    for (const tab of some) {
      const key = tab.name === null || tab.draft !== null ? tab.id : `name:${tab.name}`;
      if (!tabs.has(key)) tabs.set(key, tab);
    }
  }
  return { tabs: [...tabs.values()], current: windows.at(-1)?.current ?? null };
}

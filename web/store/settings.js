/** What a user has set, in the browser that it was set in. Values of unknown shape are as if they were not there. */

import { isObject, parse, stringify } from "./json.js";

/** @import {Json, JsonObject} from "./types.js" */

/**
 * As `localStorage` is.
 * @typedef {{getItem(key: string): string | null, setItem(key: string, value: string): void}} Store
 */

/**
 * @typedef {Object} Values
 * @property {"auto" | "dark" | "light"} theme
 * @property {boolean} contrast colours further apart
 * @property {boolean} snap to the grid
 * @property {boolean} guides when things line up with others
 * @property {boolean} minimap
 * @property {boolean} autosave
 * @property {boolean} tourSeen
 * @property {"open" | "closed"} dock
 * @property {number} dockWidth
 * @property {string} dockTab
 * @property {JsonObject} keys keys by the command's id, where they are not the usual: a list of texts
 * @property {JsonObject} recent how many times node types were added lately
 */

/** @type {Readonly<Values>} */
export const DEFAULTS = Object.freeze({
  theme: "auto",
  contrast: false,
  snap: false,
  guides: true,
  minimap: true,
  autosave: true,
  tourSeen: false,
  dock: "closed",
  dockWidth: 320,
  dockTab: "queue",
  keys: {},
  recent: {},
});

/** @type {ReadonlyMap<string, readonly Json[]>} */
const CHOICES = new Map([
  ["theme", ["auto", "dark", "light"]],
  ["dock", ["open", "closed"]],
]);

const KEY = "nodegraph.settings";

/** The settings of a user; each change is stored at once. */
export class Settings {
  /** @type {Values} */
  #values;
  /** @type {Set<(name: keyof Values) => void>} */
  #listeners = new Set();

  /** @param {Store | null} [storage] null where nothing can be stored */
  constructor(storage = null) {
    this.storage = storage;
    this.#values = { ...DEFAULTS, ...read(storage) };
  }

  /** All that is set, with the defaults of the rest. @returns {Readonly<Values>} */
  get values() {
    return this.#values;
  }

  /**
   * @template {keyof Values} K
   * @param {K} name
   * @returns {Values[K]}
   */
  get(name) {
    return this.#values[name];
  }

  /**
   * @template {keyof Values} K
   * @param {K} name
   * @param {Values[K]} value
   */
  set(name, value) {
    if (this.#values[name] !== value) {
      this.#values = { ...this.#values, [name]: value };
      this.#write();
      this.#listeners.forEach((listener) => listener(name));
    }
  }

  /**
   * Sets what it was at first.
   * @param {keyof Values} name
   */
  reset(name) {
    this.set(name, DEFAULTS[name]);
  }

  /**
   * @param {(name: keyof Values) => void} listener
   * @returns {() => void} to be called to hear no more
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #write() {
    const changed = Object.entries(this.#values).filter(([name, value]) => value !== Reflect.get(DEFAULTS, name));
    try {
      this.storage?.setItem(KEY, stringify(Object.fromEntries(changed)));
    } catch {
      // A browser that stores nothing, as in a private window: settings hold as long as the page.
    }
  }
}

/**
 * @param {Store | null} storage
 * @returns {Partial<Values>}
 */
function read(storage) {
  let json;
  try {
    json = parse(storage?.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
  return isObject(json) ? Object.fromEntries(Object.entries(json).filter(([name, value]) => isFit(name, value))) : {};
}

/**
 * @param {string} name
 * @param {Json} value
 * @returns {boolean}
 */
function isFit(name, value) {
  const known = Object.hasOwn(DEFAULTS, name) ? Reflect.get(DEFAULTS, name) : undefined;
  const choices = CHOICES.get(name);
  if (choices) {
    return choices.includes(value);
  }
  return isObject(known) ? isObject(value) : typeof value === typeof known;
}

/** The custom elements that plugins bring: their modules are loaded once, when a field asks for one of them. */

import { isObject } from "../../store/json.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {{readonly plugin: string, readonly url: string}} Module */

/** How long a module may take until its elements are there. */
const PATIENCE = 8000;

/** @type {WeakMap<Editor, Extensions>} */
const known = new WeakMap();

/** @param {Editor} editor @returns {Extensions} */
export function extensionsOf(editor) {
  let extensions = known.get(editor);
  if (extensions === undefined) known.set(editor, (extensions = new Extensions(editor)));
  return extensions;
}

class Extensions {
  /** @type {Promise<readonly string[]> | null} what went wrong with modules, once all have come */
  #modules = null;
  /** @type {Map<string, Promise<boolean>>} */
  #elements = new Map();
  /** @type {Set<string>} */
  #told = new Set();

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
  }

  /**
   * Tell whether an element can be made; the user is told once where it cannot.
   * @param {string} name
   * @returns {Promise<boolean>}
   */
  ready(name) {
    if (customElements.get(name)) return Promise.resolve(true);
    let found = this.#elements.get(name);
    if (found === undefined) this.#elements.set(name, (found = this.#wait(name)));
    return found;
  }

  /** @param {string} name @returns {Promise<boolean>} */
  async #wait(name) {
    this.#modules ??= this.#load();
    const wrong = await this.#modules;
    if (customElements.get(name)) return true;
    this.tell(name, wrong[0] ?? "no plugin defines it");
    return false;
  }

  /**
   * Tell once that a field is drawn plainly.
   * @param {string} name
   * @param {string} why
   */
  tell(name, why) {
    if (this.#told.has(name)) return;
    this.#told.add(name);
    this.editor.notify({
      text: `The field <${name}> of a plugin could not be drawn, so a plain one is in its place: ${why}`,
      kind: "warn",
    });
  }

  /** Load all modules; one that fails does not keep the others. @returns {Promise<readonly string[]>} */
  async #load() {
    /** @type {Module[]} */
    let modules;
    try {
      modules = modulesOf(await this.editor.api.extensions());
    } catch (error) {
      return [words(error)];
    }
    const results = await Promise.allSettled(modules.map(({ url }) => within(import(url), PATIENCE)));
    return results.flatMap((result, at) =>
      result.status === "rejected" ? [`the module of ${modules[at]?.plugin}: ${words(result.reason)}`] : [],
    );
  }
}

/**
 * Read which modules there are, of this server only.
 * @param {import("../../store/types.js").JsonObject} answer
 * @returns {Module[]}
 */
function modulesOf(answer) {
  const list = Array.isArray(answer.extensions) ? answer.extensions : [];
  return list.flatMap((item) => {
    if (!isObject(item) || typeof item.module !== "string" || typeof item.plugin !== "string") return [];
    const { href, origin } = new URL(item.module, location.href);
    return origin === location.origin ? [{ plugin: item.plugin, url: href }] : [];
  });
}

/** @param {unknown} error */
const words = (error) => (error instanceof Error ? error.message : String(error));

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} time milliseconds
 * @returns {Promise<T>}
 */
function within(promise, time) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("its module takes too long")), time);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

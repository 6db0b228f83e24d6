/** The files that workflows load, as far as the page knows them, and sending more. */

import { address, pathOf } from "../../api/http.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../api/wire.js").InputFile} InputFile */

/** The folder that files are sent into. */
export const INPUT = "input";
const PAGE = 1000;
const MOST = 20_000;

/** @type {WeakMap<Editor, InputFiles>} */
const known = new WeakMap();

/** @param {Editor} editor @returns {InputFiles} */
export function inputFiles(editor) {
  let files = known.get(editor);
  if (files === undefined) known.set(editor, (files = new InputFiles(editor)));
  return files;
}

class InputFiles {
  /** @type {Map<string, InputFile>} */
  #files = new Map();
  /** @type {Promise<void> | null} */
  #loading = null;
  #stale = true;
  #known = false;

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    editor.on("files", () => {
      this.#stale = true;
    });
  }

  /** Whether the server's list was read. */
  get known() {
    return this.#known;
  }

  /** @param {string} name */
  has(name) {
    return this.#files.has(name);
  }

  /** The names of all pictures that are known. @returns {string[]} */
  names() {
    return [...this.#files.values()].filter(({ media }) => media.startsWith("image/")).map(({ name }) => name);
  }

  /** Ask the server for the list, unless it is known. @returns {Promise<void>} */
  load() {
    if (!this.#stale && this.#loading === null) return Promise.resolve();
    this.#loading ??= this.#read().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #read() {
    /** @type {Map<string, InputFile>} */
    const found = new Map();
    /** @type {string | null} */
    let cursor = null;
    this.#stale = false;
    try {
      do {
        /** @type {{items: InputFile[], cursor?: string | null}} */
        const part = await this.editor.api.files({ limit: PAGE, ...(cursor === null ? {} : { cursor }) });
        for (const file of part.items) found.set(file.name, file);
        cursor = part.cursor ?? null;
      } while (cursor !== null && found.size < MOST);
      this.#files = found;
      this.#known = true;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  /**
   * Send a file.
   * @param {Blob} file
   * @param {{name?: string, onProgress?: (part: number) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<InputFile>}
   */
  async send(file, options) {
    const sent = await this.editor.api.upload(file, options);
    this.#files.set(sent.name, sent);
    this.editor.emit({ type: "files" });
    return sent;
  }
}

/** @param {string} name @returns {string} where a file's picture is */
export const pictureOf = (name) => address(`/files/${pathOf(name)}`);

/** @param {string} name @param {number} [size] @returns {string} */
export const thumbnailOf = (name, size = 64) => address(`/files/${pathOf(name)}/thumbnail`, { size });

/**
 * Find the first picture among what was dropped or pasted.
 * @param {DataTransfer | null} data
 * @returns {File | null}
 */
export function pictureIn(data) {
  for (const file of data?.files ?? []) if (file.type.startsWith("image/")) return file;
  return null;
}

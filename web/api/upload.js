/** Files are sent by XMLHttpRequest, since `fetch` does not tell how far an upload is. */

import { parse } from "../store/json.js";
import { address, refusal, unreachable } from "./http.js";

/** @typedef {import("./wire.js").InputFile} InputFile */

/**
 * Send a file.
 * @param {Blob} file
 * @param {{name?: string, onProgress?: (part: number) => void, signal?: AbortSignal}} [options] `name`: what it shall
 *   be called, folders included; `onProgress` is told how much is sent, from 0 to 1
 * @returns {Promise<InputFile>}
 */
export function upload(file, { name, onProgress, signal } = {}) {
  const sent = name ?? (file instanceof File ? file.name : "pasted.png");
  const form = new FormData();
  form.append("file", file, sent.split("/").at(-1));
  const xhr = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    const abort = () => xhr.abort();
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    xhr.upload.onprogress = (event) => onProgress?.(event.lengthComputable ? event.loaded / event.total : 0);
    xhr.onerror = () => reject(unreachable(false));
    xhr.onabort = () => reject(signal?.reason ?? new DOMException("the upload was stopped", "AbortError"));
    xhr.onloadend = () => signal?.removeEventListener("abort", abort);
    xhr.onload = () => {
      const answer = { status: xhr.status, headers: { get: (/** @type {string} */ n) => xhr.getResponseHeader(n) } };
      if (xhr.status >= 300) reject(refusal({ ...answer, text: xhr.responseText }));
      // The server's answer to an upload is an `InputFile`, as its OpenAPI document says.
      else resolve(/** @type {InputFile} */ (/** @type {unknown} */ (parse(xhr.responseText))));
    };
    xhr.open("POST", address("/files", name === undefined ? {} : { name }));
    xhr.send(form);
  });
}

/** The stream of what happens on the server: it goes on where it broke off, and says when it is down. */

import { isObject, parse } from "../store/json.js";
import { address } from "./http.js";

/** @typedef {import("../store/types.js").Json} Json */
/** @typedef {import("../store/types.js").JsonObject} JsonObject */
/** @typedef {"connecting" | "open" | "down"} Connection */
/** @typedef {{job: string, node: string, media: string, width: number, height: number, data: Blob}} Preview */
/**
 * @typedef {Object} Listener
 * @property {(message: JsonObject) => void} message a `hello`, a `snapshot` or `events`
 * @property {(preview: Preview) => void} preview
 * @property {(state: Connection, retryIn: number) => void} state
 */

const FIRST_WAIT = 250;
const LONGEST_WAIT = 10_000;
/** A stream that is silent for so long is asked whether it is alive, and given up after as long again. */
const SILENCE = 15_000;
const OFFLINE = 2000;

export class EventStream {
  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#onWake = () => {
      if (document.visibilityState === "visible") this.retryNow();
    };
    addEventListener("online", this.#onWake);
    addEventListener("offline", this.#onOffline);
    document.addEventListener("visibilitychange", this.#onWake);
    addEventListener("pageshow", this.#onWake);
    this.#open();
  }

  #listener;
  #onWake;
  /** The browser says so of itself, so that one need not wait for silence to become long. */
  #onOffline = () => this.#silent(OFFLINE);
  #tries = 0;
  #closed = false;
  #epoch = "";
  #seq = -1;
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0;
  #watch = 0;
  #asked = false;
  /** @type {Connection} */
  state = "connecting";

  /** Connect at once where it waits to. */
  retryNow() {
    if (this.#closed || this.state !== "down") return;
    clearTimeout(this.#timer);
    this.#open();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    removeEventListener("online", this.#onWake);
    removeEventListener("pageshow", this.#onWake);
    removeEventListener("offline", this.#onOffline);
    document.removeEventListener("visibilitychange", this.#onWake);
    this.#socket?.close();
  }

  #open() {
    const since = this.#epoch ? `${this.#epoch}:${this.#seq}` : null;
    const url = new URL(address("/events", { previews: true, since }), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket?.close(); // one that was still being opened
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#listen();
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#listen();
      if (typeof data === "string") this.#take(data);
      else this.#show(data);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code);
    };
  }

  /** @param {string} text */
  #take(text) {
    const message = readMessage(text);
    if (!isObject(message)) return;
    if (message.type === "hello") {
      this.#tries = 0;
      if (message.replayed !== true) this.#epoch = ""; // until the snapshot is here there is nothing to go on from
      this.#tell("open", 0);
    } else if (message.type === "snapshot") {
      this.#epoch = String(message.epoch);
      this.#seq = Number(message.seq);
    } else if (message.type === "events" && Array.isArray(message.events)) {
      const last = message.events.at(-1);
      // An event of a kind that has no number must not keep the stream from going on where it broke off.
      if (isObject(last) && Number.isSafeInteger(last.seq)) this.#seq = Number(last.seq);
    } else {
      return;
    }
    this.#listener.message(message);
  }

  /** @param {ArrayBuffer} data the length of the head, the head, the picture */
  #show(data) {
    const length = data.byteLength < 4 ? Infinity : new DataView(data).getUint32(0);
    if (4 + length > data.byteLength) return;
    const head = readMessage(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    if (!isObject(head)) return;
    const media = String(head.media);
    const picture = new Blob([new Uint8Array(data, 4 + length)], { type: media });
    const size = { width: Number(head.width), height: Number(head.height) };
    this.#listener.preview({ job: String(head.job), node: String(head.node), media, ...size, data: picture });
  }

  /** Watch for silence: a network that is gone is told of by nobody. */
  #listen() {
    clearTimeout(this.#watch);
    this.#asked = false;
    this.#watch = setTimeout(() => this.#silent(), SILENCE);
  }

  /** @param {number} [patience] milliseconds */
  #silent(patience = SILENCE) {
    const socket = this.#socket;
    if (socket === null) return;
    if (this.#asked || socket.readyState !== WebSocket.OPEN) {
      this.#lost(0);
      socket.close();
      return;
    }
    this.#asked = true;
    socket.send('{"type":"ping"}');
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#silent(), patience);
  }

  /** @param {number} code */
  #lost(code) {
    this.#socket = null;
    clearTimeout(this.#watch);
    if (this.#closed) return;
    // 4008: the server dropped what this page was too slow for; it is there, so that one need not wait.
    const wait = code === 4008 ? 0 : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#tries) * (0.75 + Math.random() / 2);
    this.#tries += 1;
    this.#tell("down", wait);
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  /** @param {Connection} state @param {number} retryIn milliseconds */
  #tell(state, retryIn) {
    this.state = state;
    this.#listener.state(state, retryIn);
  }
}

/** @param {string} text @returns {Json} null for what is no JSON */
function readMessage(text) {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

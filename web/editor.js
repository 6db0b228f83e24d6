/**
 * The editor: its tabs, what they are made of, and who listens. Views and commands are given this and nothing else.
 *
 * What other parts say to the shell stands here too: `Notice`, `Question`, and the details of the commands
 * `palette.open` (`PaletteDetail`) and `menu.context` (`MenuDetail`).
 */

import { Commands } from "./store/commands.js";
import { Keys } from "./store/keys.js";
import { tellAll } from "./store/telling.js";

/** @typedef {import("./store/types.js").EditorEvent} EditorEvent */
/** @typedef {import("./store/types.js").Graph} Graph */
/** @typedef {import("./store/types.js").Item} Item */
/** @typedef {import("./store/types.js").Point} Point */
/** @typedef {import("./store/session.js").Session} Session */
/** @typedef {import("./store/catalogue.js").Catalogue} Catalogue */
/** @typedef {import("./store/runs.js").Runs} Runs */
/** @typedef {import("./store/settings.js").Settings} Settings */
/** @typedef {import("./api/client.js").Api} Api */
/** @typedef {import("./views/shell/panels.js").Panels} Panels */

/**
 * What the user is told at the edge of the page, in words that say what to do next. An error stays until put away.
 * @typedef {Object} Notice
 * @property {string} text
 * @property {"info" | "warn" | "error"} [kind]
 * @property {{readonly title: string, readonly run: () => unknown}} [action]
 * @property {number} [seconds] after which it goes, where that is not the usual
 * @property {string} [id] it takes the place of an earlier one with the same, and can be put away by it
 */
/**
 * What the user is asked; the answer is the `value` of a choice, or null where the question was put away.
 * @typedef {Object} Question
 * @property {string} title
 * @property {string | globalThis.Node} [body]
 * @property {readonly {readonly value: string, readonly title: string, readonly kind?: "primary" | "danger"}[]} choices
 */
/**
 * Where the palette puts what is chosen, and what it is wired to: only types that fit are listed then.
 * @typedef {Object} PaletteDetail
 * @property {Point} [point] on the canvas; without it the middle of the view
 * @property {Point} [screen] in the window, where the palette opens
 * @property {string} [output] `"node.output"` that the new node takes
 * @property {string} [input] `"node.input"` that the new node feeds
 * @property {string} [into] `"node.input"` of the link from `output`, into which it is put
 * @property {(id: string) => void} [added] is told of the new node, once it has the focus
 */
/**
 * What was pointed at: the menu lists what can be done with it.
 * @typedef {Object} MenuDetail
 * @property {Point} screen in the window
 * @property {Point} [point] on the canvas
 * @property {"canvas" | "node" | "link" | "port" | "frame" | "note" | "tab" | "field"} kind
 * @property {string} [id] a node's, frame's, note's or tab's id; of a link the `"node.input"` that it leads to
 * @property {string} [port] of a port `in:name` or `out:name`; of a field its name
 */
/**
 * What draws notices and questions; it is there once the shell is.
 * @typedef {Object} Presenter
 * @property {(notice: Notice) => void} notify
 * @property {(id: string) => void} dismiss puts a notice away
 * @property {(question: Question) => Promise<string | null>} ask
 * @property {(text: string) => void} say tells a screen reader
 */
/**
 * What is asked of the canvas by the others.
 * @typedef {import("./views/canvas/canvas.js").Canvas} Canvas
 */

/** @typedef {(event: EditorEvent) => void} Listener */

/** The page's one editor. */
export class Editor {
  /** @type {Map<string, Set<Listener>>} */
  #listeners = new Map();
  /** @type {Session[]} */
  #sessions = [];
  /** @type {Map<Session, () => void>} */
  #heard = new Map();
  /** @type {Session | null} */
  #current = null;
  /** @type {Notice[]} */
  #early = [];
  /** @type {Presenter | null} */
  #presenter = null;
  /** @type {Panels | null} */
  #panels = null;

  /** @param {{api: Api, catalogue: Catalogue, runs: Runs, settings: Settings}} parts */
  constructor({ api, catalogue, runs, settings }) {
    this.api = api;
    this.catalogue = catalogue;
    this.runs = runs;
    this.settings = settings;
    this.commands = new Commands();
    const mac = /Mac|iP(?:ad|hone)/.test(navigator.platform);
    this.keys = new Keys(() => this.commands.all(), () => ownKeys(settings), mac);
    /** @type {Canvas | null} set by the canvas when it is mounted */
    this.canvas = null;
  }

  /** The panels at the sides; they are there before any view is mounted. @returns {Panels} */
  get panels() {
    if (this.#panels === null) throw new Error("the shell is not there yet");
    return this.#panels;
  }

  set panels(panels) {
    this.#panels = panels;
  }

  // Tabs

  /** @returns {readonly Session[]} the tabs, from left to right */
  get sessions() {
    return this.#sessions;
  }

  /** The open tab. There is always one once the page is up. */
  get session() {
    if (this.#current === null) throw new Error("no tab is open yet");
    return this.#current;
  }

  /** @param {string} id */
  sessionById(id) {
    return this.#sessions.find((session) => session.id === id) ?? null;
  }

  /**
   * Add a tab and go to it.
   * @param {Session} session
   * @param {{after?: boolean, select?: boolean}} [options] `after`: beside the open one, not last
   */
  open(session, { after = false, select = true } = {}) {
    const at = after && this.#current ? this.#sessions.indexOf(this.#current) + 1 : this.#sessions.length;
    this.#sessions = this.#sessions.toSpliced(at, 0, session);
    this.#heard.set(session, session.onEvent((event) => this.#hear(session, event)));
    this.emit({ type: "sessions" });
    if (select || this.#current === null) this.select(session.id);
  }

  /**
   * Take a tab away; the one beside it is shown. The last one cannot be closed: open another before.
   * @param {string} id
   */
  close(id) {
    const at = this.#sessions.findIndex((session) => session.id === id);
    const session = this.#sessions[at];
    if (session === undefined || this.#sessions.length === 1) return;
    this.#heard.get(session)?.();
    this.#heard.delete(session);
    this.#sessions = this.#sessions.toSpliced(at, 1);
    if (session === this.#current) this.select(this.#sessions[Math.min(at, this.#sessions.length - 1)].id);
    this.emit({ type: "sessions" });
  }

  /** @param {string} id the tab to show */
  select(id) {
    const session = this.sessionById(id);
    if (session === null || session === this.#current) return;
    this.#current = session;
    this.emit({ type: "session", id });
    this.emit({ type: "sessions" });
  }

  /**
   * Move a tab to another place among the tabs.
   * @param {string} id
   * @param {number} to
   */
  moveTab(id, to) {
    const session = this.sessionById(id);
    if (session === null) return;
    const others = this.#sessions.filter((other) => other !== session);
    this.#sessions = others.toSpliced(Math.max(0, Math.min(to, others.length)), 0, session);
    this.emit({ type: "sessions" });
  }

  /**
   * What a hidden tab does changes nothing that is shown but the tabs.
   * @param {Session} session
   * @param {EditorEvent} event
   */
  #hear(session, event) {
    try {
      if (session === this.#current) this.emit(event);
    } finally {
      if (event.type === "document") this.emit({ type: "sessions" });
    }
  }

  // What is open

  /** Ids of the selected nodes. @returns {string[]} */
  get selectedNodes() {
    const found = [];
    for (const item of this.session.selection) if (item.startsWith("node:")) found.push(item.slice("node:".length));
    return found;
  }

  /**
   * Edit the graph that is shown, as one step that can be undone.
   * @param {string} label what was done, in a few words
   * @param {(graph: Graph) => Graph} edit
   * @param {{merge?: string, select?: Iterable<Item>}} [options]
   */
  apply(label, edit, options) {
    this.session.apply(label, edit, options);
  }

  // Events

  /** @param {EditorEvent} event */
  emit(event) {
    tellAll(this.#listeners.get(event.type) ?? [], [event]);
  }

  /**
   * @param {EditorEvent["type"]} type
   * @param {Listener} listener
   * @returns {() => void} ends it
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  // Commands

  /**
   * Do a command, where it can be done now. What goes wrong is told to the user.
   * @param {string} id
   * @param {unknown} [detail]
   * @returns {unknown} what the command returned; a promise where it takes time
   */
  perform(id, detail) {
    const command = this.commands.get(id);
    if (command === null) {
      this.notify({ text: `There is no command “${id}” here.`, kind: "warn" });
      return undefined;
    }
    if (command.when && !command.when(this)) return undefined;
    try {
      const result = command.run(this, detail);
      return result instanceof Promise ? result.catch((error) => this.fail(command.title, error)) : result;
    } catch (error) {
      return this.fail(command.title, error);
    }
  }

  /**
   * Tell that something did not work.
   * @param {string} what
   * @param {unknown} error
   */
  fail(what, error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    this.notify({ text: `${what}: ${error instanceof Error ? error.message : String(error)}`, kind: "error" });
    if (!(error instanceof Error) || error.constructor === TypeError) queueMicrotask(() => { throw error; });
  }

  // The user

  /** @param {Notice} notice */
  notify(notice) {
    if (this.#presenter === null) this.#early.push(notice);
    else this.#presenter.notify(notice);
  }

  /** Put away a notice that holds no more. @param {string} id */
  dismiss(id) {
    this.#presenter?.dismiss(id);
  }

  /**
   * @param {Question} question
   * @returns {Promise<string | null>}
   */
  ask(question) {
    return this.#presenter === null ? Promise.resolve(null) : this.#presenter.ask(question);
  }

  /** Tell whoever listens to a screen reader. @param {string} text */
  say(text) {
    this.#presenter?.say(text);
  }

  /** @param {Presenter} presenter */
  present(presenter) {
    this.#presenter = presenter;
    for (const notice of this.#early.splice(0)) presenter.notify(notice);
  }
}

/**
 * The keys that the user chose, by the command's id.
 * @param {Settings} settings
 * @returns {Map<string, string[]>}
 */
function ownKeys(settings) {
  const found = new Map();
  for (const [id, keys] of Object.entries(settings.get("keys"))) {
    if (Array.isArray(keys)) found.set(id, keys.filter((key) => typeof key === "string"));
  }
  return found;
}

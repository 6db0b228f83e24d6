/** One tab: a document, where in it one is, what is selected, and the steps back and forth. */

import { emptyGraph } from "./document.js";
import { item, parseItem } from "./names.js";
import { followPorts, renamedPorts } from "./ports.js";
import { follow, putGraph, scopeOf } from "./scopes.js";
import { tellAll } from "./telling.js";

/** @import {EditorEvent, Graph, Item} from "./types.js" */
/** @import {Scope} from "./scopes.js" */

/** @typedef {{readonly x: number, readonly y: number, readonly zoom: number}} View What of the canvas is seen. */
/**
 * @typedef {Object} State
 * @property {Graph} document
 * @property {readonly string[]} path
 * @property {ReadonlySet<Item>} selection
 */
/** @typedef {{label: string, before: State, after: State, merge: string | null, time: number}} Step */
/** @typedef {(event: EditorEvent) => void} Listener */

/**
 * @typedef {Object} SessionOptions
 * @property {string} id
 * @property {string | null} [name] by which the server knows the document
 * @property {string} [title]
 * @property {Graph} [document]
 * @property {string | null} [etag]
 * @property {Graph | null} [saved] the document that is on the server
 * @property {() => number} [now] milliseconds
 */

export const STEPS = 200;
const TOGETHER = 1000;
/** @type {ReadonlySet<Item>} */
const NOTHING = new Set();

export class Session {
  /** @type {State} */
  #state;
  /** @type {Step[]} */
  #past = [];
  /** @type {Step[]} */
  #future = [];
  /** @type {Set<Listener>} */
  #listeners = new Set();
  /** @type {Map<string, View>} */
  #views = new Map();
  /** @type {() => number} */
  #now;

  /** @param {SessionOptions} options */
  constructor({ id, name = null, title = "", document = emptyGraph(), etag = null, saved = null, now = Date.now }) {
    this.id = id;
    /** The name by which it is saved, null where it never was. */
    this.name = name;
    this.title = title;
    this.etag = etag;
    /** The document as it is on the server. */
    this.saved = saved;
    /** The last job of it. @type {string | null} */
    this.job = null;
    /** The document that the last job ran. @type {Graph | null} */
    this.submitted = null;
    this.#now = now;
    this.#state = { document, path: [], selection: NOTHING };
  }

  /** The whole document. */
  get document() {
    return this.#state.document;
  }

  /** The graph that one is in: the document, or a subgraph of it. */
  get graph() {
    return follow(this.#state.document, this.#state.path)?.graph ?? this.#state.document;
  }

  /** Ids of the instances that one has gone into, outermost first. */
  get path() {
    return this.#state.path;
  }

  get selection() {
    return this.#state.selection;
  }

  /** What of the canvas is seen here; null where one has not been yet. */
  get view() {
    return this.#views.get(this.#state.path.join("/")) ?? null;
  }

  /** Whether there is something that the server does not have. */
  get dirty() {
    return this.#state.document !== this.saved;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** What would be undone, in words. @returns {string | null} */
  get undoLabel() {
    return this.#past.at(-1)?.label ?? null;
  }

  /** @returns {string | null} */
  get redoLabel() {
    return this.#future.at(-1)?.label ?? null;
  }

  /**
   * Is told of all that happens here, until the function that is returned is called.
   * @param {Listener} listener
   * @returns {() => void}
   */
  onEvent(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Edits the graph that one is in, as one step back.
   * @param {string} label what it is called in "Undo ..."
   * @param {(graph: Graph) => Graph} edit
   * @param {{merge?: string, select?: Iterable<Item>}} [options] steps with equal `merge` within a second are one step
   * @returns {boolean} whether something changed
   */
  apply(label, edit, options = {}) {
    const graph = this.graph;
    const scope = scopeOf(graph);
    const edited = edit(graph);
    const document = edited === graph ? this.#state.document : putEdited(scope, edited);
    return this.#step(label, document, this.#state.path, edited, options);
  }

  /**
   * Edits the whole document, wherever in it one is.
   * @param {string} label
   * @param {(document: Graph) => Graph} edit
   * @param {{merge?: string}} [options]
   * @returns {boolean}
   */
  applyRoot(label, edit, options = {}) {
    return this.replace(edit(this.#state.document), label, options);
  }

  /**
   * Puts another document in the place of this one, as one step back.
   * @param {Graph} document
   * @param {string} label
   * @param {{merge?: string, select?: Iterable<Item>}} [options]
   * @returns {boolean}
   */
  replace(document, label, options = {}) {
    const path = validPath(document, this.#state.path);
    const graph = follow(document, path)?.graph ?? document;
    return this.#step(label, document, path, graph, options);
  }

  /**
   * @param {string} label
   * @param {Graph} document
   * @param {readonly string[]} path
   * @param {Graph} graph at the path
   * @param {{merge?: string, select?: Iterable<Item>}} options
   */
  #step(label, document, path, graph, { merge, select }) {
    const before = this.#state;
    const changed = document !== before.document;
    if (!changed && !select) {
      return false;
    }
    const wanted = select ?? before.selection;
    const after = { document, path, selection: changed || select ? present(graph, wanted) : before.selection };
    if (changed) {
      this.#remember(label, before, after, merge ?? null);
    }
    this.#enter(after, label);
    return changed;
  }

  /**
   * @param {string} label
   * @param {State} before
   * @param {State} after
   * @param {string | null} merge
   */
  #remember(label, before, after, merge) {
    const last = this.#past.at(-1);
    const time = this.#now();
    const together = merge !== null && last?.merge === merge && time - last.time <= TOGETHER && !this.#future.length;
    if (last && together && last.after.document === before.document) {
      last.after = after;
      last.time = time;
    } else {
      this.#past.push({ label, before, after, merge, time });
      if (this.#past.length > STEPS) {
        this.#past.shift();
      }
    }
    this.#future = [];
  }

  /** Takes the last step back. @returns {boolean} whether there was one */
  undo() {
    const step = this.#past.pop();
    if (!step) {
      return false;
    }
    this.#future.push(step);
    this.#enter(step.before, step.label);
    return true;
  }

  /** Takes the last step that was taken back again. @returns {boolean} whether there was one */
  redo() {
    const step = this.#future.pop();
    if (!step) {
      return false;
    }
    this.#past.push({ ...step, merge: null });
    this.#enter(step.after, step.label);
    return true;
  }

  /** Keeps what comes next from being one step with what was before. */
  settle() {
    const last = this.#past.at(-1);
    if (last) {
      last.merge = null;
    }
  }

  /**
   * Selects these things and no others.
   * @param {Iterable<Item>} items
   */
  select(items) {
    const selection = present(this.graph, items);
    const same = selection.size === this.selection.size && [...selection].every((one) => this.selection.has(one));
    if (!same) {
      this.#enter({ ...this.#state, selection }, "");
    }
  }

  /**
   * Goes into the subgraph of an instance.
   * @param {string} nodeId
   * @returns {boolean} whether there is one
   */
  enter(nodeId) {
    return this.graph.nodes.get(nodeId)?.graph != null && this.goTo([...this.path, nodeId]);
  }

  /** Goes out to the graph around, where the instance is selected. @returns {boolean} whether there is one */
  leave() {
    const inner = this.path.at(-1);
    return inner !== undefined && this.goTo(this.path.slice(0, -1), [item("node", inner)]);
  }

  /**
   * Goes to a graph of the document.
   * @param {readonly string[]} path
   * @param {Iterable<Item>} [select]
   * @returns {boolean} whether it is there
   */
  goTo(path, select = []) {
    const graph = follow(this.document, path)?.graph;
    if (!graph) {
      return false;
    }
    this.#enter({ document: this.document, path: [...path], selection: present(graph, select) }, "");
    return true;
  }

  /**
   * Remembers what of the canvas is seen here.
   * @param {View} view
   */
  setView(view) {
    this.#views.set(this.path.join("/"), view);
    tellAll(this.#listeners, [{ type: "view" }]);
  }

  /**
   * Notes that a document is on the server.
   * @param {{document?: Graph, name?: string | null, etag?: string | null, title?: string}} values
   */
  setSaved({ document = this.document, name = this.name, etag = this.etag, title = this.title }) {
    this.saved = document;
    this.name = name;
    this.etag = etag;
    this.title = title;
    tellAll(this.#listeners, [{ type: "saving", id: this.id }]);
  }

  /**
   * @param {State} state
   * @param {string} label
   */
  #enter(state, label) {
    const before = this.#state;
    this.#state = state;
    /** @type {EditorEvent[]} */
    const events = [];
    if (before.document !== state.document) {
      events.push({ type: "document", before: before.document, after: state.document, label });
    }
    if (before.path !== state.path && before.path.join("/") !== state.path.join("/")) {
      events.push({ type: "scope" });
    }
    if (before.selection !== state.selection) {
      events.push({ type: "selection" });
    }
    tellAll(this.#listeners, events);
  }
}

/**
 * Puts an edited graph into its document; where ports of a subgraph got other names, its instances follow.
 * @param {Scope} scope of the graph as it was
 * @param {Graph} edited
 * @returns {Graph} the document
 */
function putEdited(scope, edited) {
  const document = putGraph(scope, edited);
  const renamed = scope.outer ? renamedPorts(scope.graph, edited) : null;
  return renamed ? followPorts(document, scope, renamed) : document;
}

/**
 * @param {Graph} document
 * @param {readonly string[]} path
 * @returns {readonly string[]} as much of the path as there is
 */
function validPath(document, path) {
  for (let length = path.length; length > 0; length -= 1) {
    const part = length === path.length ? path : path.slice(0, length);
    if (follow(document, part)) {
      return part;
    }
  }
  return [];
}

/**
 * @param {Graph} graph
 * @param {Iterable<Item>} items
 * @returns {ReadonlySet<Item>} those that the graph has
 */
function present(graph, items) {
  const found = new Set(items);
  let lost = false;
  for (const one of found) {
    if (!hasItem(graph, one)) {
      found.delete(one);
      lost = true;
    }
  }
  return !lost && items instanceof Set ? items : found.size ? found : NOTHING;
}

/**
 * @param {Graph} graph
 * @param {Item} one
 * @returns {boolean}
 */
function hasItem(graph, one) {
  const { kind, id, index } = parseItem(one);
  switch (kind) {
    case "node":
      return graph.nodes.has(id);
    case "frame":
      return graph.frames.has(id);
    case "note":
      return graph.notes.has(id);
    case "route":
      return index >= 0 && index < (graph.routes.get(id)?.length ?? 0);
    default:
      return false;
  }
}

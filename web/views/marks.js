/** What the next run would do with each node, and why: as the server plans it, else judged by what has changed. */

import { liveOf } from "../api/live.js";
import { ApiError } from "../api/http.js";
import { writeGraph } from "../store/document.js";
import { IDLE } from "../store/nodestates.js";
import { FINAL, nodeOf } from "../store/runs.js";
import { staleNodes } from "../store/stale.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("../store/session.js").Session} Session */
/** @typedef {import("../store/types.js").Graph} Graph */
/** @typedef {import("../store/types.js").Problem} Problem */
/** @typedef {import("../api/wire.js").Decision} Decision */
/** @typedef {{readonly state: "cached" | "run", readonly why: string}} Mark */

const DEBOUNCE = 500;
/** @type {WeakMap<Editor, Marks>} */
const known = new WeakMap();

/** Return the marks of an editor. @param {Editor} editor @returns {Marks} */
export function marksOf(editor) {
  const found = known.get(editor) ?? new Marks(editor);
  known.set(editor, found);
  return found;
}

export class Marks {
  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    editor.on("document", () => this.#later());
    editor.on("session", () => this.#later());
    editor.on("connection", () => this.#later());
    editor.on("run", (event) => {
      if (event.type === "run" && event.node === null && this.#hasEnded(event.job)) this.#later();
    });
    this.#later();
  }

  #editor;
  #timer = 0;
  /** @type {Set<string>} */
  #ended = new Set();
  /** @type {AbortController | null} */
  #asking = null;
  /** @type {WeakMap<Session, {document: Graph, nodes: Map<string, Mark>}>} */
  #plans = new WeakMap();
  /** @type {{document: Graph, then: Graph | null, scope: string, nodes: Map<string, string>} | null} */
  #stale = null;

  /**
   * Return what the next run would do with a node of the graph that is shown; null where nothing is known, or it runs.
   * @param {string} id
   * @returns {Mark | null}
   */
  of(id) {
    const { session, runs } = this.#editor;
    const job = session.job === null ? undefined : runs.jobs.get(session.job);
    if (job && (job.state === "running" || job.state === "queued")) return null;
    const plan = this.#plans.get(session);
    // Until the server has looked at the last edit, what it changed is told by what it changed.
    const why = this.#changed(session, plan?.document ?? session.submitted).get(id);
    if (why !== undefined) return { state: "run", why };
    const node = nodeOf(session.path, id);
    if (plan) return plan.nodes.get(node) ?? null;
    const { state } = session.submitted === null ? IDLE : runs.node(session.job, node);
    const kept = state === "finished" || state === "cached";
    return kept ? { state: "cached", why: "nothing it is made of has changed" } : null;
  }

  /** @param {Session} session @param {Graph | null} then @returns {ReadonlyMap<string, string>} */
  #changed({ document, path }, then) {
    const scope = path.join("/");
    const known = this.#stale;
    if (known && known.document === document && known.then === then && known.scope === scope) return known.nodes;
    const nodes = staleNodes(document, then, path);
    this.#stale = { document, then, scope, nodes };
    return nodes;
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), DEBOUNCE);
  }

  /** Tell whether a job has ended since this was last asked. @param {string} job */
  #hasEnded(job) {
    const state = this.#editor.runs.jobs.get(job)?.state;
    if (state === undefined || !FINAL.has(state) || this.#ended.has(job)) return false;
    this.#ended.add(job);
    return true;
  }

  async #ask() {
    const { session } = this.#editor;
    const { document } = session;
    if (document.nodes.size === 0 || liveOf(this.#editor).connection.state !== "open") return;
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const plan = await this.#editor.api.plan({ workflow: writeGraph(document) }, asking.signal);
      if (plan.ok) this.#plans.set(session, { document, nodes: withInstances(plan.plan.map(markOf)) });
      else this.#refused(session, plan.problems);
    } catch (error) {
      if (asking.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#refused(session, error.problems);
    }
    this.#tell(session);
  }

  /** Whoever draws nodes looks at their marks anew. @param {Session} session */
  #tell(session) {
    this.#editor.emit({ type: "run", job: session.job ?? "", node: null });
  }

  /** @param {Session} session @param {readonly Problem[]} problems */
  #refused(session, problems) {
    this.#plans.delete(session);
    const live = liveOf(this.#editor);
    // What was shown as wrong is shown as it is now; what was not is not brought up while somebody builds.
    if (problems.length > 0 && live.problems.of(session.id).length > 0) live.setProblems(session, problems);
  }
}

/** @param {Decision} decision @returns {[string, Mark]} */
function markOf({ node, action, reason }) {
  return [node, { state: action === "run" || action === "open" ? "run" : "cached", why: reason }];
}

/**
 * Add the instances of subgraphs: one runs where anything in it does.
 * @param {readonly (readonly [string, Mark])[]} nodes
 */
function withInstances(nodes) {
  const found = new Map(nodes);
  for (const [id, mark] of nodes) {
    for (let at = id.lastIndexOf("/"); at > 0; at = id.lastIndexOf("/", at - 1)) {
      const outer = id.slice(0, at);
      if (found.get(outer)?.state === "run") break;
      found.set(outer, mark);
    }
  }
  return found;
}

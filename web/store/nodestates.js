/** What the nodes of one job do, those in subgraphs too. */

/** @typedef {import("./types.js").JsonObject} JsonObject */
/** @typedef {import("./types.js").JobState} JobState */
/** @typedef {import("./types.js").NodeRun} NodeRun */
/** @typedef {import("./types.js").NodeState} NodeState */
/** @typedef {import("../api/wire.js").NodeAnswer} NodeAnswer */

/** @type {NodeRun} */
export const IDLE = Object.freeze({ state: "idle", value: 0, total: 0, message: "", seconds: null, warnings: [] });
/** @type {ReadonlySet<string>} */
const STATES = new Set(["running", "cached", "finished", "failed", "skipped", "cancelled", "waiting"]);
/** The first of these that is among the nodes of an instance is the instance's own. */
const BY_WEIGHT = /** @type {const} */ (["failed", "running", "waiting", "cancelled"]);

export class JobNodes {
  /** @type {Map<string, NodeRun>} */
  all = new Map();
  /** Instance to all that is in it, at any depth. */
  /** @type {Map<string, Set<string>>} */
  #within = new Map();

  /** @param {string} id @returns {NodeRun | null} */
  own(id) {
    return this.all.get(id) ?? null;
  }

  /** @param {string} id @returns {NodeRun[]} */
  within(id) {
    return [...(this.#within.get(id) ?? [])].map((inner) => this.all.get(inner) ?? IDLE);
  }

  /**
   * Take in an event.
   * @param {string} id
   * @param {string} kind what stands after `node.`
   * @param {JsonObject} data
   */
  take(id, kind, data) {
    const before = this.all.get(id) ?? IDLE;
    const message = typeof data.message === "string" ? data.message : "";
    if (kind === "warned") {
      const warnings = before.warnings.includes(message) ? before.warnings : [...before.warnings, message];
      this.#set(id, { ...before, warnings });
    } else if (kind === "progress") {
      const { value, total } = { value: Number(data.value), total: Number(data.total) };
      this.#set(id, { ...before, state: "running", value, total, message });
    } else if (STATES.has(kind)) {
      const seconds = typeof data.seconds === "number" ? data.seconds : null;
      const again = kind === "running" ? { value: 0, total: 0, warnings: [] } : {};
      this.#set(id, { ...before, ...again, state: stateOf(kind), message, seconds });
    }
  }

  /** Take in all nodes as they are. @param {readonly NodeAnswer[]} nodes */
  restore(nodes) {
    const known = this.all;
    this.all = new Map();
    this.#within = new Map();
    for (const { node, state, value, total, message, seconds } of nodes) {
      const warnings = known.get(node)?.warnings ?? [];
      this.#set(node, { state: stateOf(state), value: value ?? 0, total: total ?? 0, message, seconds, warnings });
    }
  }

  /** The job has ended: what still ran does not any more. @param {JobState} state */
  settle(state) {
    for (const [id, node] of this.all) {
      if (node.state !== "running" && node.state !== "waiting") continue;
      this.all.set(id, { ...node, state: state === "done" ? "finished" : "cancelled" });
    }
  }

  /** @param {string} id @param {NodeRun} node */
  #set(id, node) {
    if (!this.all.has(id)) {
      for (let at = id.indexOf("/"); at > 0; at = id.indexOf("/", at + 1)) {
        const outer = id.slice(0, at);
        const known = this.#within.get(outer);
        if (known) known.add(id);
        else this.#within.set(outer, new Set([id]));
      }
    }
    this.all.set(id, node);
  }
}

/**
 * Return what a node and all that is in it do together.
 * @param {NodeRun | null} own
 * @param {readonly NodeRun[]} within
 * @param {number} expected how many are in it, where the job may yet come to them
 * @returns {NodeRun}
 */
export function aggregate(own, within, expected) {
  if (within.length === 0) return own ?? IDLE;
  const all = own === null ? within : [own, ...within];
  const ended = all.filter(({ state }) => state !== "running" && state !== "waiting" && state !== "idle");
  const heaviest = BY_WEIGHT.find((state) => all.some((node) => node.state === state));
  const under = ended.length < Math.max(all.length, expected);
  const kept = all.every(({ state }) => state === "cached" || state === "skipped");
  const state = heaviest ?? (under ? "running" : kept ? (all[0]?.state ?? "idle") : "finished");
  const parts = all.reduce((sum, node) => sum + part(node), 0);
  const speaking = all.find((node) => node.state === state && node.message !== "");
  return {
    state,
    value: parts,
    total: Math.max(all.length, expected),
    message: speaking?.message ?? "",
    seconds: all.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0),
    warnings: [...new Set(all.flatMap(({ warnings }) => warnings))],
  };
}

/** @param {NodeRun} node */
function part({ state, value, total }) {
  if (state === "running") return total > 0 ? Math.min(1, value / total) : 0;
  return state === "idle" || state === "waiting" ? 0 : 1;
}

/** @param {string} state @returns {NodeState} */
function stateOf(state) {
  return STATES.has(state) ? /** @type {NodeState} */ (state) : "idle"; // which the set says
}

/**
 * Return a node's id in a job: with the instances that it is in.
 * @param {readonly string[]} path
 * @param {string} id
 */
export function nodeOf(path, id) {
  return [...path, id].join("/");
}

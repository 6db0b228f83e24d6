/**
 * Keeps all that is typed: a tab with a name is saved to the server after each change, over what it was read as; one
 * without a name, or one that cannot be saved as somebody else's is there by now, is kept as a draft. What the server
 * does not take is tried again until it does.
 */

import { ApiError } from "../../api/client.js";
import { liveOf } from "../../api/live.js";
import { browserStorage } from "../../api/storage.js";
import { newId } from "../../start.js";
import { DocumentError, readGraph, writeGraph } from "../../store/document.js";
import { equal } from "../../store/json.js";
import { Windows } from "./kept.js";
import { Spares } from "./spare.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/session.js").Session} Session */
/**
 * What is known of a tab. `kept`: the document that the server has, by its name or as a draft; `conflict`: what is
 * there in the place of the one that it was read as, undefined where nothing is wrong.
 * @typedef {Object} Keep
 * @property {Graph | null} kept
 * @property {string} draft
 * @property {string | null} draftEtag null where there is no draft
 * @property {string | null} template
 * @property {number} timer
 * @property {number} since when the first change was made that is not kept; 0 where all is
 * @property {Promise<void> | null} saving
 * @property {number} tries
 * @property {ApiError | null} failure
 * @property {boolean} spared whether this browser has what the server did not take
 * @property {{etag: string | null} | undefined} conflict
 * @property {boolean} gone
 */

export const DRAFTS = "drafts/";
const DELAY_MS = 400;
const MOST_MS = 2500;
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000, 30_000];
/** @type {WeakMap<Editor, Keeper>} */
const keepers = new WeakMap();

/** Whether two documents would be the same file. @param {Graph} a @param {Graph} b */
const says = (a, b) => equal(writeGraph(a), writeGraph(b));

/** @param {Editor} editor @returns {Keeper} */
export function keeperOf(editor) {
  const keeper = keepers.get(editor) ?? new Keeper(editor);
  keepers.set(editor, keeper);
  return keeper;
}

class Keeper {
  /** @type {Map<Session, Keep>} */
  #keeps = new Map();
  #ready = false;

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    const storage = browserStorage("localStorage");
    this.windows = new Windows(newId(), storage, browserStorage("sessionStorage"));
    this.spares = new Spares(storage);
    editor.on("sessions", () => this.#look());
    editor.on("saving", () => this.#look());
    editor.on("connection", () => liveOf(editor).connection.state === "open" && this.#again());
    editor.on("files", () => void this.#hearOfOthers());
    addEventListener("pagehide", () => this.#leave());
    addEventListener("beforeunload", (event) => this.#leave() || event.preventDefault());
    addEventListener("online", () => this.#again());
    document.addEventListener("visibilitychange", () => document.hidden && this.#leave());
  }

  /** What is known of a tab. @param {Session} session @returns {Keep} */
  of(session) {
    let keep = this.#keeps.get(session);
    if (keep === undefined) {
      keep = { kept: session.saved, draft: DRAFTS + session.id, draftEtag: null, template: null, timer: 0, since: 0,
        saving: null, tries: 0, failure: null, spared: false, conflict: undefined, gone: false };
      this.#keeps.set(session, keep);
    }
    return keep;
  }

  /** Tabs that are not kept at the moment, with why. @returns {{session: Session, failure: ApiError}[]} */
  failing() {
    const found = [];
    for (const [session, { failure }] of this.#keeps) if (failure !== null) found.push({ session, failure });
    return found;
  }

  /** From now on what is open is remembered. */
  begin() {
    this.#ready = true;
    this.#look();
  }

  /** Look which tabs came, went, or have changed. */
  #look() {
    if (!this.#ready) return;
    const { sessions } = this.editor;
    for (const [session, keep] of this.#keeps) if (!sessions.includes(session)) this.#close(session, keep);
    for (const session of sessions) if (this.#isBehind(session)) this.#schedule(session);
    this.#remember();
  }

  /** @param {Session} session */
  #isBehind(session) {
    const { kept } = this.of(session);
    return kept !== session.document && !(kept === null && session.document.nodes.size === 0 && !session.canUndo);
  }

  /** @param {Session} session @param {number} [delay] */
  #schedule(session, delay = DELAY_MS) {
    const keep = this.of(session);
    if (keep.saving !== null || (keep.failure !== null && keep.timer !== 0)) return;
    const now = Date.now();
    keep.since ||= now;
    clearTimeout(keep.timer);
    keep.timer = setTimeout(() => void this.settle(session), Math.max(0, Math.min(delay, keep.since + MOST_MS - now)));
  }

  /** Have a tab kept now, as far as the server takes it. @param {Session} session @returns {Promise<void>} */
  async settle(session) {
    const keep = this.of(session);
    clearTimeout(keep.timer);
    keep.timer = 0;
    while (!keep.gone && (keep.saving !== null || this.#isBehind(session))) {
      keep.saving ??= this.#save(session, keep).finally(() => (keep.saving = null));
      await keep.saving;
      if (keep.failure !== null) return;
    }
    keep.since = 0;
  }

  /** @param {Session} session @param {Keep} keep */
  async #save(session, keep) {
    const before = keep.failure;
    try {
      if (this.isNamed(session)) await this.#saveNamed(session, keep);
      else await this.#saveDraft(session, keep);
      keep.failure = null;
      keep.tries = 0;
      if (keep.kept === session.document) this.spares.drop(session.id);
    } catch (error) {
      this.#fail(session, keep, failureOf(error));
    }
    if (before !== keep.failure) this.#tell(session);
    this.#remember();
  }

  /** Whether changes of a tab go to the workflow that it is named after. @param {Session} session */
  isNamed(session) {
    return session.name !== null && this.editor.settings.get("autosave") && this.of(session).conflict === undefined;
  }

  /** @param {Session} session @param {Keep} keep */
  async #saveNamed(session, keep) {
    const { document, name } = session;
    try {
      const { etag } = await this.editor.api.saveWorkflow(name ?? "", writeGraph(document), session.etag,
        { autosave: true });
      if (session.name !== name) return;
      keep.kept = document;
      session.setSaved({ document, etag });
      await this.#dropDraft(keep);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412)) throw error;
      await this.meet(session);
    }
  }

  /**
   * Something else is there: it is taken for ours where it says the same.
   * @param {Session} session
   */
  async meet(session) {
    const keep = this.of(session);
    const there = await this.#there(session.name ?? "");
    if (there !== null && says(there.document, session.document)) {
      keep.kept = session.document;
      session.setSaved({ document: session.document, etag: there.etag });
      return;
    }
    keep.conflict = { etag: there?.etag ?? null };
    this.#tell(session);
  }

  /** What is saved by a name; null where nothing is. @param {string} name */
  async #there(name) {
    try {
      const { json, etag } = await this.editor.api.workflow(name);
      return { document: readGraph(json), etag };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** @param {Session} session @param {Keep} keep */
  async #saveDraft(session, keep) {
    const { document } = session;
    try {
      const saved = await this.editor.api.saveWorkflow(keep.draft, writeGraph(document), keep.draftEtag,
        { autosave: true });
      keep.draftEtag = saved.etag;
      keep.kept = document;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412)) throw error;
      const there = await this.#there(keep.draft);
      if (there !== null && says(there.document, document)) { // saved as the page was left, which heard no answer
        keep.draftEtag = there.etag;
        keep.kept = document;
      } else {
        keep.draft = DRAFTS + newId(); // another window has the draft too: both are kept
        keep.draftEtag = null;
      }
    }
  }

  /** @param {Keep} keep */
  async #dropDraft(keep) {
    const { draftEtag } = keep;
    if (draftEtag === null) return;
    keep.draftEtag = null;
    await this.editor.api.deleteWorkflow(keep.draft, draftEtag).catch((error) => {
      if (!(error instanceof ApiError)) throw error; // it stays among the drafts
    });
  }

  /** @param {Session} session @param {Keep} keep @param {ApiError} error */
  #fail(session, keep, error) {
    keep.failure = error;
    keep.spared = this.spares.put(session);
    const wait = RETRY_MS[Math.min(keep.tries, RETRY_MS.length - 1)] ?? 0;
    keep.tries += 1;
    keep.timer = setTimeout(() => void this.settle(session), Math.max(wait, (error.after ?? 0) * 1000));
  }

  /** Try again what failed. */
  #again() {
    for (const [session, keep] of this.#keeps) if (keep.failure !== null) void this.settle(session);
  }

  /** Try again now. */
  retry() {
    this.#again();
  }

  /** @param {Session} session */
  #tell(session) {
    this.editor.emit({ type: "saving", id: session.id });
  }

  /** A tab was closed: what was not to be kept is not among the drafts. @param {Session} session @param {Keep} keep */
  #close(session, keep) {
    keep.gone = true;
    clearTimeout(keep.timer);
    this.#keeps.delete(session);
    this.spares.drop(session.id);
    void (keep.saving ?? Promise.resolve()).then(() => this.#dropDraft(keep));
  }

  /** The page is left: what the server does not have yet is kept here. @returns {boolean} whether nothing is lost */
  #leave() {
    let safe = true;
    for (const session of this.#ready ? this.editor.sessions : []) {
      if (!this.#isBehind(session)) continue;
      if (!this.spares.put(session)) safe = false;
      void this.settle(session);
    }
    return safe;
  }

  /** Remember which tabs are open. */
  #remember() {
    if (!this.#ready) return;
    const tabs = this.editor.sessions.map((session) => {
      const { draft, draftEtag, template, kept } = this.of(session);
      const { id, name, title, etag } = session;
      return { id, name, title, etag, draft: draftEtag === null ? null : draft,
        template: kept === session.document ? template : null };
    });
    this.windows.keep({ tabs, current: this.editor.session.id });
  }

  /** Another window, or somebody else, saved or deleted what is open here. */
  async #hearOfOthers() {
    for (const session of this.editor.sessions) {
      const { name } = session;
      const told = name === null ? undefined : this.editor.runs.saved.get(name);
      const keep = this.of(session);
      const restored = keep.conflict?.etag === null && told !== null;
      if (told === undefined || keep.saving !== null || session.dirty) continue;
      if (!restored && (told === session.etag || keep.conflict)) continue;
      const there = await this.#there(name ?? "").catch(() => undefined);
      if (there === undefined || session.dirty || session.name !== name) continue;
      if (there === null) this.#miss(session, keep);
      else if (there.etag !== session.etag) this.take(session, there.document, there.etag, "Changes from elsewhere");
      else this.take(session, session.document, there.etag, "");
    }
  }

  /** What is open is not saved any more: it is kept as a draft. @param {Session} session @param {Keep} keep */
  #miss(session, keep) {
    keep.conflict = { etag: null };
    keep.kept = null;
    this.#tell(session);
  }

  /**
   * Put the server's document in the place of a tab's.
   * @param {Session} session
   * @param {Graph} document
   * @param {string} etag
   * @param {string} label
   */
  take(session, document, etag, label) {
    const keep = this.of(session);
    keep.conflict = undefined;
    keep.kept = document;
    session.replace(document, label);
    session.setSaved({ document, etag });
    void this.#dropDraft(keep).then(() => this.#remember());
  }

  /** Note that a tab was saved under a name, by its own wish. @param {Session} session @param {Graph} document */
  async saved(session, document) {
    const keep = this.of(session);
    keep.conflict = undefined;
    keep.kept = document;
    keep.template = null;
    this.#tell(session);
    await this.#dropDraft(keep);
    this.#look();
  }
}

/**
 * Return why a tab is not kept: the server did not take it, or has something by its name that is no workflow.
 * @param {unknown} error
 */
function failureOf(error) {
  if (error instanceof ApiError) return error;
  if (error instanceof DocumentError) return new ApiError(422, "unreadable", error.message);
  throw error;
}

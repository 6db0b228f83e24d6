/** What is opened: saved workflows, templates, drafts, jobs; what the address names; what was open before. */

import { ApiError, pathOf } from "../../api/http.js";
import { newId, openTab } from "../../start.js";
import { readGraph } from "../../store/document.js";
import { Session } from "../../store/session.js";
import { openJob } from "../output_actions.js";
import { DRAFTS, keeperOf } from "./keeper.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("./kept.js").KeptTab} KeptTab */

const FIRST = "text_to_image";

/**
 * Open what was open before and what the address names; where that is nothing, the first template.
 * @param {Editor} editor
 */
export async function openFirst(editor) {
  const keeper = keeperOf(editor);
  const link = new URLSearchParams(location.search);
  try {
    await restore(editor);
    await openLink(editor, link);
    if (editor.sessions.every(isPristine)) await openTemplate(editor, FIRST);
  } catch (error) {
    editor.fail("The workflow could not be opened", error);
  }
  keeper.begin();
  followAddress(editor);
}

/** An empty tab in which nothing was done. @param {Session} session */
function isPristine(session) {
  return session.name === null && !session.canUndo && session.document.nodes.size === 0;
}

/** Close the empty tab that the page came up with. @param {Editor} editor @param {Session} opened */
function replaceEmpty(editor, opened) {
  const empty = editor.sessions.find((session) => session !== opened && isPristine(session));
  if (empty) editor.close(empty.id);
}

/** Open what an address names. @param {Editor} editor @param {URLSearchParams} link */
async function openLink(editor, link) {
  const [workflow, template, job] = ["workflow", "template", "job"].map((name) => link.get(name));
  const what = workflow ?? template ?? job;
  try {
    if (workflow) await openSaved(editor, workflow);
    else if (template) await openTemplate(editor, template);
    else if (job) await openOfJob(editor, job);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) return editor.fail(`“${what}” could not be opened`,
      error);
    const text = `There is no ${workflow ? "workflow" : template ? "template" : "job"} “${what}” here.`;
    editor.notify({ text, kind: "error", action: { title: "Open another", run: () => editor.perform("file.open") } });
  }
}

/**
 * Open a saved workflow; where it is open already, its tab is shown.
 * @param {Editor} editor
 * @param {string} name
 * @returns {Promise<Session>}
 */
export async function openSaved(editor, name) {
  const open = editor.sessions.find((session) => session.name === name);
  if (open) {
    editor.select(open.id);
    return open;
  }
  const { json, etag } = await editor.api.workflow(name);
  const document = readGraph(json);
  const session = openTab(editor, { name, document, etag, saved: document });
  replaceEmpty(editor, session);
  return session;
}

/** @param {Editor} editor @param {string} name */
export async function openTemplate(editor, name) {
  const document = readGraph(await editor.api.template(name));
  const session = openTab(editor, { title: titleOfTemplate(name), document, saved: document });
  keeperOf(editor).of(session).template = name;
  replaceEmpty(editor, session);
  return session;
}

/** @param {string} name */
export function titleOfTemplate(name) {
  const title = name.split("/").at(-1)?.replaceAll("_", " ") ?? name;
  return title.charAt(0).toUpperCase() + title.slice(1);
}

/** @param {Editor} editor @param {string} id */
async function openOfJob(editor, id) {
  const job = await editor.api.job(id);
  await openJob(editor, id, job.name || "Job");
  replaceEmpty(editor, editor.session);
}

/** Open what was kept of a tab that is not there any more. @param {Editor} editor @param {string} name of the draft */
export async function openDraft(editor, name) {
  const { json, etag } = await editor.api.workflow(name);
  const id = name.slice(DRAFTS.length);
  const open = editor.sessionById(id);
  if (open) return editor.select(open.id);
  const document = readGraph(json);
  const session = new Session({ id, title: "Draft", document });
  Object.assign(keeperOf(editor).of(session), { kept: document, draft: name, draftEtag: etag });
  editor.open(session);
  replaceEmpty(editor, session);
}

/** Open the tabs that were open before. @param {Editor} editor */
async function restore(editor) {
  const { tabs, current } = await keeperOf(editor).windows.claim();
  const found = await Promise.all(tabs.map((tab) => readTab(editor, tab)));
  const sessions = found.filter((session) => session !== null);
  for (const session of sessions) editor.open(session, { select: false });
  const shown = sessions.find(({ id }) => id === current) ?? sessions[0];
  if (shown === undefined) return;
  editor.select(shown.id);
  replaceEmpty(editor, shown);
}

/** @param {Editor} editor @param {KeptTab} tab @returns {Promise<Session | null>} */
async function readTab(editor, tab) {
  try {
    return await sessionOf(editor, tab);
  } catch (error) {
    const gone = error instanceof ApiError && error.status === 404;
    const text = gone ? `“${tab.name ?? tab.title}” was open before, and is not on the server any more.` : "";
    if (gone && tab.name !== null) editor.notify({ text, kind: "warn" });
    else if (!gone) editor.fail(`“${tab.name ?? tab.title}” could not be opened again`, error);
    return null;
  }
}

/** @param {Editor} editor @param {KeptTab} tab @returns {Promise<Session | null>} */
async function sessionOf(editor, tab) {
  const keeper = keeperOf(editor);
  const spare = keeper.spares.get(tab.id);
  const { id, name, title } = tab;
  if (spare === null && tab.draft === null && name !== null) {
    const { json, etag } = await editor.api.workflow(name);
    const document = readGraph(json);
    return new Session({ id, name, title, document, etag, saved: document });
  }
  if (spare === null && tab.draft === null && tab.template !== null) {
    const document = readGraph(await editor.api.template(tab.template));
    const session = new Session({ id, title, document, saved: document });
    keeper.of(session).template = tab.template;
    return session;
  }
  const draft = tab.draft === null ? null : await editor.api.workflow(tab.draft).catch(missing);
  const kept = draft === null ? null : readGraph(draft.json);
  const document = spare ?? kept;
  if (document === null) return null;
  const session = new Session({ id, name, title, document, etag: tab.etag });
  if (draft !== null) Object.assign(keeper.of(session), { kept, draft: tab.draft, draftEtag: draft.etag });
  if (name !== null) keeper.of(session).kept = null; // what is there by its name now is asked when it is saved
  return session;
}

/** @param {unknown} error @returns {null} */
function missing(error) {
  if (error instanceof ApiError && error.status === 404) return null;
  throw error;
}

/** The address names what is shown, so that it can be passed on and is there after a reload. @param {Editor} editor */
function followAddress(editor) {
  const follow = () => {
    const { name } = editor.session;
    const address = name === null ? location.pathname : linkTo({ workflow: name });
    if (address !== location.pathname + location.search) history.replaceState(history.state, "",
      address + location.hash);
  };
  editor.on("session", follow);
  editor.on("saving", follow);
  follow();
}

/** @param {{workflow?: string, template?: string, job?: string}} what @returns {string} */
export function linkTo(what) {
  const [[key, value] = ["", ""]] = Object.entries(what);
  return `${location.pathname}?${key}=${pathOf(value)}`;
}

/** @param {Editor} editor @param {Graph} document @param {string} title */
export function openCopy(editor, document, title) {
  const session = new Session({ id: newId(), title, document });
  editor.open(session, { after: true });
  return session;
}

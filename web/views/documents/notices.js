/**
 * What the user is told of documents above the canvas: somebody else saved it, it cannot be saved, parts are missing.
 */

import { liveOf } from "../../api/live.js";
import { el, fill } from "../dom.js";
import { icon } from "../icons.js";
import { titleOf } from "../shell/tabs.js";
import { keeperOf } from "./keeper.js";
import { missingOf, missingWords } from "./missing.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/session.js").Session} Session */
/** @typedef {{name: string, kind: "warn" | "error" | "info", text: string, buttons: readonly HTMLElement[]}} Notice */

/** A failure that the next try mends is nothing to read of. */
const PATIENCE_TRIES = 2;

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const list = el("div", { class: "document-notices" });
  host.append(list);
  /** @type {WeakMap<Session, string>} */
  const putAway = new WeakMap();
  let drawn = "";
  const draw = () => {
    const notices = noticesOf(editor, putAway, draw);
    const key = [editor.session.id, ...notices.map(({ text }) => text)].join("\n");
    if (key === drawn) return;
    drawn = key;
    fill(list, ...notices.map(drawNotice));
  };
  const types = /** @type {const} */ (["saving", "session", "sessions", "catalogue", "document", "connection"]);
  const offs = types.map((type) => editor.on(type, draw));
  draw();
  return { destroy: () => (offs.forEach((off) => off()), list.remove()) };
}

/** @param {Notice} notice */
function drawNotice({ name, kind, text, buttons }) {
  return el("div", { class: "banner", role: kind === "error" ? "alert" : "status", data: { banner: name, kind } },
    icon(kind === "info" ? "info" : "warning"), el("span", { class: "banner-text", text }),
      el("span", { class: "spacer" }),
    ...buttons);
}

/**
 * @param {Editor} editor
 * @param {WeakMap<Session, string>} putAway
 * @param {() => void} draw
 * @returns {Notice[]}
 */
function noticesOf(editor, putAway, draw) {
  return [failing(editor), conflict(editor), missing(editor, putAway, draw)].filter((notice) => notice !== null);
}

/** @param {string} title @param {string} name @param {() => unknown} act @param {string} [kind] */
function button(title, name, act, kind = "") {
  return el("button", { class: `button small ${kind}`, type: "button", text: title, data: { action: name },
    on: { click: act } });
}

/** @param {Editor} editor @returns {Notice | null} */
function failing(editor) {
  const keeper = keeperOf(editor);
  const all = keeper.failing();
  const { state } = liveOf(editor).connection;
  const told = all.filter(({ session, failure }) => !failure.passing || keeper.of(session).tries >= PATIENCE_TRIES);
  if (told.length === 0 || state === "denied") return null;
  const [{ session, failure }] = told;
  const what = told.length === 1 ? `“${titleOf(session)}” is` : `${told.length} tabs are`;
  const spared = all.every((one) => keeper.of(one.session).spared);
  const where = spared ? "this browser keeps it meanwhile"
    : "this browser has no room for it either: leave this page open, or download the workflow";
  const text = `${what} not saved: ${failure.message}. It is tried again until it is; ${where}.`;
  return { name: "unsaved", kind: "warn", text, buttons: [button("Try now", "retry", () => keeper.retry())] };
}

/** @param {Editor} editor @returns {Notice | null} */
function conflict(editor) {
  const { session } = editor;
  const found = keeperOf(editor).of(session).conflict;
  if (found === undefined || session.name === null) return null;
  const { id } = session;
  const perform = (/** @type {string} */ command) => () => editor.perform(command, id);
  if (found.etag === null) {
    const text = `“${session.name}” was deleted. What you have here is kept as a draft.`;
    return { name: "conflict", kind: "warn", text,
      buttons: [button("Save it again", "mine", perform("file.saveAgain"), "primary")] };
  }
  const text = `“${session.name}” was saved elsewhere while you changed it here. `
    + "Yours is kept as a draft until you choose.";
  return { name: "conflict", kind: "warn", text, buttons: [
    button("Show the difference", "difference", perform("file.conflict")),
    button("Keep mine as a copy", "copy", perform("file.keepMine")),
    button("Take theirs", "theirs", perform("file.takeTheirs")),
  ] };
}

/**
 * @param {Editor} editor
 * @param {WeakMap<Session, string>} putAway
 * @param {() => void} draw
 * @returns {Notice | null}
 */
function missing(editor, putAway, draw) {
  const { session } = editor;
  if (editor.catalogue.types.size === 0) return null;
  const text = missingWords(missingOf(editor, session.document));
  if (text === "" || putAway.get(session) === text) return null;
  const hide = () => (putAway.set(session, text), draw());
  return { name: "missing", kind: "info", text, buttons: [
    button("Show", "show", () => editor.perform("file.missing")), button("Put away", "hide", hide)] };
}

/** The tabs of open workflows: a dot where something is not saved; moved by dragging, closed by the middle button. */

import { el } from "../dom.js";
import { icon } from "../icons.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/session.js").Session} Session */

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const list = el("div", { class: "tab-list scroll", role: "tablist", "aria-label": "Open workflows" });
  const add = el("button", { class: "icon-button", type: "button", "aria-label": "New workflow",
    data: { command: "tab.new", tip: "New workflow" }, on: { click: () => editor.perform("tab.new") } }, icon("plus"));
  host.append(list, add);
  const draw = () => update(editor, list);
  const offs = [editor.on("sessions", draw), editor.on("session", draw), editor.on("saving", draw)];
  list.addEventListener("keydown", (event) => steer(editor, list, event));
  draw();
  return { destroy: () => (offs.forEach((off) => off()), host.replaceChildren()) };
}

/** The tab that a command is given by its id; without one, the open one. @param {Editor} editor @param {unknown} id */
export function tabOf(editor, id) {
  return (typeof id === "string" ? editor.sessionById(id) : null) ?? editor.session;
}

/** The name of a tab as it is shown. @param {Session} session */
export function titleOf(session) {
  return session.title || session.name?.split("/").at(-1) || "Untitled";
}

/**
 * @param {Editor} editor
 * @param {HTMLElement} list
 */
function update(editor, list) {
  const known = new Map([...list.children].map((tab) => [tab instanceof HTMLElement ? tab.dataset.tab : "", tab]));
  const tabs = editor.sessions.map((session) => {
    const tab = known.get(session.id);
    return tab instanceof HTMLElement ? tab : make(editor, list, session.id);
  });
  const focused = list.contains(document.activeElement);
  const moved = list.children.length !== tabs.length || tabs.some((tab, at) => list.children[at] !== tab);
  if (moved) list.replaceChildren(...tabs);
  const before = list.querySelector('[data-selected="true"]');
  editor.sessions.forEach((session, at) => mark(tabs[at], session, session === editor.session));
  const shown = tabs[editor.sessions.indexOf(editor.session)];
  if (!moved && shown === before) return; // an edit has only changed a dot
  shown.scrollIntoView({ block: "nearest", inline: "nearest" });
  const button = shown.querySelector(".tab-button");
  if (focused && button instanceof HTMLElement) button.focus();
}

/**
 * @param {HTMLElement} tab
 * @param {Session} session
 * @param {boolean} selected
 */
function mark(tab, session, selected) {
  const title = titleOf(session);
  const dirty = session.dirty;
  const button = tab.querySelector(".tab-button");
  const name = tab.querySelector(".tab-title");
  if (name && name.textContent !== title) name.textContent = title;
  tab.dataset.dirty = String(dirty);
  tab.dataset.selected = String(selected);
  tab.dataset.tip = session.name ?? title;
  if (!(button instanceof HTMLElement)) return;
  button.setAttribute("aria-selected", String(selected));
  button.setAttribute("aria-label", dirty ? `${title}, not saved` : title);
  button.tabIndex = selected ? 0 : -1;
  tab.querySelector(".tab-close")?.setAttribute("aria-label", `Close ${title}`);
}

/**
 * @param {Editor} editor
 * @param {HTMLElement} list
 * @param {string} id
 */
function make(editor, list, id) {
  const button = el("button", { class: "tab-button", type: "button", role: "tab", on: {
    click: () => editor.select(id),
    dblclick: () => editor.perform("tab.rename", id),
  } }, el("span", { class: "tab-title cut" }));
  const close = el("button", { class: "icon-button small tab-close", type: "button", tabindex: "-1",
    on: { click: () => editor.perform("tab.close", id) } },
  el("span", { class: "tab-dot" }), icon("close"));
  const tab = el("div", { class: "tab", role: "presentation", data: { tab: id } }, button, close);
  tab.addEventListener("auxclick", (event) => event.button === 1 && editor.perform("tab.close", id));
  tab.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    editor.perform("menu.context", { kind: "tab", id, screen: { x: event.clientX, y: event.clientY } });
  });
  dragged(editor, list, tab, id);
  return tab;
}

/**
 * Move a tab where the pointer carries it.
 * @param {Editor} editor
 * @param {HTMLElement} list
 * @param {HTMLElement} tab
 * @param {string} id
 */
function dragged(editor, list, tab, id) {
  let start = 0;
  let held = false;
  tab.addEventListener("pointerdown", (event) => {
    held = event.button === 0;
    start = event.clientX;
  });
  tab.addEventListener("pointermove", (event) => {
    if (!held || event.buttons !== 1 || Math.abs(event.clientX - start) < 6) return;
    tab.setPointerCapture(event.pointerId);
    tab.dataset.moving = "true";
    const others = [...list.children].filter((other) => other !== tab);
    const to = others.filter((other) => middle(other) < event.clientX).length;
    if (editor.sessions.findIndex((session) => session.id === id) !== to) editor.moveTab(id, to);
  });
  const end = () => {
    held = false;
    delete tab.dataset.moving;
  };
  tab.addEventListener("pointerup", end);
  tab.addEventListener("pointercancel", end);
}

/** @param {Element} element */
function middle(element) {
  const { left, width } = element.getBoundingClientRect();
  return left + width / 2;
}

/**
 * @param {Editor} editor
 * @param {HTMLElement} list
 * @param {KeyboardEvent} event
 */
function steer(editor, list, event) {
  const at = editor.sessions.indexOf(editor.session);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Delete") editor.perform("tab.close", editor.session.id);
  else if (to === undefined || event.ctrlKey || event.altKey) return;
  else editor.select(editor.sessions.at(to % editor.sessions.length)?.id ?? "");
  event.preventDefault();
  event.stopPropagation();
  const shown = list.querySelector('[aria-selected="true"]');
  if (shown instanceof HTMLElement) shown.focus();
}

/** Panels in the dock at the right, one at a time; a panel is mounted when it is first shown, and kept from then on. */

import { el } from "../dom.js";
import { icon } from "../icons.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {(editor: Editor, host: HTMLElement) => {destroy(): void}} Mount */
/**
 * @typedef {Object} Panel
 * @property {string} id for `data-panel`, and for the command `panel.<id>`
 * @property {string} title
 * @property {string} icon
 * @property {Mount} mount
 * @property {readonly string[]} [keys]
 */

/** Below this width of the window panels lie over the canvas. */
const OVER = 960;
const WIDTHS = { least: 260, most: 720 };

/** The panels of the page. */
export class Panels {
  /** @type {Map<string, Panel>} */
  #panels = new Map();
  /** @type {Map<string, HTMLElement>} */
  #hosts = new Map();
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  /** @type {string | null} */
  #shown = null;

  /**
   * @param {Editor} editor
   * @param {{rail: HTMLElement, dock: HTMLElement}} places `rail`: where the buttons are
   */
  constructor(editor, { rail, dock }) {
    this.editor = editor;
    this.rail = rail;
    this.dock = dock;
    dock.append(this.#sash(dock));
    dock.style.setProperty("--dock-width", `${editor.settings.get("dockWidth")}px`);
  }

  /**
   * Add a panel, and the command that shows and hides it.
   * @param {Panel} panel
   */
  add(panel) {
    this.#panels.set(panel.id, panel);
    const button = el("button", { class: "icon-button rail-button", type: "button", "aria-label": panel.title,
      "aria-pressed": "false", data: { command: `panel.${panel.id}`, tip: panel.title },
      on: { click: () => this.toggle(panel.id) } }, icon(panel.icon), el("span", { class: "badge", hidden: true }));
    this.#buttons.set(panel.id, button);
    this.rail.append(button);
    this.editor.commands.add([{ id: `panel.${panel.id}`, title: `${panel.title}: show or hide`, group: "Panels",
      keys: panel.keys ?? [], run: () => this.toggle(panel.id) }]);
    this.editor.keys.refresh();
  }

  /** @param {string} id */
  shows(id) {
    return this.#shown === id;
  }

  /** @param {string} id */
  toggle(id) {
    if (this.shows(id)) this.hide();
    else this.show(id, { focus: true });
  }

  /**
   * Show a panel in the place of the one on its side.
   * @param {string} id
   * @param {{focus?: boolean}} [options]
   */
  show(id, { focus = false } = {}) {
    const panel = this.#panels.get(id);
    if (panel === undefined) return;
    const host = this.#hosts.get(id) ?? this.#make(panel);
    if (this.#shown !== null && this.#shown !== id) this.#hosts.get(this.#shown)?.setAttribute("hidden", "");
    host.hidden = false;
    this.dock.hidden = false;
    this.#shown = id;
    this.#mark();
    this.#remember("open", id);
    if (focus) this.#focus(host);
    this.editor.emit({ type: "view" });
  }

  /** Hide the panel that is shown. */
  hide() {
    const id = this.#shown;
    const host = id === null ? undefined : this.#hosts.get(id);
    const focused = this.dock.contains(document.activeElement);
    if (host) host.hidden = true;
    this.dock.hidden = true;
    this.#shown = null;
    this.#mark();
    this.#remember("closed", id ?? "");
    if (focused) (id === null ? null : this.#buttons.get(id))?.focus();
    this.editor.emit({ type: "view" });
  }

  /** Show the panel that was shown when the page was left. */
  restore() {
    const { dock, dockTab } = this.editor.settings.values;
    if (dock === "open" && innerWidth > OVER) this.show(dockTab);
  }

  /** @param {"open" | "closed"} dock @param {string} tab */
  #remember(dock, tab) {
    this.editor.settings.set("dock", dock);
    this.editor.settings.set("dockTab", tab);
  }

  /**
   * Show a small text on a panel's button, such as a count; "" for none.
   * @param {string} id
   * @param {string} text
   * @param {"info" | "error"} [kind]
   */
  badge(id, text, kind = "info") {
    const label = this.#buttons.get(id)?.querySelector(".badge");
    if (!(label instanceof HTMLElement)) return;
    label.textContent = text;
    label.hidden = text === "";
    label.dataset.kind = kind;
  }

  /** @param {Panel} panel */
  #make(panel) {
    const title = el("h2", { text: panel.title });
    const body = el("div", { class: "panel-body" });
    const host = el("section", { class: "panel", data: { panel: panel.id }, "aria-label": panel.title });
    const close = el("button", { class: "icon-button", type: "button", "aria-label": `Close ${panel.title}`,
      on: { click: () => this.hide() } }, icon("close"));
    host.append(el("header", { class: "panel-head" }, title, el("span", { class: "spacer" }), close), body);
    host.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.hide();
    });
    this.#hosts.set(panel.id, host);
    this.dock.append(host);
    panel.mount(this.editor, body);
    return host;
  }

  /** @param {HTMLElement} host */
  #focus(host) {
    const first = host.querySelector(".panel-body :is(button, input, select, textarea, a[href], [tabindex='0'])");
    if (first instanceof HTMLElement) first.focus();
  }

  /** Mark the buttons of what is shown. */
  #mark() {
    for (const [id, button] of this.#buttons) button.setAttribute("aria-pressed", String(this.shows(id)));
  }

  /**
   * Make the edge by which the dock is made wider, with pointer or arrow keys.
   * @param {HTMLElement} dock
   */
  #sash(dock) {
    const sash = el("div", { class: "sash", role: "separator", "aria-orientation": "vertical", tabindex: "0",
      "aria-label": "Width of the panels" });
    const set = (/** @type {number} */ width) => {
      const fits = Math.max(WIDTHS.least, Math.min(width, WIDTHS.most, innerWidth - 200));
      dock.style.setProperty("--dock-width", `${fits}px`);
      sash.setAttribute("aria-valuenow", String(Math.round(fits)));
      this.editor.settings.set("dockWidth", Math.round(fits));
    };
    sash.addEventListener("pointerdown", (event) => {
      sash.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    sash.addEventListener("pointermove", (event) => {
      if (sash.hasPointerCapture(event.pointerId)) set(dock.getBoundingClientRect().right - event.clientX);
    });
    sash.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: 16, ArrowRight: -16 }[event.key];
      if (step !== undefined) set(dock.getBoundingClientRect().width + step);
    });
    return sash;
  }
}

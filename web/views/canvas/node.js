/** A node as elements: there only while it is in view. */

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { makeRow, rowKey } from "./rows.js";

/** @import {NodeRun} from "../../store/types.js" */
/** @import {Placed} from "./scene.js" */
/** @import {RowHost, RowView} from "./rows.js" */

const MODES = { mute: "muted", bypass: "bypassed" };

/** The elements of one node. */
export class NodeView {
  /** @param {RowHost} host @param {string} id */
  constructor(host, id) {
    this.host = host;
    this.id = id;
    /** @type {Placed | null} */
    this.placed = null;
    /** @type {Map<string, RowView>} */
    this.rows = new Map();
    this.title = el("span", { class: "node-title cut" });
    this.badges = el("span", { class: "node-badges" });
    this.bar = el("span", { class: "node-bar" });
    this.mark = el("span", { class: "node-mark" });
    this.header = el("header", { class: "node-header" }, this.title, this.badges, this.mark);
    this.body = el("div", { class: "node-body" });
    this.progress = el("div", { class: "node-progress" }, this.bar);
    this.element = el("article", { class: "node", role: "group", tabindex: "-1", "aria-roledescription": "node" });
    this.element.dataset.node = id;
    this.element.append(this.header, this.progress, this.body, el("div", { class: "node-resize" }));
    this.state = "";
    this.selected = false;
  }

  /** @param {Placed} placed @param {number} order */
  update(placed, order) {
    const last = this.placed;
    this.placed = placed;
    const { box } = placed;
    this.element.style.translate = `${box.x}px ${box.y}px`;
    this.element.style.zIndex = String(order);
    if (last && last.node === placed.node && last.type === placed.type && last.laid === placed.laid) return;
    this.element.style.width = `${box.width}px`;
    this.element.style.height = `${box.height}px`;
    this.updateHeader(placed);
    this.updateRows(placed);
  }

  /** @param {Placed} placed */
  updateHeader({ node, type }) {
    const title = node.view.title || type.title;
    this.title.textContent = title;
    this.header.title =
      type.missing ?? (type.deprecated ? `${type.title}: ${type.deprecated}` : `${type.title} (${this.id})`);
    this.badges.replaceChildren(...badgesOf(node, type).map(badge));
    const set = this.element.dataset;
    setOrDrop(set, "mode", node.mode);
    setOrDrop(set, "color", node.view.color ?? null);
    this.element.toggleAttribute("data-missing", type.missing !== null);
    this.element.toggleAttribute("data-collapsed", node.view.collapsed === true);
    this.element.toggleAttribute("data-subgraph", node.graph !== null);
    this.label();
  }

  /** @param {Placed} placed */
  updateRows(placed) {
    const wanted = new Map(placed.laid.rows.map((row) => [rowKey(row), row]));
    for (const [key, view] of this.rows) {
      if (wanted.has(key)) continue;
      view.destroy();
      this.rows.delete(key);
    }
    for (const [key, row] of wanted) {
      let view = this.rows.get(key);
      if (!view) {
        view = makeRow(this.host, row, placed);
        this.rows.set(key, view);
        this.body.append(view.element);
      }
      view.update(row, placed);
    }
  }

  /** Draw the ports again: a link to an output is no change of its own node. */
  refresh() {
    if (this.placed) this.updateRows(this.placed);
  }

  /** Let Tab come to this node and its ports, or not. @param {boolean} on */
  reach(on) {
    this.element.tabIndex = on ? 0 : -1;
    for (const port of this.element.querySelectorAll("[data-port]"))
      if (port instanceof HTMLElement) port.tabIndex = on ? 0 : -1;
  }

  /** @param {boolean} selected */
  select(selected) {
    if (this.selected === selected) return;
    this.selected = selected;
    this.element.toggleAttribute("data-selected", selected);
    this.label();
  }

  /** @param {NodeRun} run @param {{state: string, why: string} | null} mark @param {string} problem */
  show(run, mark, problem) {
    const part = run.total > 0 ? Math.min(1, run.value / run.total) : run.state === "running" ? 0 : 1;
    const state = `${run.state} ${part} ${run.message}\n${mark?.state} ${mark?.why}\n${problem}`;
    if (state === this.state) return;
    this.state = state;
    this.element.dataset.state = run.state;
    this.element.toggleAttribute("data-steps", run.total > 0);
    this.bar.style.scale = `${part} 1`;
    this.progress.title = run.message;
    setOrDrop(this.element.dataset, "mark", mark?.state ?? null);
    setOrDrop(this.element.dataset, "error", problem ? "" : null);
    this.mark.title =
      problem ||
      run.message ||
      (mark ? (mark.state === "cached" ? `Will be reused: ${mark.why}` : `Will run: ${mark.why}`) : "");
    this.label();
  }

  label() {
    if (!this.placed) return;
    const { node, type } = this.placed;
    const state = this.element.dataset.state;
    const facts = [node.view.title || type.title, this.id];
    if (node.mode) facts.push(MODES[node.mode]);
    if (state && state !== "idle") facts.push(state);
    if (this.selected) facts.push("selected");
    this.element.setAttribute("aria-label", facts.join(", "));
  }

  destroy() {
    for (const view of this.rows.values()) view.destroy();
    this.rows.clear();
    this.element.remove();
  }
}

/** What a header tells in signs, each with its words. @param {Placed["node"]} node @param {Placed["type"]} type */
function badgesOf(node, type) {
  /** @type {[string, string][]} */
  const found = [];
  if (type.missing) found.push(["warning", "missing"]);
  if (type.deprecated) found.push(["history", "outdated"]);
  if (node.mode) found.push([node.mode, MODES[node.mode]]);
  if (node.view.pinned) found.push(["pin", "pinned"]);
  if (node.graph !== null) found.push(["subgraph", "subgraph"]);
  return found;
}

/** @param {[string, string]} badge */
const badge = ([drawing, words]) =>
  el(
    "span",
    { class: "node-badge", title: words, role: "img", "aria-label": words, data: { badge: words } },
    icon(drawing),
  );

/** @param {DOMStringMap} set @param {string} name @param {string | null} value */
function setOrDrop(set, name, value) {
  if (value === null) delete set[name];
  else set[name] = value;
}

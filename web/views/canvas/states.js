/** What nodes do, would do, and what is wrong with them, shown on those in view. */

import { nodeOf } from "../../store/runs.js";
import { markOf, problemOf } from "./bodies.js";

/** @import {EditorEvent, NodeRun} from "../../store/types.js" */
/** @import {Canvas} from "./canvas.js" */
/** @import {NodeView} from "./node.js" */

/** Follows jobs. */
export class States {
  /** @param {Canvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.editor = canvas.editor;
    this.frame = 0;
    /** @type {Set<string> | "all"} nodes that may show more or less than before */
    this.unmeasured = new Set();
    const { editor } = this;
    this.offs = [
      editor.on("run", (event) => this.onRun(event)),
      editor.on("preview", (event) => this.remeasure(event.type === "preview" ? this.own(event.node) : null)),
      editor.on("outputs", () => this.remeasure("all")),
      editor.on("problems", () => this.showAll()),
    ];
  }

  /** @param {EditorEvent} event */
  onRun(event) {
    if (event.type !== "run") return;
    if (event.node === null) {
      this.showAll();
      this.remeasure("all");
    } else if (event.job === this.editor.session.job) {
      const node = this.canvas.nodes.get(this.own(event.node) ?? "");
      if (node) this.show(node);
      this.canvas.invalidate();
    }
  }

  /** The node of the shown graph that a node of a job is, or is in. @param {string} id @returns {string | null} */
  own(id) {
    const prefix = this.editor.session.path.map((part) => `${part}/`).join("");
    return id.startsWith(prefix) ? id.slice(prefix.length).split("/")[0] : null;
  }

  /** @param {string} id @returns {NodeRun} */
  runOf(id) {
    const { session, runs } = this.editor;
    return runs.node(session.job, nodeOf(session.path, id));
  }

  showAll() {
    for (const node of this.canvas.nodes.shown.values()) this.show(node);
    this.canvas.invalidate();
  }

  /** @param {NodeView} node */
  show(node) {
    const { editor } = this;
    node.show(this.runOf(node.id), markOf(editor, node.id), problemOf(editor, node.id));
  }

  /**
   * A picture more or less makes nodes higher or lower; asked often, done once a frame.
   * @param {string | "all" | null} id
   */
  remeasure(id) {
    if (id === null) return;
    if (id === "all") this.unmeasured = "all";
    else if (this.unmeasured !== "all") this.unmeasured.add(id);
    this.frame ||= requestAnimationFrame(() => {
      const remeasure = this.unmeasured;
      this.frame = 0;
      this.unmeasured = new Set();
      this.canvas.follow({ remeasure });
    });
  }

  destroy() {
    for (const off of this.offs) off();
    cancelAnimationFrame(this.frame);
  }
}

/** What the ports' colours and shapes mean: the types of the graph that is shown. */

import { el } from "../dom.js";

/** @import {Canvas} from "./canvas.js" */

/** Shows and hides the legend. */
export class Legend {
  /** @param {Canvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.list = el("ul");
    this.element = el(
      "section",
      { class: "legend", "aria-label": "Types", hidden: true },
      el("h3", { text: "Types" }),
      this.list,
      el("p", { class: "dim small-text", text: "An open mark is not wired yet; an outlined one is a list." }),
    );
    this.element.dataset.own = "";
  }

  /** @returns {boolean} whether it is shown now */
  toggle() {
    this.element.hidden = !this.element.hidden;
    this.update();
    return !this.element.hidden;
  }

  update() {
    if (this.element.hidden) return;
    const types = new Set();
    for (const { type } of this.canvas.scene.nodes.values()) {
      for (const port of [...type.inputs.values(), ...type.outputs.values()]) if (!port.field) types.add(port.type);
    }
    this.list.replaceChildren(...[...types].sort().map((type) => this.entry(type)));
  }

  /** @param {string} type */
  entry(type) {
    const look = this.canvas.editor.catalogue.look(type);
    const mark = el("span", { class: "port-mark", "aria-hidden": "true" });
    mark.dataset.shape = look.shape;
    mark.toggleAttribute("data-list", look.list);
    mark.style.setProperty("--hue", `var(--type-${look.hue})`);
    return el("li", {}, el("span", { class: "port", data: { linked: "" } }, mark), el("span", { text: type }));
  }
}

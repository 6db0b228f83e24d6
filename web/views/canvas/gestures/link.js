/** Wiring by the pointer: a new link, one that is taken off its input, or all links of an output. */

import { curve } from "../../../geometry/curves.js";
import { candidates } from "../../../store/checks.js";
import { connect, disconnect, disconnectAll, moveLinks } from "../../../store/edits.js";
import { join, split } from "../../../store/names.js";
import { dropTarget } from "../hit.js";

/** @import {Graph, Point} from "../../../store/types.js" */
/** @import {Canvas} from "../canvas.js" */
/** @import {NodeView} from "../node.js" */
/** @import {Gesture} from "../pointer.js" */

/**
 * What is drawn from, and what comes of it.
 * @typedef {Object} Plan
 * @property {"in" | "out"} side where the free end may go
 * @property {{output: string} | {input: string}} end the end that stays; of several links the first
 * @property {readonly Point[]} ends where the ends that stay are
 * @property {number} hue
 * @property {Graph} base the graph without the links that are being moved
 * @property {ReadonlySet<string>} faint
 * @property {(graph: Graph, place: string) => Graph} wire
 * @property {((graph: Graph) => Graph) | null} drop what becomes of links that are let go in space; null keeps them
 */

/**
 * @param {Canvas} canvas @param {PointerEvent} start @param {{id: string, side: "in" | "out", name: string}} port
 * @param {boolean} all whether all links of the output are moved
 * @returns {Gesture}
 */
export function linkFrom(canvas, start, port, all) {
  const { graph } = canvas.editor.session;
  const place = join(port.id, port.name);
  if (port.side === "out") {
    const keys = all ? readers(canvas, port.id, port.name) : [];
    return new Link(canvas, keys.length ? moveAll(canvas, graph, place, keys) : fromOutput(canvas, graph, place));
  }
  const source = graph.nodes.get(port.id)?.links.get(port.name);
  return new Link(
    canvas,
    source === undefined ? fromInput(canvas, graph, place) : detach(canvas, graph, source, place),
  );
}

/** @param {Canvas} canvas @param {string} id @param {string} name */
function readers(canvas, id, name) {
  const wires = [...(canvas.scene.around.get(id) ?? [])].map((key) => canvas.scene.wires.get(key));
  return wires.filter((wire) => wire?.source === id && wire.output === name).map((wire) => wire?.key ?? "");
}

/** @param {Canvas} canvas @param {string} place @param {"in" | "out"} side */
function portAt(canvas, place, side) {
  const [id, name] = split(place);
  const placed = canvas.scene.nodes.get(id);
  const port = (side === "in" ? placed?.type.inputs : placed?.type.outputs)?.get(name);
  const point = side === "in" ? canvas.scene.inputAt(id, name) : canvas.scene.outputAt(id, name);
  return { point: point ?? { x: 0, y: 0 }, hue: canvas.editor.catalogue.look(port?.type ?? "").hue };
}

/** @param {Canvas} canvas @param {Graph} graph @param {string} place @returns {Plan} */
function fromOutput(canvas, graph, place) {
  const { point, hue } = portAt(canvas, place, "out");
  const wire = (/** @type {Graph} */ now, /** @type {string} */ other) => connect(now, place, other);
  return { side: "in", end: { output: place }, ends: [point], hue, base: graph, faint: new Set(), wire, drop: null };
}

/** @param {Canvas} canvas @param {Graph} graph @param {string} place @returns {Plan} */
function fromInput(canvas, graph, place) {
  const { point, hue } = portAt(canvas, place, "in");
  const wire = (/** @type {Graph} */ now, /** @type {string} */ other) => connect(now, other, place);
  return { side: "out", end: { input: place }, ends: [point], hue, base: graph, faint: new Set(), wire, drop: null };
}

/** @param {Canvas} canvas @param {Graph} graph @param {string} source @param {string} place @returns {Plan} */
function detach(canvas, graph, source, place) {
  const { point, hue } = portAt(canvas, source, "out");
  const drop = (/** @type {Graph} */ now) => disconnect(now, place);
  const wire = (/** @type {Graph} */ now, /** @type {string} */ other) =>
    other === place ? now : connect(disconnect(now, place), source, other);
  return {
    side: "in",
    end: { output: source },
    ends: [point],
    hue,
    base: drop(graph),
    faint: new Set([place]),
    wire,
    drop,
  };
}

/** @param {Canvas} canvas @param {Graph} graph @param {string} place @param {readonly string[]} keys @returns {Plan} */
function moveAll(canvas, graph, place, keys) {
  const { hue } = portAt(canvas, place, "out");
  const ends = keys.map((key) => portAt(canvas, key, "in").point);
  const wire = (/** @type {Graph} */ now, /** @type {string} */ other) => moveLinks(now, place, other);
  const base = disconnectAll(graph, keys);
  return { side: "out", end: { input: keys[0] }, ends, hue, base, faint: new Set(keys), wire, drop: null };
}

/** @implements {Gesture} */
class Link {
  autopan = true;
  cursor = "crosshair";

  /** @param {Canvas} canvas @param {Plan} plan */
  constructor(canvas, plan) {
    this.canvas = canvas;
    this.plan = plan;
    this.verdicts = candidates(plan.base, plan.end, canvas.editor.catalogue);
    /** @type {string | null} */
    this.target = null;
    canvas.faint = plan.faint;
    canvas.host.dataset.linking = plan.side;
    canvas.decorateAll((node) => this.markPorts(node));
  }

  /** @param {string} place */
  fits(place) {
    const verdict = this.verdicts.get(place);
    return verdict !== undefined && "fit" in verdict;
  }

  /** @param {string} place */
  reason(place) {
    const verdict = this.verdicts.get(place);
    return verdict && "reason" in verdict ? verdict.reason : "This does not fit.";
  }

  /** What fits grows, all else is dim. @param {NodeView} node */
  markPorts(node) {
    let any = false;
    for (const port of node.element.querySelectorAll("[data-port]")) {
      if (!(port instanceof HTMLElement)) continue;
      const fits = port.dataset.port?.startsWith(`${this.plan.side}:`) === true && this.fits(port.dataset.place ?? "");
      port.dataset.fit = fits ? "yes" : "no";
      any ||= fits;
    }
    node.element.toggleAttribute("data-unfit", !any);
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { canvas, plan } = this;
    const client = { x: event.clientX, y: event.clientY };
    const point = canvas.pointOf(client);
    const found = dropTarget(canvas.scene, point, plan.side, canvas.camera.view.zoom, (place) => this.fits(place));
    this.target = found && join(found.id, found.name);
    const refused = this.target !== null && !this.fits(this.target);
    const free = this.target !== null && !refused ? portAt(canvas, this.target, plan.side).point : point;
    const drafts = plan.ends.map((end) => {
      const path = plan.side === "in" ? curve(end, free) : curve(free, end);
      return { path, hue: plan.hue, refused };
    });
    canvas.mark({ drafts });
    canvas.say(refused ? this.reason(this.target ?? "") : null, client, "refused");
    this.markTarget(refused ? null : this.target);
  }

  /** @param {string | null} place */
  markTarget(place) {
    const { layer } = this.canvas;
    layer.querySelector("[data-target]")?.removeAttribute("data-target");
    if (place === null) return;
    const selector = `[data-place="${CSS.escape(place)}"][data-port^="${this.plan.side}:"]`;
    layer.querySelector(selector)?.setAttribute("data-target", "");
  }

  /** @param {PointerEvent} event */
  end(event) {
    const { canvas, plan, target } = this;
    const { editor } = canvas;
    const refused = target !== null && !this.fits(target);
    this.over();
    if (target !== null && refused) editor.notify({ text: this.reason(target), kind: "warn" });
    else if (target !== null) editor.apply("Connect", (graph) => plan.wire(graph, target));
    else if (plan.drop && !event.shiftKey) editor.apply("Remove link", plan.drop);
    else if (plan.ends.length === 1) this.ask(event);
  }

  /** Nothing there: what could be? @param {PointerEvent} event */
  ask(event) {
    const { canvas, plan } = this;
    const screen = { x: event.clientX, y: event.clientY };
    if (plan.drop) canvas.editor.apply("Remove link", plan.drop);
    canvas.editor.perform("palette.open", { point: canvas.pointOf(screen), screen, ...plan.end });
  }

  cancel() {
    this.over();
  }

  over() {
    const { canvas } = this;
    canvas.faint = new Set();
    delete canvas.host.dataset.linking;
    this.markTarget(null);
    canvas.decorateAll(null);
    for (const element of canvas.layer.querySelectorAll("[data-fit]")) element.removeAttribute("data-fit");
    for (const element of canvas.layer.querySelectorAll("[data-unfit]")) element.removeAttribute("data-unfit");
    canvas.mark({});
    canvas.say(null);
  }
}

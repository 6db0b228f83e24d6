/**
 * The outline: the open graph as a tree of nodes, their inputs and outputs, and links. All that the canvas can do to a
 * graph can be done here by keyboard, and a screen reader tells what there is.
 */

import { disconnect, remove, setMode } from "../store/edits.js";
import { split } from "../store/names.js";
import { el } from "./dom.js";
import { buildTree, nearest } from "./outline/build.js";
import { entriesOf, renameBranch, toolbar } from "./outline/menu.js";
import { OutlineRow } from "./outline/row.js";
import { openMenu } from "./shell/menu.js";

/** @typedef {import("../editor.js").Editor} Editor */
/** @typedef {import("./outline/build.js").Branch} Branch */

const HINT = "Arrows move; Enter edits, wires or follows; Insert adds, Delete removes, F2 renames; "
  + "Shift+F10 lists all.";

/**
 * @param {Editor} editor
 * @param {HTMLElement} host
 */
export function mount(editor, host) {
  const outline = new Outline(editor);
  host.append(outline.element);
  return outline;
}

class Outline {
  /** @type {Map<string, OutlineRow>} */
  #rows = new Map();
  /** Keys of what is unfolded. @type {Set<string>} */
  #open = new Set();
  #current = "";
  #frame = 0;
  #offs;

  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.tree = el("ul", { class: "outline-tree scroll", role: "tree", "aria-label": "Nodes of the workflow",
      "aria-multiselectable": "true" });
    this.element = el("div", { class: "outline" }, this.#tools(), this.tree,
      el("p", { class: "outline-hint", text: HINT }));
    this.tree.addEventListener("keydown", (event) => this.#key(event));
    this.tree.addEventListener("click", (event) => this.#click(event));
    this.tree.addEventListener("dblclick", (event) => this.#act(this.#keyOf(event.target)));
    this.tree.addEventListener("focusin", (event) => this.#focused(event));
    this.tree.addEventListener("contextmenu", (event) => this.#context(event));
    const types = /** @type {const} */ (["document", "session", "scope", "catalogue", "selection", "run", "problems"]);
    this.#offs = types.map((type) => editor.on(type, () => this.#soon()));
    this.#draw();
  }

  destroy() {
    for (const off of this.#offs) off();
    cancelAnimationFrame(this.#frame);
    this.watcher?.disconnect();
    for (const row of this.#rows.values()) row.destroy();
    this.element.remove();
  }

  #tools() {
    const here = (/** @type {(key: string) => void} */ act) => () => act(this.#current);
    return toolbar([
      ["add", "plus", "Add a node", () => this.#add()],
      ["connect", "link", "Wire", here((key) => this.#connect(key))],
      ["edit", "edit", "Edit or rename", here((key) => (key.includes("|") ? this.#act(key) : void this.#rename(key)))],
      ["mute", "mute", "Mute, or let run", here((key) => this.#mode(key, "mute"))],
      ["bypass", "bypass", "Bypass, or let run", here((key) => this.#mode(key, "bypass"))],
      ["delete", "trash", "Delete", here((key) => this.#delete(key))],
      ["run", "play", "Run up to this node", here((key) => this.#run(key))],
    ]);
  }

  // Drawing

  #soon() {
    if (this.#frame === 0 && this.element.checkVisibility()) this.#frame = requestAnimationFrame(() => this.#draw());
    else if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#waitToBeSeen());
  }

  /** What is not seen is drawn when it is. */
  #waitToBeSeen() {
    this.#frame = 0;
    if (this.element.checkVisibility()) this.#draw();
    else this.#watch();
  }

  #watch() {
    if (this.watcher) return;
    this.watcher = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      this.watcher?.disconnect();
      this.watcher = undefined;
      this.#draw();
    });
    this.watcher.observe(this.element);
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const focused = this.tree.contains(document.activeElement) && document.activeElement instanceof HTMLElement
      ? document.activeElement : null;
    const branches = buildTree(this.editor);
    const seen = new Set();
    this.#fill(this.tree, branches, 0, seen);
    for (const [key, row] of this.#rows) {
      if (seen.has(key)) continue;
      row.destroy();
      this.#rows.delete(key);
    }
    if (!this.#rows.has(this.#current)) this.#current = nearest(this.#current, this.#rows) ?? branches[0]?.key ?? "";
    for (const [key, row] of this.#rows) row.element.tabIndex = key === this.#current ? 0 : -1;
    if (focused !== null && !focused.isConnected) this.#focus(this.#current);
  }

  /** @param {HTMLElement} list @param {readonly Branch[]} branches @param {number} depth @param {Set<string>} seen */
  #fill(list, branches, depth, seen) {
    let before = list.firstElementChild;
    branches.forEach((branch, at) => {
      const row = this.#rows.get(branch.key) ?? new OutlineRow(this.editor, branch.key);
      this.#rows.set(branch.key, row);
      seen.add(branch.key);
      const isOpen = this.#open.has(branch.key);
      row.update(branch, { depth, isOpen, at: at + 1, count: branches.length });
      if (row.element === before) before = before.nextElementSibling;
      else list.insertBefore(row.element, before);
      if (isOpen) this.#fill(row.group, branch.parts(), depth + 1, seen);
      else row.group.replaceChildren();
    });
    while (before !== null) {
      const next = before.nextElementSibling;
      before.remove();
      before = next;
    }
  }

  // Where one is

  /** @param {EventTarget | null} target @returns {string} */
  #keyOf(target) {
    const item = target instanceof Element ? target.closest("[data-outline]") : null;
    return item instanceof HTMLElement ? (item.dataset.outline ?? "") : "";
  }

  /** @param {string} key */
  #focus(key) {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#current = key;
    for (const [other, { element }] of this.#rows) element.tabIndex = other === key ? 0 : -1;
    row.element.focus({ preventScroll: true });
    row.element.firstElementChild?.scrollIntoView({ block: "nearest" });
  }

  /** Whoever comes to a node selects it, as on the canvas. @param {FocusEvent} event */
  #focused(event) {
    const key = this.#keyOf(event.target);
    if (event.target !== this.#rows.get(key)?.element) return;
    this.#current = key;
    const branch = this.#rows.get(key)?.branch;
    if (branch && !this.#holding) this.editor.session.select([branch.item]);
  }
  #holding = false;

  /** What is seen, from top to bottom. */
  #visible() {
    return [...this.tree.querySelectorAll("[data-outline]")].filter((item) => item instanceof HTMLElement);
  }

  /** @param {number} by */
  #step(by) {
    const all = this.#visible();
    const at = all.findIndex((item) => item.dataset.outline === this.#current);
    this.#focus(all[Math.max(0, Math.min(at + by, all.length - 1))]?.dataset.outline ?? "");
  }

  /** @param {string} key @param {boolean} open */
  #unfold(key, open) {
    if (open) this.#open.add(key);
    else this.#open.delete(key);
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.#frame !== 0) this.#draw(); // a key is meant for what is there, not for what is still drawn
    const key = this.#keyOf(event.target);
    const row = this.#rows.get(key);
    if (row === undefined || event.target !== row.element || event.isComposing) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const act = plain ? this.#acts.get(event.key) : undefined;
    if (event.key === "F10" && event.shiftKey) this.#menu(key);
    else if (act) act(key);
    else if (plain && event.key === " ") this.#toggleSelected(key);
    else if (plain && !event.shiftKey && /^[\p{L}\p{N}]$/u.test(event.key)) this.#jump(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @type {ReadonlyMap<string, (key: string) => unknown>} */
  #acts = new Map(/** @type {[string, (key: string) => unknown][]} */ ([
    ["ArrowDown", () => this.#step(1)],
    ["ArrowUp", () => this.#step(-1)],
    ["Home", () => this.#step(-Infinity)],
    ["End", () => this.#step(Infinity)],
    ["PageDown", () => this.#step(10)],
    ["PageUp", () => this.#step(-10)],
    ["ArrowRight", (key) => this.#inwards(key)],
    ["ArrowLeft", (key) => this.#outwards(key)],
    ["Enter", (key) => this.#act(key)],
    ["F2", (key) => this.#rename(key)],
    ["Delete", (key) => this.#delete(key)],
    ["Backspace", (key) => this.#delete(key)],
    ["Insert", () => this.#add()],
    ["ContextMenu", (key) => this.#menu(key)],
  ]));

  /** @param {string} key */
  #inwards(key) {
    const branch = this.#rows.get(key)?.branch;
    if (!branch?.hasParts) return;
    if (this.#open.has(key)) this.#step(1);
    else this.#unfold(key, true);
  }

  /** @param {string} key */
  #outwards(key) {
    if (this.#open.has(key)) return this.#unfold(key, false);
    const outer = this.#rows.get(key)?.element.parentElement?.closest("[data-outline]");
    if (outer instanceof HTMLElement) this.#focus(outer.dataset.outline ?? "");
    else if (this.editor.session.path.length > 0) this.editor.session.leave();
  }

  /** Go to the next row that begins with a letter. @param {string} letter */
  #jump(letter) {
    const all = this.#visible();
    const at = all.findIndex((item) => item.dataset.outline === this.#current);
    const turned = [...all.slice(at + 1), ...all.slice(0, at + 1)];
    const found = turned.find((item) => item.dataset.label?.toLowerCase().startsWith(letter.toLowerCase()));
    if (found) this.#focus(found.dataset.outline ?? "");
  }

  /** @param {string} key */
  #toggleSelected(key) {
    const item = this.#rows.get(key)?.branch?.item;
    if (item === undefined) return;
    const selection = new Set(this.editor.session.selection);
    if (!selection.delete(item)) selection.add(item);
    this.editor.session.select(selection);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const key = this.#keyOf(event.target);
    if (!(event.target instanceof Element) || event.target.closest(".outline-field") || key === "") return;
    this.#holding = event.ctrlKey || event.metaKey;
    this.#focus(key);
    if (this.#holding) this.#toggleSelected(key);
    this.#holding = false;
    if (event.target.closest(".outline-turn")) this.#unfold(key, !this.#open.has(key));
  }

  // What is done

  /** What Enter does: a field is edited, a port wired, a link followed, a node shown. @param {string} key */
  #act(key) {
    const row = this.#rows.get(key);
    const branch = row?.branch;
    if (!row || !branch) return;
    const { editor } = this;
    if (branch.kind === "link") {
      const [node] = split(branch.end ?? "");
      this.#focus(node ? `node:${node}` : key);
    } else if (branch.kind === "input" && branch.port?.field && branch.source === null) row.edit(() =>
      this.#focus(key));
    else if (branch.kind === "input" || branch.kind === "output") this.#connect(key);
    else if (branch.kind === "node" && this.#isInstance(branch.node)) this.#enter(branch.node);
    else if (branch.kind === "note" || branch.kind === "frame") void this.#rename(key);
    else {
      editor.session.select([branch.item]);
      editor.perform("view.fitSelection");
      this.#unfold(key, true);
    }
  }

  /** @param {string} node */
  #isInstance(node) {
    return this.editor.session.graph.nodes.get(node)?.graph != null;
  }

  /** @param {string} node */
  #enter(node) {
    this.editor.session.enter(node);
    this.#draw();
    this.#focus(this.#current);
  }

  #add() {
    const added = (/** @type {string} */ id) => (this.#draw(), this.#focus(`node:${id}`));
    this.editor.perform("palette.open", { added });
  }

  /** @param {string} key */
  #connect(key) {
    const branch = this.#rows.get(key)?.branch;
    if (!branch || branch.node === "") return;
    const port = branch.kind === "input" || branch.kind === "link" ? `in:${branch.name}` : `out:${branch.name}`;
    this.editor.session.select([branch.item]);
    if (branch.kind === "node") this.editor.perform("connect.open");
    else this.editor.perform("connect.open", { node: branch.node, port });
  }

  /** @param {string} key */
  async #rename(key) {
    const branch = this.#rows.get(key)?.branch;
    if (branch && (await renameBranch(this.editor, branch))) this.#focus(key);
  }

  /** @param {string} key */
  #delete(key) {
    const branch = this.#rows.get(key)?.branch;
    if (!branch) return;
    const { editor } = this;
    if (branch.kind === "link" || (branch.kind === "input" && branch.source !== null)) {
      editor.apply("Remove link", (graph) => disconnect(graph, branch.target ?? ""));
    } else if (["node", "frame", "note"].includes(branch.kind)) {
      this.#beside(key);
      const chosen = editor.session.selection.has(branch.item) ? editor.session.selection : [branch.item];
      editor.apply("Delete", (graph) => remove(graph, chosen));
    }
    this.#draw();
    this.#focus(this.#current);
  }

  /** Whoever deletes a row goes on at the one below. @param {string} key */
  #beside(key) {
    const all = [...this.tree.children].filter((item) => item instanceof HTMLElement);
    const at = all.findIndex((item) => item.dataset.outline === key);
    this.#current = (all[at + 1] ?? all[at - 1])?.dataset.outline ?? "";
  }

  /** @param {string} key @param {"mute" | "bypass"} mode */
  #mode(key, mode) {
    const node = this.#rows.get(key)?.branch?.node ?? "";
    const now = this.editor.session.graph.nodes.get(node)?.mode;
    if (now === undefined) return;
    const words = mode === "mute" ? "Mute" : "Bypass";
    this.editor.apply(now === mode ? "Let run" : words, (graph) => setMode(graph, [node], now === mode ? null : mode));
  }

  /** @param {string} key */
  #run(key) {
    const branch = this.#rows.get(key)?.branch;
    if (branch) this.editor.session.select([branch.item]);
    this.editor.perform("run.toNode");
  }

  /** @param {MouseEvent} event */
  #context(event) {
    const key = this.#keyOf(event.target);
    if (key === "" || (event.target instanceof Element && event.target.closest(".outline-field"))) return;
    event.preventDefault();
    this.#focus(key);
    this.#menu(key);
  }

  /** @param {string} key */
  #doing(key) {
    return {
      act: () => this.#act(key),
      wire: () => this.#connect(key),
      remove: () => this.#delete(key),
      rename: () => this.#rename(key),
      mute: () => this.#mode(key, "mute"),
      bypass: () => this.#mode(key, "bypass"),
      run: () => this.#run(key),
      add: () => this.#add(),
    };
  }

  /** All that can be done with a row. @param {string} key */
  #menu(key) {
    const row = this.#rows.get(key);
    const branch = row?.branch;
    if (!row || !branch) return;
    const place = row.element.firstElementChild;
    openMenu(this.editor, entriesOf(branch, this.#doing(key)), place instanceof HTMLElement ? place : row.element,
      { label: branch.label, name: "outline" });
  }
}

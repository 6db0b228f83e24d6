/**
 * Node types and model files that a workflow names and this server does not have. Nothing of them is lost meanwhile.
 */

import { follow } from "../../store/scopes.js";
import { el } from "../dom.js";
import { goTo } from "../go_to.js";
import { icon } from "../icons.js";
import { openDialog } from "../shell/dialogs.js";

/** @typedef {import("../../editor.js").Editor} Editor */
/** @typedef {import("../../store/catalogue.js").Catalogue} Catalogue */
/** @typedef {import("../../store/types.js").Graph} Graph */
/** @typedef {import("../../store/types.js").Json} Json */
/** @typedef {import("../../store/types.js").Node} Node */
/** `nodes`: their ids, with the instances that they are in, as jobs have them. */
/** @typedef {{id: string, plugin: string, nodes: string[]}} MissingType */
/** @typedef {{folder: string, file: string, nodes: string[], field: string}} MissingFile */
/** @typedef {{types: MissingType[], files: MissingFile[]}} Missing */

/** Nodes that are listed of each. */
const MOST = 12;
/** @type {WeakMap<Graph, {catalogue: Catalogue, missing: Missing}>} */
const known = new WeakMap();

/** @param {Editor} editor @param {Graph} document @returns {Missing} */
export function missingOf({ catalogue }, document) {
  const before = known.get(document);
  if (before?.catalogue === catalogue) return before.missing;
  /** @type {Map<string, MissingType>} */
  const types = new Map();
  /** @type {Map<string, MissingFile>} */
  const files = new Map();
  walk(document, [], new Set(), (node, graph, id) => {
    const type = catalogue.type(node, graph);
    if (type.missing !== null) {
      const found = types.get(type.id) ?? { id: type.id, plugin: type.plugin, nodes: [] };
      types.set(type.id, found);
      found.nodes.push(id);
    } else if (node.graph === null) {
      for (const file of filesOf(node, type)) {
        const key = `${file.folder}\n${file.file}`;
        const found = files.get(key) ?? { ...file, nodes: [] };
        files.set(key, found);
        found.nodes.push(id);
      }
    }
  });
  const missing = { types: [...types.values()], files: [...files.values()] };
  known.set(document, { catalogue, missing });
  return missing;
}

/**
 * Visit each node of a document once; a subgraph by its first instance.
 * @param {Graph} document
 * @param {readonly string[]} path
 * @param {Set<Graph>} seen
 * @param {(node: Node, graph: Graph, id: string) => void} visit
 */
function walk(document, path, seen, visit) {
  const graph = follow(document, path)?.graph;
  if (graph === undefined || seen.has(graph)) return;
  seen.add(graph);
  for (const [id, node] of graph.nodes) {
    visit(node, graph, [...path, id].join("/"));
    if (node.graph !== null) walk(document, [...path, id], seen, visit);
  }
}

/** @param {Node} node @param {import("../../store/types.js").NodeType} type */
function filesOf(node, type) {
  const found = [];
  for (const { name, field } of type.inputs.values()) {
    const value = node.params.get(name);
    if (field?.kind !== "file" || field.choices === undefined || field.folder === "input"
      || node.links.has(name)) continue;
    if (typeof value !== "string" || field.choices.includes(value)) continue;
    found.push({ folder: field.folder ?? "", file: value, field: name });
  }
  return found;
}

/** @param {Missing} missing @returns {string} "" where nothing is */
export function missingWords({ types, files }) {
  const nodes = types.reduce((sum, { nodes: some }) => sum + some.length, 0);
  const plugins = [...new Set(types.map(({ plugin }) => plugin).filter((plugin) => plugin !== ""))];
  const from = plugins.length === 0 ? "" : ` (of ${plugins.join(", ")})`;
  const count = nodes === 1 ? "1 node is" : `${nodes} nodes are`;
  const models = files.length === 1 ? `The model file ${files[0]?.file} is` : `${files.length} model files are`;
  const parts = [
    nodes === 0 ? "" : `${count} of a type that is not installed here${from}. What they hold is kept.`,
    files.length === 0 ? "" : `${models} not there.`,
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** Show what is missing, why, and where. @param {Editor} editor */
export async function showMissing(editor) {
  const missing = missingOf(editor, editor.session.document);
  const skipped = await editor.api.plugins().then((answer) => answer.skipped, () => ({}));
  const body = el("div", { class: "missing-list" });
  const dialog = openDialog({ name: "missing", title: "What is missing here", body });
  const leave = (/** @type {string} */ node, /** @type {string | null} */ field) =>
    (dialog.close(), goTo(editor, node, field));
  if (missing.types.length > 0) body.append(el("h3", { text: "Node types" }), el("ul", {},
    ...missing.types.map((type) => typeRow(type, skipped, leave))));
  if (missing.files.length > 0) body.append(el("h3", { text: "Model files" }), el("ul", {},
    ...missing.files.map((file) => fileRow(file, leave))));
  const empty = missing.types.length + missing.files.length === 0;
  body.append(el("p", { class: "dim", text: empty ? "Nothing is missing: every node type and model file is here."
    : KEPT }));
}

const KEPT = "The nodes stay in the workflow with all that was typed and wired, and are saved with it. "
  + "They work as soon as what is missing is installed; the page need not be loaded again.";

/**
 * @param {MissingType} type
 * @param {{[plugin: string]: Json}} skipped why plugins were left out
 * @param {(node: string, field: string | null) => void} leave
 */
function typeRow({ id, plugin, nodes }, skipped, leave) {
  const why = plugin !== "" && Object.hasOwn(skipped, plugin) ? String(skipped[plugin]) : "";
  const from = id.startsWith("graph:") ? "a subgraph that this workflow does not define"
    : plugin === "" ? "the file does not tell its plugin" : why === "" ? `plugin ${plugin}`
      : `plugin ${plugin} was left out: ${why}`;
  return el("li", { class: "missing-row", data: { missing: id } }, icon("warning"),
    el("div", { class: "missing-text" }, el("b", { text: id.replace(/^graph:/, "") }),
      el("span", { class: "dim", text: from })),
    el("div", { class: "missing-nodes" }, 
      ...nodes.slice(0, MOST).map((node) => nodeButton(node, () => leave(node, null)))));
}

/** @param {MissingFile} file @param {(node: string, field: string | null) => void} leave */
function fileRow({ file, folder, nodes, field }, leave) {
  return el("li", { class: "missing-row", data: { missing: file } }, icon("file"),
    el("div", { class: "missing-text" }, el("b", { text: file }),
      el("span", { class: "dim", text: `in the folder ${folder}` })),
    el("div", { class: "missing-nodes" }, 
      ...nodes.slice(0, MOST).map((node) => nodeButton(node, () => leave(node, field)))));
}

/** @param {string} node @param {() => void} act */
function nodeButton(node, act) {
  return el("button", { class: "button small", type: "button", text: node, data: { goto: node },
    "aria-label": `Go to ${node}`,
    on: { click: act } });
}

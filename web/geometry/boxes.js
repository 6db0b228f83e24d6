/**
 * How large a node is and where its ports are, told from its type and its values alone, so that a node that is out of
 * view needs no element. Pure. The style of the canvas draws by the same numbers.
 */

/** @typedef {import("../store/types.js").Node} Node */
/** @typedef {import("../store/types.js").NodeType} NodeType */
/** @typedef {import("../store/types.js").Field} Field */
/** @typedef {import("../store/types.js").Point} Point */
/** @typedef {import("../store/types.js").Box} Box */
/**
 * @typedef {Object} Row
 * @property {"ports" | "field" | "media"} kind
 * @property {number} y
 * @property {number} height
 * @property {string} [input]
 * @property {string} [output]
 * @property {Field} [field]
 * @property {number} [lines] of a text
 */
/**
 * @typedef {Object} NodeLayout
 * @property {number} width
 * @property {number} height
 * @property {readonly Row[]} rows
 * @property {ReadonlyMap<string, Point>} inputs from the node's corner
 * @property {ReadonlyMap<string, Point>} outputs from the node's corner
 */
/**
 * @typedef {{readonly media?: number}} Hints `media`: the height of what is shown of the last job's result, 0 for none
 */

export const HEADER = 30;
const PORT_ROW = 22;
const FIELD_ROW = 28;
const PADDING = 8;
export const LINE = 18;
export const CAPTION = 22;
export const MIN_LINES = 3;
export const MAX_LINES = 12;
export const MIN_WIDTH = 140;
export const MAX_WIDTH = 1200;

/** A character of the text font at 13 px, on the average; wide enough that a text rarely needs a line more. */
const CHARACTER = 6.9;
const SMALL = 6.2;

/** @type {WeakMap<Node, {type: NodeType, media: number, layout: NodeLayout}>} */
const cache = new WeakMap();

/**
 * Lay a node out.
 * @param {Node} node @param {NodeType} type @param {Hints} [hints] @returns {NodeLayout}
 */
export function layout(node, type, { media = 0 } = {}) {
  const known = cache.get(node);
  if (known && known.type === type && known.media === media) return known.layout;
  const made = node.view.collapsed ? layCollapsed(node, type) : layOpen(node, type, media);
  cache.set(node, { type, media, layout: made });
  return made;
}

/**
 * Say how wide a node is.
 * @param {Node} node @param {NodeType} type
 */
export function widthOf(node, type) {
  if (node.view.width !== undefined) return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, node.view.width));
  let [least, wide] = [(node.view.title ?? type.title).length * CHARACTER + 56, 160];
  const [inputs, outputs] = [wiredOnly(type), [...type.outputs.keys()]];
  for (let i = 0; i < Math.max(inputs.length, outputs.length); i++) {
    least = Math.max(least, ((inputs[i] ?? "").length + (outputs[i] ?? "").length) * SMALL + 56);
  }
  for (const port of type.inputs.values()) {
    if (port.field) wide = Math.max(wide, port.field.kind === "multiline" || port.field.kind === "mask" ? 320 : 260);
  }
  return Math.min(420, Math.ceil(Math.max(least, wide) / 20) * 20);
}

/** @param {NodeType} type */
function wiredOnly(type) {
  return [...type.inputs.values()].filter((port) => !port.field).map((port) => port.name);
}

/** @param {Node} node @param {NodeType} type @returns {NodeLayout} */
function layCollapsed(node, type) {
  const width = widthOf(node, type);
  const inputs = new Map([...type.inputs.keys()].map((name) => [name, { x: 0, y: HEADER / 2 }]));
  const outputs = new Map([...type.outputs.keys()].map((name) => [name, { x: width, y: HEADER / 2 }]));
  return { width, height: HEADER, rows: [], inputs, outputs };
}

/** @param {Node} node @param {NodeType} type @param {number} media @returns {NodeLayout} */
function layOpen(node, type, media) {
  const width = widthOf(node, type);
  /** @type {Row[]} */
  const rows = [];
  const [inputs, outputs] = [new Map(), new Map()];
  let y = HEADER + PADDING;
  const [left, right] = [wiredOnly(type), [...type.outputs.keys()]];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    rows.push({ kind: "ports", y, height: PORT_ROW, input: left[i], output: right[i] });
    if (left[i] !== undefined) inputs.set(left[i], { x: 0, y: y + PORT_ROW / 2 });
    if (right[i] !== undefined) outputs.set(right[i], { x: width, y: y + PORT_ROW / 2 });
    y += PORT_ROW;
  }
  if (rows.length && left.length + right.length && type.inputs.size > left.length) y += 4;
  for (const port of type.inputs.values()) {
    if (!port.field) continue;
    const lines = linesOf(node, port.name, port.field, width);
    const height = lines ? CAPTION + lines * LINE + 14 : FIELD_ROW;
    rows.push({ kind: "field", y, height, input: port.name, field: port.field, lines });
    if (port.wired) inputs.set(port.name, { x: 0, y: y + (lines ? CAPTION / 2 : FIELD_ROW / 2) });
    y += height;
  }
  if (media > 0) {
    y += rows.length ? 4 : 0;
    rows.push({ kind: "media", y, height: media });
    y += media;
  }
  return { width, height: y + PADDING, rows, inputs, outputs };
}

/**
 * Say how many lines of a field are shown: 0 where it is one row.
 * @param {Node} node @param {string} name @param {Field} field @param {number} width
 */
function linesOf(node, name, field, width) {
  if ((field.kind !== "multiline" && field.kind !== "json") || node.links.has(name)) return 0;
  const set = node.view.rows;
  const own = set && Object.hasOwn(set, name) ? set[name] : undefined;
  if (own !== undefined) return Math.min(100, Math.max(MIN_LINES, Math.round(own)));
  const value = node.params.get(name) ?? field.default;
  if (field.kind === "json") return typeof value === "object" && value !== null ? MIN_LINES : 0;
  const text = typeof value === "string" ? value : "";
  return Math.min(MAX_LINES, Math.max(MIN_LINES, countLines(text, Math.floor((width - 40) / CHARACTER), MAX_LINES)));
}

/**
 * Count the lines of a text, broken between words; counting stops at `most`.
 * @param {string} text @param {number} columns @param {number} most
 */
export function countLines(text, columns, most) {
  let lines = 0;
  for (const paragraph of text.slice(0, most * columns * 2).split("\n")) {
    let column = 0;
    lines += 1;
    for (const word of paragraph.split(" ")) {
      if (column && column + word.length > columns) {
        lines += 1;
        column = 0;
      }
      lines += Math.floor(Math.max(0, word.length - 1) / columns);
      column += (word.length % columns) + 1;
    }
    if (lines >= most) return most;
  }
  return lines;
}

/**
 * Say where on the canvas a node is.
 * @param {Node} node @param {NodeLayout} laid @returns {Box}
 */
export const boxOf = (node, laid) => ({ x: node.view.x, y: node.view.y, width: laid.width, height: laid.height });

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange } from "../../web/geometry/arrange.js";
import * as boxes from "../../web/geometry/boxes.js";
import { overlaps } from "../../web/geometry/transform.js";

const field = (kind, value) => ({ kind, element: null, default: value, schema: {} });
const port = (name, more = {}) => ({
  name,
  type: "Image",
  required: true,
  lazy: false,
  field: null,
  wired: true,
  ...more,
});

function nodeType(inputs, outputs) {
  const named = (ports) => new Map(ports.map((one) => [one.name, one]));
  return {
    id: "T",
    title: "Type",
    doc: "",
    category: "",
    plugin: "",
    inputs: named(inputs),
    outputs: named(outputs),
    sink: false,
    deprecated: null,
    missing: null,
  };
}

function node(view = {}, params = {}, links = {}) {
  return {
    type: "T",
    graph: null,
    params: new Map(Object.entries(params)),
    links: new Map(Object.entries(links)),
    mode: null,
    view: { x: 0, y: 0, ...view },
  };
}

const sampler = nodeType(
  [
    port("model"),
    port("latent"),
    port("steps", { field: field("integer", 20) }),
    port("text", { field: field("multiline", "") }),
    port("body", { field: field("body"), wired: false }),
  ],
  [port("out")],
);

test("rows follow each other without a gap in which another could lie, within the node", () => {
  const laid = boxes.layout(node(), sampler);
  let end = boxes.HEADER;
  for (const row of laid.rows) {
    assert.ok(row.y >= end);
    end = row.y + row.height;
  }
  assert.ok(end <= laid.height);
  assert.deepEqual(
    laid.rows.map((row) => row.kind),
    ["ports", "ports", "field", "field", "field"],
  );
});

test("ports stand at the edges, in the middle of their rows; what cannot be wired has none", () => {
  const laid = boxes.layout(node(), sampler);
  for (const point of laid.inputs.values()) assert.equal(point.x, 0);
  for (const point of laid.outputs.values()) assert.equal(point.x, laid.width);
  assert.equal(laid.inputs.get("model")?.y, laid.outputs.get("out")?.y);
  assert.deepEqual([...laid.inputs.keys()], ["model", "latent", "steps", "text"]);
});

test("a text grows with its lines between the fewest and the most, and is one row when wired", () => {
  const height = (text, view = {}, links = {}) => boxes.layout(node(view, { text }, links), sampler).height;
  const empty = height("");
  assert.equal(height("a\nb\nc"), empty);
  assert.equal(height("a\nb\nc\nd"), empty + boxes.LINE);
  assert.equal(height("long ".repeat(2000)), empty + (boxes.MAX_LINES - boxes.MIN_LINES) * boxes.LINE);
  assert.equal(height("a", { rows: { text: 5 } }), empty + 2 * boxes.LINE);
  assert.ok(height("a\nb\nc\nd", {}, { text: "other.out" }) < empty);
});

test("a collapsed node is its header, with every port on it", () => {
  const laid = boxes.layout(node({ collapsed: true }), sampler);
  assert.equal(laid.height, boxes.HEADER);
  assert.deepEqual(laid.inputs.get("text"), { x: 0, y: boxes.HEADER / 2 });
});

test("the width is what the view says, within reason", () => {
  assert.equal(boxes.layout(node({ width: 400 }), sampler).width, 400);
  assert.equal(boxes.layout(node({ width: 3 }), sampler).width, boxes.MIN_WIDTH);
});

test("the same node is laid out once, until its picture's height changes", () => {
  const one = node();
  assert.equal(boxes.layout(one, sampler), boxes.layout(one, sampler));
  assert.equal(boxes.layout(one, sampler, { media: 100 }).height, boxes.layout(one, sampler).height + 104);
});

test("lines are counted between words and through long words", () => {
  assert.equal(boxes.countLines("", 10, 99), 1);
  assert.equal(boxes.countLines("one two three four", 10, 99), 2);
  assert.equal(boxes.countLines("x".repeat(35), 10, 99), 4);
  assert.equal(boxes.countLines("\n".repeat(500), 10, 12), 12);
});

function graph(count, seed = 1) {
  let state = seed;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const all = new Map();
  const edges = [];
  for (let i = 0; i < count; i++) {
    all.set(`n${i}`, { x: random() * 3000, y: random() * 3000, width: 260, height: 80 + random() * 300 });
    for (let k = 0; k < 2 && i; k++) edges.push([`n${Math.floor(Math.max(0, i - 1 - random() * 12))}`, `n${i}`]);
  }
  return { all, edges };
}

test("arranged nodes do not overlap, links run to the right, and arranging again changes nothing", () => {
  const { all, edges } = graph(120);
  all.set("alone", { x: 5, y: 5, width: 100, height: 100 });
  const once = arrange(all, edges);
  const placed = [...all].map(([id, box]) => [id, { ...box, ...once.get(id) }]);
  for (const [i, [, a]] of placed.entries())
    for (const [, b] of placed.slice(i + 1)) assert.equal(overlaps(a, b), false);
  for (const [from, to] of edges) assert.ok(once.get(from).x < once.get(to).x);
  assert.deepEqual(arrange(new Map(placed), edges), once);
});

test("a chain in good order keeps it, and a long chain or a ring does no harm", () => {
  const row = new Map(["a", "b", "c"].map((id, i) => [id, { x: i * 400, y: 100, width: 200, height: 100 }]));
  const placed = arrange(row, [
    ["a", "b"],
    ["b", "c"],
  ]);
  assert.deepEqual(
    [...placed.values()].map((point) => point.y),
    [100, 100, 100],
  );
  const many = new Map(Array.from({ length: 5000 }, (_, i) => [`n${i}`, { x: 0, y: 0, width: 100, height: 50 }]));
  const chain = Array.from({ length: 4999 }, (_, i) => [`n${i}`, `n${i + 1}`]);
  assert.equal(arrange(many, chain).size, 5000);
  assert.equal(
    arrange(row, [
      ["a", "b"],
      ["b", "c"],
      ["c", "a"],
    ]).size,
    3,
  );
});

test("a thousand nodes are arranged at once", () => {
  const { all, edges } = graph(1000);
  const start = performance.now();
  arrange(all, edges);
  assert.ok(performance.now() - start < 1500);
});

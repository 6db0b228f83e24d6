import assert from "node:assert/strict";
import { test } from "node:test";
import * as edits from "../../web/store/edits.js";
import { copy, isPasteable, paste } from "../../web/store/clipboard.js";
import { candidates, connectable } from "../../web/store/checks.js";
import { readGraph, writeGraph } from "../../web/store/document.js";
import { isMapped, outputType } from "../../web/store/flow.js";
import { stringify } from "../../web/store/json.js";
import { STEPS, Session } from "../../web/store/session.js";
import { unpack } from "../../web/store/subgraphs.js";
import { added, catalogue, textToImage } from "./store_fixtures.js";

const file = (graph) => stringify(writeGraph(graph));

test("a link in the place of a value keeps the value, and gives it back", () => {
  const seeded = added(textToImage(), "PrimitiveInt").graph;
  const wired = edits.connect(seeded, "primitive_int.out", "sample.seed");
  const json = writeGraph(wired);
  assert.equal(Object.hasOwn(json.nodes.sample.params, "seed"), false);
  const again = readGraph(json);
  assert.deepEqual(again, wired);
  assert.equal(edits.disconnect(again, "sample.seed").nodes.get("sample").params.get("seed"), 6);
});

test("removing with the flow kept wires who read a node to what it read", () => {
  let { graph } = added(textToImage(), "ImageScaleBy");
  graph = edits.insertOnLink(graph, "image_scale_by", "save.images", catalogue);
  assert.equal(graph.nodes.get("save").links.get("images"), "image_scale_by.out");
  assert.equal(graph.nodes.get("image_scale_by").links.get("image"), "decode.out");
  const gone = edits.remove(graph, ["node:image_scale_by"], { dissolve: true, catalogue });
  assert.equal(file(gone), file(textToImage()));
  const cut = edits.remove(graph, ["node:image_scale_by"]);
  assert.equal(cut.nodes.get("save").links.size, 0);
});

test("a node goes only into a link that it fits", () => {
  const { graph, id } = added(textToImage(), "ImageScaleBy");
  assert.equal(edits.insertable(graph, id, "sample.positive", catalogue), null);
  assert.equal(edits.insertOnLink(graph, id, "sample.positive", catalogue), graph);
  assert.equal(edits.insertable(graph, "sample", "decode.samples", catalogue), null);
});

test("nodes are wired to each other where only one way is meant", () => {
  let graph = readGraph({ format: 1, nodes: {} });
  const ids = [];
  for (const [type, x] of [["EmptyLatentImage", 0], ["KSampler", 300], ["VAEDecode", 600], ["SaveImage", 900]]) {
    const made = added(graph, type, x);
    graph = made.graph;
    ids.push(made.id);
  }
  const wired = edits.autoConnect(graph, ids, catalogue);
  assert.equal(wired.nodes.get("k_sampler").links.get("latent_image"), "empty_latent_image.out");
  assert.equal(wired.nodes.get("save_image").links.get("images"), "vae_decode.out");
  assert.equal(wired.nodes.get("vae_decode").links.has("samples"), false, "two outputs would do");
  assert.equal(wired.nodes.get("k_sampler").links.has("seed"), false);
});

test("a copy keeps its own links, and those from elsewhere when asked", () => {
  const graph = textToImage();
  const plain = edits.duplicate(graph, ["node:sample", "node:decode"]);
  assert.deepEqual([...plain.items], ["node:sample_2", "node:decode_2"]);
  assert.deepEqual([...plain.graph.nodes.get("decode_2").links], [["samples", "sample_2.out"]]);
  const kept = edits.duplicate(graph, ["node:sample"], { keepInputs: true });
  assert.equal(kept.graph.nodes.get("sample_2").links.get("positive"), "prompt.out");
  const whole = paste(readGraph({ nodes: {} }), writeGraph(graph), null);
  assert.deepEqual(whole.graph.inputs, graph.inputs);
  assert.ok(isPasteable(copy(graph, ["node:sample"])) && !isPasteable({ nodes: {} }) && !isPasteable("x"));
});

test("a frame moves what lies in it, once, and pinned nodes stay", () => {
  let graph = edits.addFrame(textToImage(), { title: "", x: 330, y: -10, width: 100, height: 300 }).graph;
  graph = edits.setView(graph, "negative", { pinned: true });
  graph = edits.addNote(graph, { text: "", x: 340, y: 20, width: 9, height: 9 }).graph;
  const moved = edits.move(graph, ["frame:frame", "node:prompt"], 7, 7);
  assert.equal(moved.nodes.get("prompt").view.x, 347);
  assert.equal(moved.nodes.get("negative").view.x, 340);
  assert.equal(moved.nodes.get("canvas").view.x, 340);
  assert.equal(moved.notes.get("note").x, 347);
  assert.equal(moved.frames.get("frame").x, 337);
});

test("bends move with the nodes at both ends, and go with their link", () => {
  const graph = edits.setRoute(textToImage(), "decode.samples", [{ x: 1, y: 1 }, { x: 2, y: 2 }]);
  assert.equal(edits.move(graph, ["node:decode"], 5, 5).routes.get("decode.samples")[0].x, 1);
  assert.equal(edits.move(graph, ["node:decode", "node:sample"], 5, 5).routes.get("decode.samples")[0].x, 6);
  assert.equal(edits.move(graph, ["route:decode.samples:1"], 5, 5).routes.get("decode.samples")[1].x, 7);
  assert.equal(edits.remove(graph, ["route:decode.samples:0"]).routes.get("decode.samples").length, 1);
  assert.equal(edits.disconnect(graph, "decode.samples").routes.size, 0);
});

test("steps of one kind within a second are one, others are not, and 200 are kept", () => {
  let now = 0;
  const session = new Session({ id: "1", document: textToImage(), now: () => now });
  const type = (text) => {
    session.apply("Type", (graph) => edits.setParam(graph, "prompt", "text", text), { merge: "t" });
  };
  const first = session.document;
  type("a");
  now += 900;
  type("ab");
  now += 900;
  type("abc");
  now += 1100;
  type("abcd");
  session.undo();
  assert.equal(session.graph.nodes.get("prompt").params.get("text"), "abc");
  session.undo();
  assert.equal(session.document, first);
  for (let index = 0; index < STEPS + 20; index += 1) {
    session.apply("Move", (graph) => edits.move(graph, ["node:model"], 1, 0));
  }
  let count = 0;
  while (session.undo()) count += 1;
  assert.equal(count, STEPS);
});

test("a node is run once an item of a list, and so gives lists itself", () => {
  const json = {
    nodes: {
      r: { type: "Range" },
      c: { type: "EmptyLatentImage", links: { width: "r.out" } },
      d: { type: "VAEDecode", links: { samples: "c.out" } },
    },
  };
  const graph = readGraph(json);
  assert.equal(outputType(graph, "d.out", catalogue), "list[Image]");
  assert.equal(isMapped(graph, "r", catalogue), false);
  const wide = added(graph, "SaveImage").graph;
  assert.equal(connectable(wide, "d.out", "save_image.images", catalogue).fit, "each");
  const xs = [...graph.nodes.values()].map((node) => node.view.x);
  assert.ok(xs[0] < xs[1] && xs[1] < xs[2]);
});

/** Three pictures scaled one after the other: `a` reads nothing, `b` reads `a`, `c` reads `b`. */
function scaled() {
  const scale = (image) => ({ type: "ImageScaleBy", links: image ? { image } : {} });
  return readGraph({ nodes: { a: scale(""), b: scale("a.out"), c: scale("b.out") } });
}

test("no link is made, and no node goes into one, where nodes would wait for each other", () => {
  const graph = scaled();
  assert.match(connectable(graph, "c.out", "a.image", catalogue).reason, /cycle/);
  assert.equal(connectable(graph, "a.out", "c.image", catalogue).fit, "whole");
  const found = candidates(graph, { input: "a.image" }, catalogue);
  assert.match(found.get("c.out").reason, /cycle/);
  const apart = edits.connect(graph, "a.out", "c.image");
  assert.deepEqual(edits.insertable(edits.disconnect(apart, "b.image"), "b", "c.image", catalogue).input, "image");
  const before = edits.disconnect(graph, "c.image");
  const wired = edits.connect(added(before, "ImageFlip").graph, "b.out", "image_flip.image");
  assert.equal(edits.insertable(wired, "a", "image_flip.image", catalogue), null);
});

test("dissolving nodes that wait for each other ends", () => {
  const looped = edits.connect(scaled(), "b.out", "a.image");
  const left = edits.remove(looped, ["node:a", "node:b"], { dissolve: true, catalogue });
  assert.deepEqual([...left.nodes.keys()], ["c"]);
  assert.equal(left.nodes.get("c").links.size, 0);
});

test("the bends of a removed node's links go with it", () => {
  const graph = edits.setRoute(scaled(), "c.image", [{ x: 1, y: 1 }]);
  assert.equal(edits.remove(graph, ["node:b"]).routes.size, 0);
  assert.equal(edits.remove(graph, ["node:a"]).routes.size, 1);
});

test("what is typed on an instance takes the place of a link within, when it is unpacked", () => {
  const inner = { nodes: { n: { type: "PrimitiveInt" }, c: { type: "EmptyLatentImage", links: { width: "n.out" } } } };
  const subgraph = { ...inner, inputs: { width: "c.width" }, outputs: { out: "c.out" } };
  const graph = readGraph({ nodes: { s: { graph: "g", params: { width: 64 } } }, subgraphs: { g: subgraph } });
  const node = unpack(graph, "s").graph.nodes.get("c");
  assert.equal(node.params.get("width"), 64);
  assert.equal(node.links.has("width"), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { readGraph, writeGraph, DocumentError } from "../../web/store/document.js";
import { connect, move, remove, setParam } from "../../web/store/edits.js";
import { equal, parse, parseMarked, stringify, stringifyMarked } from "../../web/store/json.js";
import { connectable, candidates } from "../../web/store/checks.js";
import { Session } from "../../web/store/session.js";
import { catalogue, textToImage } from "./store_fixtures.js";

test("whole numbers beyond 2^53 are read and written as they are", () => {
  const text = '{"a":18446744073709551615,"b":[1,2.5,-9007199254740993],"c":"18446744073709551615","d":1e30}';
  for (const read of [parse, parseMarked]) {
    const value = read(text);
    assert.equal(value.a, 18446744073709551615n);
    assert.equal(value.b[2], -9007199254740993n);
    assert.equal(value.c, "18446744073709551615");
    assert.equal(stringify(value), text.replace("1e30", "1e+30"));
    assert.equal(stringifyMarked(value), stringify(value));
  }
});

test("a name such as __proto__ is a name like any other", () => {
  const text = '{"format":1,"nodes":{"__proto__":{"type":"X","params":{"__proto__":{"a":1},"constructor":2},' +
    '"links":{"toString":"__proto__.__proto__"}}},"inputs":{"__proto__":"__proto__.__proto__"},' +
    '"view":{"__proto__":{"x":1,"y":2}}}';
  const graph = readGraph(parse(text));
  assert.equal(graph.nodes.get("__proto__")?.view.y, 2);
  assert.equal(stringify(writeGraph(graph)).includes('"__proto__":{"x":1,"y":2,"kept"'), false);
  assert.deepEqual(readGraph(writeGraph(graph)), graph);
  assert.equal(Object.prototype.a, undefined);
  const type = catalogue.type(graph.nodes.get("__proto__"), graph);
  assert.ok(type.missing);
  assert.ok(type.inputs.has("constructor") && type.inputs.has("toString"));
});

test("an id that is its own title is told in words", () => {
  const titles = ["ImageFlip", "KSampler", "ImageScale"].map((id) => catalogue.types.get(id)?.title);
  assert.deepEqual(titles, ["Image Flip", "KSampler", "Upscale Image"]);
});

test("the bundled workflow is written as it was read", () => {
  const graph = textToImage();
  assert.deepEqual(readGraph(writeGraph(graph)), graph);
  for (const [id, node] of graph.nodes) {
    assert.equal(catalogue.type(node, graph).missing, null, id);
  }
});

test("what is drawn of a node whose place is not told is kept, and it gets a place", () => {
  const nodes = { a: { type: "X" }, b: { type: "X", links: { x: "a.out" } } };
  const view = { a: { title: "First", kept: { text: "typed" } }, b: { x: 5, y: 6 } };
  const graph = readGraph({ format: 1, nodes, view });
  const { a, b } = Object.fromEntries(graph.nodes);
  assert.equal(a.view.title, "First");
  assert.equal(a.params.get("text"), "typed");
  assert.ok(a.view.y > b.view.y);
});

test("what is no workflow is refused in words", () => {
  const wrong = [null, [], {}, { format: 2, nodes: {} }, { nodes: { a: 5 } }, { nodes: { "a.b": { type: "X" } } }];
  for (const json of wrong) {
    assert.throws(() => readGraph(json), DocumentError);
  }
});

test("an edit shares what it does not change, and undo gives the very same document back", () => {
  const document = textToImage();
  const session = new Session({ id: "1", document });
  session.apply("Type", (graph) => setParam(graph, "prompt", "text", "a"));
  assert.equal(session.document.nodes.get("model"), document.nodes.get("model"));
  session.apply("Remove", (graph) => remove(graph, ["node:prompt"]));
  assert.equal(session.document.inputs.has("prompt"), false);
  assert.equal(session.document.nodes.get("sample").links.has("positive"), false);
  session.undo();
  session.undo();
  assert.equal(session.document, document);
  assert.equal(session.canUndo, false);
});

test("a link is refused with a reason where types differ or nodes would wait for each other", () => {
  const graph = textToImage();
  assert.match(connectable(graph, "model.vae", "sample.model", catalogue).reason, /takes Model/);
  assert.match(connectable(graph, "sample.out", "sample.latent_image", catalogue).reason, /itself/);
  const looped = connect(graph, "sample.out", "decode.samples");
  assert.equal(connectable(looped, "canvas.out", "sample.latent_image", catalogue).fit, "whole");
  const found = candidates(graph, { output: "canvas.out" }, catalogue);
  assert.equal(found.get("sample.latent_image").fit, "whole");
  assert.ok(found.get("sample.model").reason);
});

test("a listener that fails keeps no other from hearing, and its failure is raised", () => {
  const session = new Session({ id: "1", document: textToImage() });
  const heard = [];
  session.onEvent(() => {
    throw new Error("it could not be drawn");
  });
  session.onEvent((event) => heard.push(event.type));
  const edit = () => session.apply("Remove", (graph) => remove(graph, ["node:prompt"]), { select: ["node:sample"] });
  assert.throws(edit, /could not be drawn/);
  assert.deepEqual(heard, ["document", "selection"]);
  assert.equal(session.document.nodes.has("prompt"), false);
});

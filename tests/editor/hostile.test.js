import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { pathOf } from "../../web/api/http.js";
import { pictureTexts } from "../../web/api/png.js";
import { DocumentError, readGraph, writeGraph } from "../../web/store/document.js";
import { stringify } from "../../web/store/json.js";
import { placeNodes } from "../../web/store/placing.js";
import { weights } from "../../web/store/prompt.js";
import { Runs } from "../../web/store/runs.js";
import { Session } from "../../web/store/session.js";
import { staleNodes } from "../../web/store/stale.js";
import { roughTokens, weightRuns } from "../../web/views/fields/tokens.js";
import { catalogue } from "./store_fixtures.js";

/** Subgraphs of so many instances of the next each: more nodes than anybody could visit one by one. */
function laughs(levels, each, seed) {
  const subgraphs = {};
  for (let level = 0; level < levels; level += 1) {
    const inner = level + 1 < levels ? { graph: `g${level + 1}` } : { type: "KSampler", params: { seed } };
    const nodes = Object.fromEntries(Array.from({ length: each }, (_, at) => [`i${at}`, inner]));
    subgraphs[`g${level}`] = { nodes, inputs: { model: "i0.model" }, outputs: { out: "i0.out" } };
  }
  return readGraph({ format: 1, nodes: { top: { graph: "g0" } }, subgraphs });
}

test("subgraphs in subgraphs are looked at once, however many instances there are", () => {
  const graph = laughs(30, 10, 1);
  assert.deepEqual([...catalogue.type(graph.nodes.get("top"), graph).outputs.keys()], ["out"]);
  assert.equal(staleNodes(laughs(30, 10, 1), graph).size, 0);
  assert.equal(staleNodes(laughs(30, 10, 2), graph).get("top"), "its inside has changed");
});

test("a subgraph that holds itself has an outside, can be entered, and differs from itself in nothing", () => {
  const own = { nodes: { i: { graph: "a" }, j: { graph: "b" } }, inputs: { x: "i.x" }, outputs: { o: "i.o" } };
  const other = { nodes: { k: { graph: "a" } }, outputs: { o: "k.o" } };
  const read = () => readGraph({ nodes: { top: { graph: "a" } }, subgraphs: { a: own, b: other } });
  const graph = read();
  assert.deepEqual([...catalogue.type(graph.nodes.get("top"), graph).outputs.keys()], ["o"]);
  assert.equal(staleNodes(read(), graph).size, 0);
  const session = new Session({ id: "1", document: graph });
  for (const id of ["top", "i", "j", "k", "i"]) assert.ok(session.enter(id));
  session.apply("Remove", (inner) => ({ ...inner, nodes: new Map([...inner.nodes].slice(1)) }));
  assert.deepEqual([...session.document.subgraphs.get("a").nodes.keys()], ["j"]);
});

test("values that lie too deep in each other to be written are refused in words, others are written", () => {
  const deep = (levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  const holding = (value) => ({ nodes: { a: { type: "X", params: { value } } } });
  for (const levels of [1000, 100_000]) assert.throws(() => readGraph(holding(deep(levels))), DocumentError);
  assert.ok(stringify(writeGraph(readGraph(holding(deep(300))))).includes("[".repeat(300)));
});

test("what lies where nobody would find it is put where it is seen, with all that it says", () => {
  const far = { x: 1e308, y: -1e308 };
  const view = {
    a: { ...far, title: "A" },
    b: { x: 5, y: 5, width: -1e308 },
    ".notes": { n: { ...far, width: 1e308, height: -5, text: "kept" } },
    ".frames": { f: { x: 0, y: 0, width: -3, height: 1e300, title: "F" } },
    ".routes": { "b.x": [far] },
  };
  const graph = readGraph({ nodes: { a: { type: "X" }, b: { type: "X" } }, view });
  const { x, y } = graph.nodes.get("a").view;
  assert.ok(Math.abs(x) < 1000 && Math.abs(y) < 1000);
  assert.equal(graph.nodes.get("b").view.width, undefined);
  assert.deepEqual(graph.notes.get("n"), { text: "kept", x: 0, y: 0, width: 240, height: 120 });
  assert.deepEqual(graph.frames.get("f"), { title: "F", x: 0, y: 0, width: 240, height: 120 });
  assert.equal(graph.routes.size, 0);
  assert.deepEqual(readGraph(writeGraph(graph)), graph);
});

test("one of very many nodes is given a place", () => {
  const node = readGraph({ nodes: { a: { type: "X" } } }).nodes.get("a");
  const nodes = new Map(Array.from({ length: 150_000 }, (_, at) => [`n${at}`, node]));
  const placed = new Map([...nodes.keys()].slice(1).map((id, at) => [id, { x: -at, y: at }]));
  const { x, y } = placeNodes(nodes, placed).get("n0").view;
  assert.ok(x === -149_998 && y > 149_998);
});

test("prompts of brackets alone are read in a blink", { timeout: 5000 }, () => {
  const many = 100_000;
  assert.equal(weights("(a)".repeat(many)).length, many);
  assert.equal(weightRuns("(a)".repeat(many)).length, many);
  assert.equal(weightRuns("(".repeat(many) + ")".repeat(many)).length, 2 * many - 1);
  assert.ok(roughTokens("word ".repeat(2_000_000)) > 1_900_000);
  assert.ok(roughTokens(`:${"1".repeat(1_000_000)}`) > 0);
});

test("a name in a link leads nowhere but to what is called that", () => {
  const reached = (name) => new URL(`/api/v1/workflows/${pathOf(name)}`, "http://host").pathname;
  for (const name of ["../jobs/1", "..", ".", "a/../../jobs", "./b", "%2e%2e/jobs", "..\\jobs", "a/%2E%2E/b"]) {
    assert.ok(reached(name).startsWith("/api/v1/workflows/"), name);
  }
  assert.equal(pathOf("portraits/a b.c"), "portraits/a%20b.c");
  assert.equal(pathOf("...and so on"), "...and%20so%20on");
});

test("texts of a picture unpack to no more than a workflow may be, all together", async () => {
  const chunk = (kind, body) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return Buffer.concat([length, Buffer.from(kind), body, Buffer.alloc(4)]);
  };
  const packed = (keyword, size) =>
    chunk("zTXt", Buffer.concat([Buffer.from(`${keyword}\0\0`), deflateSync(Buffer.alloc(size, 32))]));
  const bombs = Array.from({ length: 10 }, (_, at) => packed(`bomb${at}`, 5 * 2 ** 20));
  const plain = chunk("tEXt", Buffer.from("prompt\0{}"));
  const data = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...bombs, plain]);
  const texts = await pictureTexts(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
  assert.ok([...texts.values()].reduce((sum, text) => sum + text.length, 0) <= 32 * 2 ** 20);
  assert.equal(texts.get("prompt"), "{}", "what is not packed is read all the same");
});

test("messages of another version, or of none, change nothing but what they tell", () => {
  const runs = new Runs();
  runs.apply({ type: "snapshot", data: { jobs: [null, 1, {}, { id: 5, state: "done" }, { id: "a", state: "queued" },
    { id: "b", state: "dreaming" }, { id: "c", state: "done", node_states: [null, 3], outputs: [null, {}] }],
    devices: [null, {}, { id: "gpu" }], queue: 5 } });
  assert.deepEqual([...runs.jobs.keys()], ["a", "c"]);
  assert.deepEqual([...runs.devices.keys()], ["gpu"]);
  const events = [null, 1, {}, { type: 5 }, { type: "job.created" }, { type: "job.paused", job: "a", data: {} },
    { type: "node.progress", data: null }, { type: "node.dreams", job: "a", data: { node: "n" } },
    { type: "output.added" }, { type: "device.x" }, { type: "later.thing", data: { a: 1 } }];
  runs.apply({ type: "events", events });
  assert.deepEqual([...runs.jobs.keys()], ["a", "c"]);
  assert.deepEqual(runs.pending().map(({ id, questions, name }) => [id, questions, name]), [["a", [], ""]]);
  assert.equal(runs.node("a", "n").state, "idle");
});

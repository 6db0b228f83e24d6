import assert from "node:assert/strict";
import { test } from "node:test";
import { readGraph, writeGraph } from "../../web/store/document.js";
import { connect, expose, move, remove, renameInput, setParam, setRoute } from "../../web/store/edits.js";
import { equal } from "../../web/store/json.js";
import { makeSubgraph, unpack } from "../../web/store/subgraphs.js";
import { Session } from "../../web/store/session.js";
import { outputType } from "../../web/store/flow.js";
import { copy, paste } from "../../web/store/clipboard.js";
import { catalogue, pick, random, textToImage } from "./store_fixtures.js";

const same = (a, b) => assert.deepEqual(writeGraph(a), writeGraph(b));

test("a subgraph that is made and unpacked gives the graph back, whatever nodes it was made of", () => {
  const next = random(1);
  let made = 0;
  for (let round = 0; round < 300; round += 1) {
    let graph = setRoute(textToImage(), "sample.positive", [{ x: 1, y: 2 }]);
    graph = setRoute(graph, "decode.samples", [{ x: 3, y: 4 }]);
    const ids = [...graph.nodes.keys()].filter(() => next() < 0.4);
    const result = makeSubgraph(graph, ids, "part");
    if ("reason" in result) {
      continue;
    }
    made += 1;
    assert.equal(result.graph.nodes.size, graph.nodes.size - ids.length + 1);
    assert.deepEqual(readGraph(writeGraph(result.graph)), result.graph);
    same(unpack(result.graph, result.id).graph, graph);
  }
  assert.ok(made > 50, `${made}`);
});

test("a subgraph in a subgraph unpacks to the graph too", () => {
  const next = random(2);
  let made = 0;
  for (let round = 0; round < 200; round += 1) {
    const graph = textToImage();
    const first = makeSubgraph(graph, [...graph.nodes.keys()].filter(() => next() < 0.4), "inner");
    if ("reason" in first) continue;
    const ids = [first.id, ...[...first.graph.nodes.keys()].filter(() => next() < 0.3)];
    const second = makeSubgraph(first.graph, ids, "outer");
    if ("reason" in second) continue;
    made += 1;
    const outside = unpack(second.graph, second.id);
    same(outside.graph, first.graph);
    same(unpack(outside.graph, first.id).graph, graph);
  }
  assert.ok(made > 30, `${made}`);
});

test("nodes that others lie between make no subgraph, and are told which", () => {
  const result = makeSubgraph(textToImage(), ["model", "sample"], "part");
  assert.match(result.reason, /prompt|negative/);
  assert.ok("reason" in makeSubgraph(textToImage(), [], "part"));
});

test("an instance has the ports and fields of what is inside, and what is typed there wins", () => {
  const made = makeSubgraph(textToImage(), ["sample", "canvas"], "draw");
  const type = catalogue.type(made.graph.nodes.get(made.id), made.graph);
  assert.equal(type.missing, null);
  assert.equal(type.inputs.get("positive").type, "Conditioning");
  assert.equal(type.inputs.get("seed").field.kind, "seed");
  assert.equal(type.inputs.get("seed").field.default, 6);
  assert.equal(type.outputs.get("out").type, "Latent");
  assert.equal(outputType(made.graph, "draw.out", catalogue), "Latent");
  assert.equal(catalogue.type(made.graph.nodes.get(made.id), move(made.graph, ["node:draw"], 1, 1)), type);
  const typed = setParam(made.graph, "draw", "seed", 7);
  assert.equal(unpack(typed, "draw").graph.nodes.get("sample").params.get("seed"), 7);
  assert.deepEqual(made.graph.inputs.get("seed"), ["draw.seed"]);
});

test("inside a subgraph one edits it, and its instances follow a port's new name", () => {
  const made = makeSubgraph(textToImage(), ["sample", "canvas"], "draw");
  const document = setParam(made.graph, "draw", "steps", 3);
  const session = new Session({ id: "1", document });
  assert.ok(session.enter("draw"));
  assert.ok(session.graph.nodes.has("sample"));
  session.apply("Rename", (graph) => renameInput(graph, "steps", "rounds"));
  assert.equal(session.document.nodes.get("draw").params.get("rounds"), 3);
  assert.deepEqual(session.document.inputs.get("steps"), ["draw.rounds"]);
  assert.deepEqual(session.path, ["draw"]);
  session.apply("Remove", (graph) => remove(graph, ["node:canvas"]));
  session.leave();
  assert.deepEqual([...session.selection], ["node:draw"]);
  session.undo();
  assert.deepEqual(session.path, ["draw"]);
  session.undo();
  assert.equal(session.document, document);
});

test("a subgraph is unpacked where another level's names mean something else", () => {
  const json = {
    format: 1,
    nodes: { a: { graph: "outer" } },
    subgraphs: {
      leaf: { outputs: { out: "n.out" }, nodes: { n: { type: "PrimitiveInt", params: { value: 1 } } } },
      outer: {
        outputs: { out: "b.out" },
        nodes: { b: { graph: "leaf" }, c: { graph: "own" } },
        subgraphs: {
          own: { nodes: { n: { type: "PrimitiveInt", params: { value: 2 } } } },
          leaf: { outputs: { out: "n.out" }, nodes: { n: { type: "PrimitiveInt", params: { value: 3 } } } },
        },
      },
    },
  };
  const graph = unpack(readGraph(json), "a").graph;
  const used = graph.subgraphs.get(graph.nodes.get("b").graph);
  assert.equal(used.nodes.get("n").params.get("value"), 3);
  assert.equal(graph.subgraphs.get("leaf").nodes.get("n").params.get("value"), 1);
  assert.ok(graph.subgraphs.has("own"));
  assert.equal(graph.subgraphs.has("outer"), false);
});

test("a subgraph that holds itself is told, and does not hang", () => {
  const subgraphs = { s: { outputs: { o: "b.o" }, nodes: { b: { graph: "s" } } } };
  const graph = readGraph({ nodes: { a: { graph: "s" } }, subgraphs });
  assert.equal(catalogue.type(graph.nodes.get("a"), graph).missing, null);
  const session = new Session({ id: "1", document: graph });
  session.enter("a");
  assert.match(catalogue.type(session.graph.nodes.get("b"), session.graph).missing ?? "holds itself", /holds itself/);
  assert.ok(unpack(graph, "a"));
});

test("what is pasted brings its subgraphs, by another name where the name means something else", () => {
  const made = makeSubgraph(textToImage(), ["sample"], "draw");
  const json = copy(made.graph, ["node:draw"]);
  const again = paste(made.graph, json, { x: 0, y: 0 });
  assert.equal(again.graph.subgraphs.size, 1);
  assert.equal(again.graph.nodes.get("draw_2").graph, "draw");
  const other = makeSubgraph(textToImage(), ["decode"], "draw").graph;
  const pasted = paste(other, json, { x: 0, y: 0 });
  assert.deepEqual([...pasted.graph.subgraphs.keys()], ["draw", "draw_2"]);
  assert.equal(pasted.graph.nodes.get("draw_2").graph, "draw_2");
  assert.equal(catalogue.type(pasted.graph.nodes.get("draw_2"), pasted.graph).missing, null);
});

test("a field is exposed by any name, and unexposed with its node", () => {
  const graph = expose(textToImage(), "decode.vae", "__proto__");
  assert.deepEqual(graph.inputs.get("__proto__"), ["decode.vae"]);
  assert.ok(equal(writeGraph(readGraph(writeGraph(graph))), writeGraph(graph)));
  assert.equal(remove(graph, ["node:decode"]).inputs.has("__proto__"), false);
  assert.ok(connect(graph, "a.b", "nobody.x") === graph);
  assert.ok(pick([1], random(1)) === 1);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import * as edits from "../../web/store/edits.js";
import { connectable } from "../../web/store/checks.js";
import { copy, paste } from "../../web/store/clipboard.js";
import { readGraph, writeGraph } from "../../web/store/document.js";
import { before } from "../../web/store/flow.js";
import { equal, parse, stringify } from "../../web/store/json.js";
import { item } from "../../web/store/names.js";
import { STEPS, Session } from "../../web/store/session.js";
import { makeSubgraph, unpack } from "../../web/store/subgraphs.js";
import { seedsAfterRun, setSeedMode } from "../../web/views/fields/seeds.js";
import { added, catalogue, pick, random, textToImage } from "./store_fixtures.js";

const file = (graph) => stringify(writeGraph(graph));
const TEXTS = ["", "A", "__proto__", "constructor", "<b>", "a b", "\u{1f600}"];
const VALUES = [1, -0.5, "a", 18446744073709551615n, null, undefined, true, [1, { a: [] }], "\u2028\0"];
const MOST = 60;

/** Edits of values, looks and what is exposed, as somebody might make them at a node's input. */
const small = (graph, next, { id, place, input }) => [
  () => edits.setParam(graph, id, input, pick(VALUES, next)),
  () => edits.setTitle(graph, id, pick(TEXTS, next)),
  () => edits.setMode(graph, [id], pick(["mute", "bypass", null], next)),
  () => edits.setView(graph, [id], { collapsed: pick([true, undefined], next), width: pick([300, undefined], next) }),
  () => edits.setView(graph, [id], { color: pick(["red", "__proto__", undefined], next), rows: { [input]: 5 } }),
  () => setSeedMode(graph, id, "seed", pick(["fixed", "random", "next"], next)),
  () => seedsAfterRun(graph, catalogue),
  () => edits.expose(graph, place, pick(["seed", "__proto__", "a b", undefined], next)),
  () => edits.unexpose(graph, place),
  () => edits.renameInput(graph, pick([...graph.inputs.keys()], next) ?? "none", pick(TEXTS, next)),
  () => edits.orderInputs(graph, [...graph.inputs.keys()].reverse()),
];

/** Edits of what lies on the canvas. */
const drawn = (graph, next, { some }) => [
  () => edits.move(graph, some, Math.round(next() * 90), -20.5),
  () => edits.move(graph, [...graph.frames.keys()].map((one) => item("frame", one)), 3, 3),
  () => edits.place(graph, new Map([...graph.nodes.keys()].map((one, at) => [one, { x: at * 300, y: 0 }]))),
  () => edits.addFrame(graph, { title: pick(TEXTS, next), x: next() * 900, y: 0, width: 400, height: 900 }).graph,
  () => edits.addNote(graph, { text: pick(TEXTS, next), x: next() * 900, y: 0, width: 100, height: 100 }).graph,
  () => edits.setFrame(graph, pick([...graph.frames.keys()], next) ?? "none", { title: "T", collapsed: true }),
  () => edits.setNote(graph, pick([...graph.notes.keys()], next) ?? "none", { text: pick(TEXTS, next) }),
  () => edits.remove(graph, [...graph.notes.keys()].slice(1).map((one) => item("note", one))),
];

/** Edits of nodes and links. */
const large = (graph, next, { id, place, ids, some, links }) => [
  () => added(graph, pick([...catalogue.types.keys()], next), next() * 900, next() * 900).graph,
  () => edits.remove(graph, some.slice(0, 2), { dissolve: next() < 0.5, catalogue }),
  () => edits.remove(graph, ids.length > MOST ? ids.slice(20).map((one) => item("node", one)) : []),
  () => linked(graph, next, place),
  () => edits.disconnect(graph, place),
  () => edits.disconnectAll(graph, links.filter(() => next() < 0.3)),
  () => (links.length ? edits.setRoute(graph, pick(links, next), pick([[], [{ x: 1, y: 2 }]], next)) : graph),
  () => edits.duplicate(graph, some.slice(0, 3), { keepInputs: next() < 0.5 }).graph,
  () => paste(graph, parse(stringify(copy(graph, some.slice(0, 3)))), { x: 5, y: 5 }).graph,
  () => edits.autoConnect(graph, ids, catalogue),
  () => edits.insertOnLink(graph, id, pick(links, next) ?? "none.x", catalogue),
  () => makeSubgraph(graph, some.map((one) => one.slice(5)), pick(["part", "__proto__"], next)).graph ?? graph,
  () => unpack(graph, id)?.graph ?? graph,
];

/** Wires an output to an input where that may be done, and sometimes all links of the one to another. */
function linked(graph, next, place) {
  const id = pick([...graph.nodes.keys()], next);
  const node = graph.nodes.get(id);
  const output = node && pick([...catalogue.type(node, graph).outputs.keys()], next);
  const source = `${id}.${output}`;
  return "fit" in connectable(graph, source, place, catalogue) ? edits.connect(graph, source, place) : graph;
}

/** Does something to a graph, as a user might. */
function anyEdit(graph, next) {
  const ids = [...graph.nodes.keys()];
  const id = pick(ids, next);
  if (id === undefined) {
    return added(graph, "LoadImage").graph;
  }
  const node = graph.nodes.get(id);
  const input = pick([...catalogue.type(node, graph).inputs.keys()], next) ?? "x";
  const links = ids.flatMap((one) => [...graph.nodes.get(one).links.keys()].map((name) => `${one}.${name}`));
  const some = ids.filter(() => next() < 0.3).map((one) => item("node", one));
  const at = { id, ids, input, links, some, place: `${id}.${input}` };
  const kinds = [...small(graph, next, at), ...drawn(graph, next, at), ...large(graph, next, at)];
  return pick(kinds, next)();
}

/** Tells what in a graph, and in its subgraphs, leads nowhere or back to where it comes from. */
function wrongIn(graph, where = "") {
  const wrong = [];
  const node = (place) => graph.nodes.get(place.slice(0, place.indexOf(".")));
  for (const [id, { links }] of graph.nodes) {
    for (const [input, link] of links) {
      const from = link.slice(0, link.indexOf("."));
      if (!node(link) || before(graph, from).has(id)) wrong.push(`${where}${id}.${input} <- ${link}`);
    }
  }
  for (const [name, places] of graph.inputs) if (!places.every(node)) wrong.push(`${where}input ${name}: ${places}`);
  for (const [name, place] of graph.outputs) if (!node(place)) wrong.push(`${where}output ${name}: ${place}`);
  // A subgraph keeps the bends of links from without for when it is unpacked.
  for (const target of where ? [] : graph.routes.keys()) {
    if (!node(target)?.links.has(target.slice(target.indexOf(".") + 1))) wrong.push(`bends of ${target}`);
  }
  for (const [name, part] of graph.subgraphs) wrong.push(...wrongIn(part, `${where}${name}/`));
  return wrong;
}

/** Tells which links lead from an output that there is not; what a subgraph gives may be taken away within. */
function portless(graph) {
  const types = new Map([...graph.nodes].map(([id, node]) => [id, catalogue.type(node, graph)]));
  return [...graph.nodes.values()].flatMap(({ links }) => [...links.values()].filter((link) => {
    const [from, output] = link.split(".");
    return graph.nodes.get(from)?.graph === null && !types.get(from)?.outputs.has(output);
  }));
}

/** Goes into subgraphs and out again, and selects something, as it happens. */
function goAbout(session, next) {
  const instance = [...session.graph.nodes].find(([, node]) => node.graph !== null);
  if (next() < 0.15 && instance) session.enter(instance[0]);
  if (next() < 0.15) session.leave();
  if (next() < 0.15) session.select([...session.graph.nodes.keys()].slice(0, 2).map((id) => item("node", id)));
}

test("2400 edits of all kinds: files read back the same, links lead somewhere, each step goes back and forth", () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    const next = random(seed);
    const session = new Session({ id: "1", document: textToImage() });
    const documents = [session.document];
    const files = [file(session.document)];
    for (let step = 1; step <= 100; step += 1) {
      session.apply("Edit", (graph) => anyEdit(graph, next));
      goAbout(session, next);
      if (session.document === documents.at(-1)) continue;
      documents.push(session.document);
      files.push(file(session.document));
      const told = `seed ${seed}, step ${step}`;
      const again = readGraph(parse(files.at(-1)));
      assert.ok(equal(writeGraph(again), writeGraph(session.document)), told);
      for (const part of ["nodes", "inputs", "outputs", "subgraphs", "notes"]) {
        assert.deepEqual([...again[part].keys()], [...session.document[part].keys()], told);
      }
      assert.deepEqual(wrongIn(session.document), [], told);
      assert.deepEqual(portless(session.graph), [], told);
    }
    for (let at = documents.length - 2; at >= 0; at -= 1) {
      assert.ok(session.undo());
      assert.equal(session.document, documents[at], `seed ${seed}, ${at} is back`);
      assert.equal(file(session.document), files[at]);
    }
    assert.ok(!session.canUndo);
    for (let at = 1; at < documents.length; at += 1) {
      assert.ok(session.redo());
      assert.equal(session.document, documents[at], `seed ${seed}, ${at} is there again`);
      assert.equal(file(session.document), files[at]);
    }
    assert.ok(!session.canRedo);
  }
});

test("of more edits than are kept the last ones are taken back, to the very documents that were", () => {
  const next = random(99);
  const session = new Session({ id: "1", document: textToImage() });
  const documents = [session.document];
  while (documents.length <= STEPS + 100) {
    session.apply("Edit", (graph) => anyEdit(graph, next));
    if (session.document !== documents.at(-1)) documents.push(session.document);
  }
  for (let steps = 1; steps <= STEPS; steps += 1) {
    assert.ok(session.undo());
    assert.equal(session.document, documents.at(-1 - steps));
  }
  assert.ok(!session.undo());
});

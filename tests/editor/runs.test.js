import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyGraph, newNode } from "../../web/store/document.js";
import { Problems } from "../../web/store/problems.js";
import { Runs, timeLeft } from "../../web/store/runs.js";
import { staleNodes } from "../../web/store/stale.js";

const job = (id, state, more = {}) => ({
  id, seq: 1, user: "ann", state, name: "circle", client: "tab", nodes: 2, priority: 0, position: 0, batch: null,
  index: null, retry_of: null, attempts: 1, device: null, created: 100, started: 101, ended: null, seconds: 0,
  failure: null, questions: [], ...more,
});
const event = (type, data, more = {}) => ({ type: "events", events: [{ seq: 1, time: 1, type, data, ...more }] });
const jobEvent = (id, state, more) => event(`job.${state}`, job(id, state, more), { job: id });
const nodeEvent = (id, kind, data) => event(`node.${kind}`, data, { job: id });
const output = (id, node, seq) => ({ id, seq, job: "a", node, ordinal: 0, name: id, kind: "output" });

test("a job goes from queued to done, and what changed is told", () => {
  const runs = new Runs();
  const told = runs.apply(jobEvent("a", "queued"), 100);
  assert.deepEqual(told, [{ type: "run", job: "a", node: null }, { type: "queue" }]);
  runs.apply(jobEvent("a", "running"), 101);
  assert.deepEqual(runs.apply(nodeEvent("a", "running", { node: "n", type: "T" }), 101), [
    { type: "run", job: "a", node: "n" },
  ]);
  runs.apply(nodeEvent("a", "progress", { node: "n", value: 3, total: 4, message: "step", progress: 0.6 }), 102);
  assert.equal(runs.node("a", "n").value, 3);
  assert.equal(runs.jobs.get("a").progress, 0.6);
  runs.apply(nodeEvent("a", "finished", { node: "n", seconds: 1.5 }), 103);
  runs.apply(jobEvent("a", "done"), 104);
  assert.equal(runs.node("a", "n").state, "finished");
  assert.equal(runs.node("a", "n").seconds, 1.5);
  assert.equal(runs.jobs.get("a").progress, 1);
  assert.deepEqual(runs.pending(), []);
});

test("events that are told twice change nothing", () => {
  const runs = new Runs();
  for (const _ of [1, 2]) {
    runs.apply(jobEvent("a", "running"), 101);
    runs.apply(event("output.added", output("x", "save", 1), { job: "a" }), 102);
    runs.apply(nodeEvent("a", "warned", { node: "n", message: "odd" }), 102);
  }
  assert.equal(runs.jobs.size, 1);
  assert.equal(runs.outputs("a").length, 1);
  assert.deepEqual(runs.node("a", "n").warnings, ["odd"]);
});

test("progress never goes back, and a job that begins anew begins at nothing", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "running"), 101);
  runs.apply(nodeEvent("a", "progress", { node: "n", value: 1, total: 2, progress: 0.5 }), 101);
  runs.apply(nodeEvent("a", "progress", { node: "m", value: 1, total: 9, progress: 0.4 }), 101);
  assert.equal(runs.jobs.get("a").progress, 0.5);
  runs.apply(jobEvent("a", "queued"), 102);
  runs.apply(jobEvent("a", "running"), 103);
  assert.equal(runs.jobs.get("a").progress, 0);
  assert.equal(runs.node("a", "n").state, "idle");
});

test("a snapshot shows a running job at once, and jobs that it does not hold are to be asked for", () => {
  const runs = new Runs();
  runs.apply(jobEvent("gone", "running"), 100);
  const live = {
    ...job("a", "running"), progress: 0.4, left: 6, place: null, cancelling: false,
    node_states: [{ node: "n", type: "T", state: "running", value: 2, total: 5, message: "", seconds: 0 }],
  };
  const queue = { paused: true, reason: "lunch", queued: 3, running: 1, waiting: 0 };
  const device = { id: "cpu", device: "cpu", state: "busy", job: "a", memory: 0, reason: "" };
  runs.apply({ type: "snapshot", epoch: "e", seq: 9, data: { jobs: [live], devices: [device], queue } }, 110);
  assert.equal(runs.node("a", "n").value, 2);
  assert.deepEqual([...runs.lost], ["gone"]);
  assert.equal(runs.queue.reason, "lunch");
  assert.equal(runs.devices.get("cpu").state, "busy");
  runs.applyJob({ ...job("gone", "done"), node_states: [], outputs: [] }, 111);
  assert.equal(runs.lost.size, 0);
});

test("an answer that was written before the events that came meanwhile changes nothing", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "running", { attempts: 1 }), 101);
  runs.apply(nodeEvent("a", "progress", { node: "n", value: 1, total: 2, progress: 0.5 }), 101);
  assert.deepEqual(runs.applyJob(job("a", "queued", { attempts: 0 })), []);
  assert.equal(runs.jobs.get("a").progress, 0.5);
  runs.apply(jobEvent("a", "done", { attempts: 1 }), 102);
  runs.applyJob(job("a", "running", { attempts: 1 }));
  assert.equal(runs.jobs.get("a").state, "done");
});

test("a job that was asked for again, or answered, is queued anew", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "waiting", { attempts: 1 }), 101);
  runs.applyJob(job("a", "queued", { attempts: 1 }));
  assert.equal(runs.jobs.get("a").state, "queued");
  runs.apply(jobEvent("a", "running", { attempts: 2 }), 101);
  assert.equal(runs.jobs.get("a").state, "running");
});

test("a cancelled job's answer leaves no node asking", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "waiting"), 101);
  const node_states = [{ node: "n", type: "T", state: "waiting", value: null, total: null, message: "", seconds: 0 }];
  runs.applyJob({ ...job("a", "cancelled"), node_states });
  assert.equal(runs.node("a", "n").state, "cancelled");
});

test("an instance of a subgraph does what is in it, at any depth", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "running"), 101);
  runs.apply(nodeEvent("a", "finished", { node: "up/in/x", seconds: 1 }), 101);
  assert.equal(runs.node("a", "up", 2).state, "running");
  assert.equal(runs.node("a", "up", 2).value, 1);
  runs.apply(nodeEvent("a", "progress", { node: "up/y", value: 1, total: 2, message: "half" }), 101);
  assert.equal(runs.node("a", "up").value, 1.5);
  assert.equal(runs.node("a", "up").message, "half");
  assert.equal(runs.node("a", "up/in").state, "finished");
  runs.apply(nodeEvent("a", "failed", { node: "up/y", message: "broke" }), 102);
  assert.equal(runs.node("a", "up").state, "failed");
  assert.equal(runs.node("a", "up").message, "broke");
  assert.equal(runs.node("a", "u").state, "idle");
});

test("an instance whose nodes all came out of the cache is cached", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "running"), 101);
  for (const node of ["up/x", "up/y"]) runs.apply(nodeEvent("a", "cached", { node }), 101);
  assert.equal(runs.node("a", "up", 2).state, "cached");
});

test("a job that ends leaves no node running", () => {
  const runs = new Runs();
  runs.apply(jobEvent("a", "running"), 101);
  runs.apply(nodeEvent("a", "running", { node: "n" }), 101);
  runs.apply(jobEvent("a", "cancelled"), 102);
  assert.equal(runs.node("a", "n").state, "cancelled");
});

test("node names such as __proto__ are names like any other", () => {
  const runs = new Runs();
  runs.apply(jobEvent("__proto__", "running"), 101);
  runs.apply(nodeEvent("__proto__", "running", { node: "constructor" }), 101);
  assert.equal(runs.node("__proto__", "constructor").state, "running");
  assert.equal(runs.node("__proto__", "toString").state, "idle");
});

test("what runs comes first, then what waits by priority and place", () => {
  const runs = new Runs();
  for (const [id, state, position, priority] of [
    ["late", "queued", 2, 0], ["early", "queued", 1, 0], ["urgent", "queued", 3, 5], ["now", "running", 0, 0],
  ]) runs.apply(jobEvent(id, state, { position, priority }));
  assert.deepEqual(runs.pending().map(({ id }) => id), ["now", "urgent", "early", "late"]);
});

test("ended jobs are forgotten beyond a bound, pending ones never", () => {
  const runs = new Runs();
  runs.apply(jobEvent("open", "queued"));
  for (let i = 0; i < 500; i += 1) runs.apply(jobEvent(`j${i}`, "done", { seq: i, ended: i }));
  assert.ok(runs.jobs.size < 400 && runs.jobs.has("open") && runs.jobs.has("j499") && !runs.jobs.has("j0"));
});

test("time left goes from what jobs like it took to what this one's pace tells", () => {
  const running = { ...job("a", "running"), started: 100, toldAt: 100, ahead: 0 };
  const at = (progress, left, now) => timeLeft({ ...running, progress, left }, now);
  assert.equal(at(0, 20, 102), 18);
  assert.equal(at(0.5, null, 110), 10);
  assert.equal(at(0.5, 30, 110), 15);
  assert.equal(at(0, null, 110), null);
});

test("time left is right however far apart the clocks of page and server are", () => {
  for (const apart of [-3600, 0, 3600]) {
    const runs = new Runs();
    const at = (time, message) => ({ ...message, events: message.events.map((told) => ({ ...told, time })) });
    runs.apply(at(100, jobEvent("a", "running", { started: 100 })), 100.5 + apart);
    runs.apply(at(110, nodeEvent("a", "progress", { node: "n", value: 1, total: 2, progress: 0.5 })), 110.1 + apart);
    runs.apply(at(110, nodeEvent("a", "progress", { node: "n", value: 1, total: 2, progress: 0.5 })), 170 + apart);
    assert.equal(Math.round(timeLeft(runs.jobs.get("a"), 110 + apart)), 10, "what comes late tells of no clock");
  }
});

const graphOf = (nodes) => ({ ...emptyGraph(), nodes: new Map(nodes) });
const node = (params, links = {}) => ({
  ...newNode("T", { x: 0, y: 0 }), params: new Map(Object.entries(params)), links: new Map(Object.entries(links)),
});

test("a changed value makes its node and all that reads it stale, with a reason each", () => {
  const then = graphOf([["a", node({ x: 1 })], ["b", node({}, { in: "a.out" })], ["c", node({})]]);
  const now = { ...then, nodes: new Map(then.nodes).set("a", node({ x: 2 })) };
  assert.deepEqual(staleNodes(now, then), new Map([["a", "x has changed"], ["b", "a runs again"]]));
  assert.equal(staleNodes(then, then).size, 0);
  assert.equal(staleNodes(now, null).size, 0);
});

test("moving a node makes nothing stale; new nodes, wires and modes do", () => {
  const then = graphOf([["a", node({ x: 1 })], ["b", node({})]]);
  const moved = { ...then.nodes.get("a"), view: { x: 9, y: 9 } };
  assert.equal(staleNodes({ ...then, nodes: new Map(then.nodes).set("a", moved) }, then).size, 0);
  const wired = new Map(then.nodes).set("b", node({}, { in: "a.out" })).set("n", node({}));
  const stale = new Map([["b", "in is wired differently"], ["n", "it is new"]]);
  assert.deepEqual(staleNodes({ ...then, nodes: wired }, then), stale);
  const muted = new Map(then.nodes).set("a", { ...then.nodes.get("a"), mode: "mute" });
  assert.equal(staleNodes({ ...then, nodes: muted }, then).get("a"), "its mode is mute now");
});

test("an instance is stale when what is in its subgraph has changed", () => {
  const inner = graphOf([["x", node({ v: 1 })]]);
  const instance = { ...newNode("T", { x: 0, y: 0 }), type: null, graph: "up" };
  const then = { ...graphOf([["i", instance]]), subgraphs: new Map([["up", inner]]) };
  const changed = { ...inner, nodes: new Map([["x", node({ v: 2 })]]) };
  const now = { ...then, subgraphs: new Map([["up", changed]]) };
  assert.equal(staleNodes(now, then).get("i"), "its inside has changed");
  assert.equal(staleNodes(now, then, ["i"]).get("x"), "v has changed");
});

test("a problem is gone when what it is about was edited, and only then", () => {
  const problems = new Problems();
  const graph = graphOf([["a", node({ x: 1, y: 1 })], ["b", node({})]]);
  const problem = (id, field) => ({ code: "wrong", message: `${id} ${field}`, node: id, field });
  problems.set("tab", [problem("a", "params.x"), problem("b", null), problem("b", null)]);
  assert.equal(problems.of("tab").length, 2);
  assert.equal(problems.at("tab", "a", "x").length, 1);
  const other = { ...graph, nodes: new Map(graph.nodes).set("a", node({ x: 1, y: 2 })) };
  assert.equal(problems.edited("tab", graph, other), false);
  const mended = { ...graph, nodes: new Map(graph.nodes).set("a", node({ x: 2, y: 1 })) };
  assert.equal(problems.edited("tab", graph, mended), true);
  assert.deepEqual(problems.of("tab").map(({ node: id }) => id), ["b"]);
  problems.edited("tab", mended, { ...mended, nodes: new Map([["a", mended.nodes.get("a")]]) });
  assert.equal(problems.of("tab").length, 0);
});

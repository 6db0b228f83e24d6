import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalogue } from "../../web/store/catalogue.js";
import { diff } from "../../web/store/diff.js";
import { connect, move, remove, setMode, setParam } from "../../web/store/edits.js";
import { evaluate } from "../../web/store/expression.js";
import { fieldOf } from "../../web/store/fields.js";
import { fitOf, readFits } from "../../web/store/fits.js";
import { idOfType } from "../../web/store/names.js";
import { weigh, weights } from "../../web/store/prompt.js";
import { fuzzy } from "../../web/store/search.js";
import { Settings } from "../../web/store/settings.js";
import { makeSubgraph } from "../../web/store/subgraphs.js";
import { catalogue, textToImage } from "./store_fixtures.js";

test("what differs is told by node and field, and the layout apart", () => {
  const before = textToImage();
  let after = setParam(before, "sample", "steps", 30);
  after = connect(after, "negative.out", "sample.positive");
  after = remove(move(after, ["node:model"], 5, 5), ["node:save"]);
  const found = diff(before, setMode(after, ["decode"], "mute"));
  assert.deepEqual(found.nodes.removed, ["save"]);
  const [sample, decode] = found.nodes.changed;
  assert.deepEqual(sample.params, [{ name: "steps", before: 20, after: 30 }]);
  assert.deepEqual(sample.links, [{ name: "positive", before: "prompt.out", after: "negative.out" }]);
  assert.equal(decode.mode.after, "mute");
  assert.deepEqual(found.layout, ["model"]);
  assert.ok(diff(before, move(before, ["node:model"], 5, 5)).same);
  assert.deepEqual(diff(before, makeSubgraph(before, ["sample"], "s").graph).subgraphs.added, ["s"]);
});

test("arithmetic is worked out, whole numbers exactly, and nothing else is run", () => {
  const cases = [["2*512+64", 1088], ["2^64-1", 18446744073709551615n], ["-2^2", -4], ["(1+2)*3", 9], ["1/4", 0.25],
    ["min(3, 2)", 2], ["1e3", 1000], ["2^-1", 0.5], [" 7 ", 7]];
  for (const [text, value] of cases) {
    assert.equal(evaluate(text), value, text);
  }
  for (const text of ["", "1+", "()", "1 2", "5/0", "constructor", "alert(1)", "2^999999", "1,2", "9".repeat(500)]) {
    assert.equal(evaluate(text), null, text);
  }
});

test("weights of a prompt go up and down, and leave no parentheses at 1", () => {
  assert.deepEqual(weigh("a red cat", 3, 3), { text: "a (red:1.1) cat", start: 3, end: 6 });
  assert.equal(weigh("a (red:1.1) cat", 4, 4).text, "a (red:1.2) cat");
  assert.equal(weigh("a (red:1.1) cat", 4, 4, -0.1).text, "a red cat");
  assert.equal(weigh("big house", 0, 9, -0.1).text, "(big house:0.9)");
  assert.equal(weigh("a (red) b", 2, 7).text, "a (red:1.2) b");
  assert.equal(weigh("  ", 1, 1).text, "  ");
  let text = "cat";
  let at = { start: 0, end: 3 };
  for (let step = 0; step < 9; step += 1) ({ text, ...at } = weigh(text, at.start, at.end, step < 3 ? 0.1 : -0.1));
  assert.equal(text, "(cat:0.7)");
  assert.deepEqual(weights("((a:1.2) b:0.5) \\(c\\)").map((one) => one.weight), [0.5, 0.6]);
});

test("a few letters find what is meant, best first", () => {
  const types = [...catalogue.types.values()];
  const entries = types.map((type) => ({ text: type.title, more: `${type.id} ${type.category}` }));
  const first = (query) => fuzzy(query, entries)[0]?.entry.text;
  assert.equal(first("ks"), "KSampler");
  assert.equal(first("cte"), "CLIP Text Encode (Prompt)");
  assert.equal(first("load im"), "Load Image");
  assert.equal(first("vae dec"), "VAE Decode");
  assert.equal(first("zzzz"), undefined);
  assert.equal(fuzzy("", entries).length, entries.length);
  assert.deepEqual(fuzzy("samp", [{ text: "KSampler" }])[0].marks, [1, 2, 3, 4]);
  assert.equal(fuzzy("", [{ text: "a" }, { text: "b", boost: 5 }])[0].entry.text, "b");
});

test("a thousand entries are searched in a moment", () => {
  const types = [...catalogue.types.values()];
  const title = (index) => `${types[index % types.length].title} ${index}`;
  const entries = Array.from({ length: 1000 }, (_, index) => ({ text: title(index) }));
  fuzzy("a", entries);
  const start = performance.now();
  for (const query of ["image", "ks", "e", "latnt im", "zzz"]) fuzzy(query, entries);
  assert.ok((performance.now() - start) / 5 < 20);
});

test("fields follow the schema", () => {
  const kind = (name, schema) => fieldOf(name, schema).kind;
  assert.equal(kind("seed", { type: "integer", minimum: 0 }), "seed");
  assert.equal(kind("steps", { type: "integer" }), "integer");
  assert.equal(kind("x", { type: "integer", "x-widget": "seed" }), "seed");
  assert.equal(kind("x", { type: "number", minimum: 0, maximum: 1 }), "slider");
  assert.equal(kind("x", { type: "string", "x-multiline": true }), "multiline");
  assert.equal(kind("x", { type: "string", enum: ["a"] }), "combo");
  assert.equal(kind("x", { type: "string", enum: ["a"], "x-file": "input" }), "file");
  assert.equal(kind("x", { type: "string", "x-body": true }), "body");
  assert.equal(kind("x", {}), "json");
  const empty = fieldOf("x", { anyOf: [{ type: "integer", minimum: 2 }, { type: "null" }], default: null });
  assert.deepEqual([empty.kind, empty.optional, empty.min, empty.default], ["integer", true, 2, null]);
  const curve = fieldOf("x", { type: "number", "x-widget": "soft-curve" });
  assert.deepEqual([curve.kind, curve.element], ["number", "soft-curve"]);
});

test("what fits is as the server tells, and for other types as their names tell", () => {
  const image = { Image: "whole", any: "whole" };
  const table = readFits({ Image: image, "list[Image]": { Image: "each" }, int: { float: "whole" } });
  assert.equal(fitOf(table, "Image", "Image"), "whole");
  assert.equal(fitOf(table, "list[Image]", "Image"), "each");
  assert.equal(fitOf(table, "Image", "float"), null);
  assert.equal(fitOf(table, "Gone", "Gone"), "whole");
  assert.equal(fitOf(table, "list[Gone]", "Gone"), "each");
  assert.equal(fitOf(table, "list[list[Gone]]", "Gone"), null);
  assert.equal(fitOf(table, "Gone", "int | Gone"), "whole");
  assert.equal(new Catalogue({ nodes: null }).types.size, 0);
});

test("settings of another shape are as if they were not there", () => {
  const stored = new Map();
  stored.set("nodegraph.settings", '{"theme":"pink","snap":true,"__proto__":{"a":1},"keys":{"a":["B"]}}');
  const storage = { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) };
  const settings = new Settings(storage);
  assert.equal(settings.get("theme"), "auto");
  assert.equal(settings.get("snap"), true);
  let told = "";
  settings.onChange((name) => (told = name));
  settings.set("theme", "dark");
  assert.equal(told, "theme");
  assert.equal(new Settings(storage).get("theme"), "dark");
  stored.set("nodegraph.settings", "{");
  assert.equal(new Settings(storage).get("theme"), "auto");
  assert.equal(new Settings(null).get("guides"), true);
});

test("a node is called after its type", () => {
  assert.equal(idOfType("CLIPTextEncode"), "clip_text_encode");
  assert.equal(idOfType("pack.Do It!"), "do_it");
  assert.equal(idOfType("graph:upscale"), "upscale");
  assert.equal(idOfType("___"), "node");
});

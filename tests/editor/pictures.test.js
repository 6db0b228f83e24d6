import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { readDocument, readPicture } from "../../web/api/opened_file.js";
import { pictureTexts } from "../../web/api/png.js";
import { readApiForm } from "../../web/store/comfy.js";
import { readGraph } from "../../web/store/document.js";
import { seedsOf } from "../../web/store/seeds_of.js";

const bytes = (text) => Buffer.from(text, "latin1");
const chunk = (kind, body) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, bytes(kind), body, Buffer.alloc(4)]);
};
const png = (...chunks) => {
  const data = Buffer.concat([bytes("\x89PNG\r\n\x1a\n"), ...chunks, chunk("IEND", Buffer.alloc(0))]);
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
};
const none = () => undefined;

test("texts of a PNG are read, plain, packed and long", async () => {
  const texts = await pictureTexts(png(
    chunk("tEXt", bytes("prompt\0{\"a\": \xe9}")),
    chunk("zTXt", Buffer.concat([bytes("nodegraph\0\0"), deflateSync(bytes("packed"))])),
    chunk("iTXt", Buffer.concat([bytes("workflow\0\x01\0de\0w\0"), deflateSync(Buffer.from("l\u00e4nger \u{1f600}"))])),
    chunk("iTXt", Buffer.concat([bytes("more\0\0\0\0\0"), Buffer.from("\u00fc")])),
  ));
  assert.deepEqual([...texts], [
    ["prompt", "{\"a\": \xe9}"], ["nodegraph", "packed"], ["workflow", "l\u00e4nger \u{1f600}"], ["more", "\u00fc"],
  ]);
});

test("a damaged or cut PNG gives what can be read", async () => {
  const broken = [chunk("zTXt", bytes("bad\0\0no zlib")), chunk("tEXt", bytes("x"))];
  const whole = png(chunk("tEXt", bytes("prompt\0{}")), ...broken);
  assert.deepEqual([...(await pictureTexts(whole)).keys()], ["prompt"]);
  for (let length = 0; length < whole.byteLength; length += 1) await pictureTexts(whole.slice(0, length));
  const lying = new Uint8Array(whole.slice(0));
  lying.set([0xff, 0xff, 0xff, 0xff], 8);
  assert.equal((await pictureTexts(lying.buffer)).size, 0);
});

test("a text that unpacks to more than any workflow is left out", async () => {
  const bomb = deflateSync(Buffer.alloc(64 * 2 ** 20));
  assert.equal((await pictureTexts(png(chunk("zTXt", Buffer.concat([bytes("nodegraph\0\0"), bomb]))))).size, 0);
});

test("a workflow in the EXIF of a WebP is found", async () => {
  const exif = bytes("Exif\0\0II*\0prompt:{\"1\": {\"class_type\": \"T\", \"inputs\": {}}}\0");
  const size = Buffer.alloc(4);
  size.writeUInt32LE(exif.length);
  const data = Buffer.concat([bytes("RIFF\0\0\0\0WEBPEXIF"), size, exif]);
  const graph = await readPicture(data.buffer.slice(data.byteOffset, data.byteOffset + data.length), none);
  assert.deepEqual([...graph.nodes.keys()], ["1"]);
});

test("our own form is taken before ComfyUI's, and a picture without either gives nothing", async () => {
  const own = chunk("tEXt", bytes("nodegraph\0{\"format\": 1, \"nodes\": {\"a\": {\"type\": \"T\"}}}"));
  const api = chunk("tEXt", bytes("prompt\0{\"1\": {\"class_type\": \"T\", \"inputs\": {}}}"));
  assert.deepEqual([...(await readPicture(png(api, own), none)).nodes.keys()], ["a"]);
  const broken = chunk("tEXt", bytes("nodegraph\0{nothing"));
  assert.deepEqual([...(await readPicture(png(broken, api), none)).nodes.keys()], ["1"]);
  assert.equal(await readPicture(png(), none), null);
  assert.equal(await readPicture(new ArrayBuffer(3), none), null);
});

test("links of the API form are told by the outputs' names, where the type is known", () => {
  const json = JSON.parse(`{"1": {"class_type": "Load", "inputs": {"name": "x", "size": [1, 2]}},
    "2": {"class_type": "Save", "inputs": {"image": ["1", 1], "other": ["1", 7], "gone": ["9", 0], "__proto__": 3}}}`);
  const load = { outputs: new Map([["model", {}], ["image", {}]]) };
  const { nodes } = readApiForm(json, (type) => (type === "Load" ? load : undefined));
  assert.deepEqual(nodes["1"], { type: "Load", params: { name: "x", size: [1, 2] }, links: {} });
  assert.deepEqual(nodes["2"].links, { image: "1.image", other: "1.output_7" });
  assert.deepEqual(nodes["2"].params.gone, ["9", 0]);
  assert.equal(readDocument(json, none).nodes.get("2").params.get("__proto__"), 3);
});

const workflow = (json) => readGraph({ format: 1, ...json });

test("the seeds of a result are those of what leads to it, the nearest first", () => {
  const graph = workflow({ nodes: {
    first: { type: "T", params: { seed: 1 } },
    second: { type: "T", params: { noise_seed: 2 }, links: { x: "first.out" } },
    beside: { type: "T", params: { seed: 3 } },
    save: { type: "S", links: { image: "second.out" } },
  } });
  assert.deepEqual(seedsOf(graph, "save"), [2, 1]);
  assert.deepEqual(seedsOf(graph, "not there"), []);
});

test("seeds are found in subgraphs and around them, and a subgraph in itself has an end", () => {
  const inner = { nodes: { x: { type: "T", params: { seed: 5 } }, s: { type: "S" }, again: { graph: "up" } } };
  const graph = workflow({
    nodes: { up: { graph: "up", links: { image: "out.out" } }, out: { type: "T", params: { seed: 9 } },
      save: { type: "S", links: { image: "up.image" } } },
    subgraphs: { up: inner },
  });
  assert.equal(seedsOf(graph, "save")[0], 5);
  assert.equal(seedsOf(graph, "up/s").includes(9), true);
});

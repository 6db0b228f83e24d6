import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { readDocument, readPicture } from "../../web/api/opened_file.js";
import { pictureTexts } from "../../web/api/png.js";
import { isApiForm } from "../../web/store/comfy.js";
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
/** Stands for the server: keeps the types alone. */
const translate = async (json) => ({ format: 1, nodes: Object.fromEntries(
  Object.entries(json).map(([id, { class_type: type }]) => [id, { type }])) });

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
  const { graph } = await readPicture(data.buffer.slice(data.byteOffset, data.byteOffset + data.length), translate);
  assert.deepEqual([...graph.nodes.keys()], ["1"]);
});

test("our own form is taken before ComfyUI's, and a picture without either gives nothing", async () => {
  const idsOf = async (picture) => [...(await readPicture(picture, translate)).graph.nodes.keys()];
  const own = chunk("tEXt", bytes("nodegraph\0{\"format\": 1, \"nodes\": {\"a\": {\"type\": \"T\"}}}"));
  const api = chunk("tEXt", bytes("prompt\0{\"1\": {\"class_type\": \"T\", \"inputs\": {}, \"is_changed\": [NaN]}}"));
  const drawn = chunk("tEXt", bytes("workflow\0{\"nodes\": [{\"id\": 1, \"title\": \"NaN\"}], \"links\": []}"));
  assert.deepEqual(await idsOf(png(api, own)), ["a"]);
  const broken = chunk("tEXt", bytes("nodegraph\0{nothing"));
  assert.deepEqual(await idsOf(png(broken, drawn, api)), ["1"]);
  assert.deepEqual(await readPicture(png(), translate), { graph: null, why: "" });
  assert.deepEqual(await readPicture(new ArrayBuffer(3), translate), { graph: null, why: "" });
  const { graph, why } = await readPicture(png(drawn), translate);
  assert.equal(graph, null);
  assert.match(why, /Export \(API\)/);
});

test("the API form is told from others, alone and in a request", async () => {
  const api = { 1: { class_type: "T", inputs: {} } };
  assert.equal(isApiForm(api), true);
  assert.equal(isApiForm({ prompt: api, client_id: "x" }), true);
  for (const other of [null, [], {}, { prompt: "words" }, { format: 1, nodes: { a: { class_type: "T" } } }]) {
    assert.equal(isApiForm(other), false);
  }
  await assert.rejects(readDocument({ nodes: [], links: [] }, translate), /Export \(API\)/);
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

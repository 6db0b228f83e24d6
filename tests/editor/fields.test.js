import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyGraph } from "../../web/store/document.js";
import { decodePng, encodePng } from "../../web/views/fields/mask/png.js";
import {
  atPart,
  clamp,
  numberProblem,
  partOf,
  rangeOf,
  readNumber,
  stepped,
  turned,
} from "../../web/views/fields/numbers.js";
import { drawSeed, seedMode, seedsAfterRun, seedsBeforeRun, setSeedMode } from "../../web/views/fields/seeds.js";
import { lengthWords, roughTokens, weightRuns } from "../../web/views/fields/tokens.js";

const LARGEST = 2n ** 64n - 1n;

/** @param {Partial<import("../../web/store/types.js").Field>} more */
const field = (more) => ({ kind: /** @type {const} */ ("integer"), element: null, default: 0, schema: {}, ...more });
const seed = field({
  kind: "seed",
  min: 0,
  max: Number(LARGEST),
  schema: { type: "integer", minimum: 0, maximum: LARGEST },
});
const cfg = field({
  kind: "number",
  min: 0,
  max: 100,
  step: 0.1,
  schema: { type: "number", minimum: 0, maximum: 100 },
});
const width = field({ min: 16, max: 16384, step: 8, schema: { type: "integer", minimum: 16, maximum: 16384 } });

test("whole numbers beyond 2^53 stay exact, up to the bound that the schema has", () => {
  const range = rangeOf(seed);
  assert.equal(range.max, LARGEST);
  assert.equal(readNumber("18446744073709551615", range).value, LARGEST);
  assert.equal(readNumber("18446744073709551616", range).value, LARGEST);
  assert.equal(readNumber("9007199254740993", range).value, 9007199254740993n);
  assert.equal(stepped(LARGEST - 1n, 1, range), LARGEST);
  assert.equal(stepped(LARGEST, 1, range), LARGEST);
  assert.equal(stepped(9007199254740992n, -1, range), 9007199254740991);
  assert.equal(readNumber("-3", range).value, 0);
});

test("what is typed may be arithmetic, and is brought within the bounds", () => {
  const range = rangeOf(width);
  assert.equal(readNumber("2*512+64", range).value, 1088);
  assert.equal(readNumber("1e9", range).value, 16384);
  assert.equal(readNumber("100.4", range).value, 100);
  assert.equal(readNumber("7,5", rangeOf(cfg)).value, 7.5);
  assert.match(readNumber("wide", range).reason ?? "", /number/);
  assert.match(readNumber("1/0", range).reason ?? "", /number/);
});

test("a number may lie between steps where it is typed; arrows go from step to step", () => {
  const range = rangeOf(width);
  assert.equal(readNumber("513", range).value, 513);
  assert.equal(stepped(513, 1, range), 520);
  assert.equal(stepped(513, -1, range), 512);
  assert.equal(stepped(512, 10, range), 592);
  assert.equal(stepped(16, -1, range), 16);
  assert.equal(stepped(7.55, 1, rangeOf(cfg)), 7.6);
  assert.equal(stepped(0.1, 2, rangeOf(cfg)), 0.3);
  assert.equal(stepped(0.3, 0.1, rangeOf(cfg)), 0.31);
});

test("a multiple that the schema demands is kept to", () => {
  const range = rangeOf(field({ schema: { type: "integer", multipleOf: 8 } }));
  assert.equal(clamp(513, range), 512);
  assert.match(numberProblem(513, range) ?? "", /multiple of 8/);
  assert.equal(numberProblem(512, range), null);
});

test("dragging goes by whole steps, or finely by tenths", () => {
  const range = rangeOf(cfg);
  assert.equal(turned(3, 0.4, false, range), 3);
  assert.equal(turned(3, 12, false, range), 4.2);
  assert.equal(turned(3, 0.3, true, range), 3.03);
  assert.equal(turned(512, 3.9, false, rangeOf(width)), 536);
  assert.equal(turned(512, -1000, false, rangeOf(width)), 16);
});

test("a slider's ends are its bounds", () => {
  const range = rangeOf(
    field({ kind: "slider", min: 0, max: 1, step: 0.01, schema: { type: "number", minimum: 0, maximum: 1 } }),
  );
  assert.equal(atPart(-1, range), 0);
  assert.equal(atPart(2, range), 1);
  assert.equal(atPart(0.333, range), 0.33);
  assert.equal(partOf(0.25, range), 0.25);
  assert.equal(partOf(5, rangeOf(field({}))), null);
});

/** @param {number | bigint} value */
function seeded(value) {
  const node = {
    type: "KSampler",
    graph: null,
    params: new Map([["seed", value]]),
    links: new Map(),
    mode: null,
    view: { x: 0, y: 0 },
  };
  return {
    ...emptyGraph(),
    nodes: new Map([
      ["__proto__", node],
      ["other", { ...node }],
    ]),
  };
}
const port = { name: "seed", type: "int", required: false, lazy: false, wired: true, field: seed };
const types = {
  type: () => ({
    id: "KSampler",
    title: "",
    doc: "",
    category: "",
    plugin: "",
    sink: false,
    deprecated: null,
    missing: null,
    inputs: new Map([["seed", port]]),
    outputs: new Map(),
  }),
};

test("seeds are drawn or counted on where that was chosen, and only there", () => {
  const graph = setSeedMode(seeded(7), "__proto__", "seed", "random");
  assert.equal(seedMode(graph.nodes.get("__proto__"), "seed"), "random");
  assert.equal(seedMode(graph.nodes.get("other"), "seed"), "fixed");
  const drawn = seedsBeforeRun(graph, types, () => 12345);
  assert.equal(drawn.nodes.get("__proto__")?.params.get("seed"), 12345);
  assert.equal(drawn.nodes.get("other")?.params.get("seed"), 7);
  assert.equal(seedsAfterRun(graph, types), graph);
  const counted = seedsAfterRun(setSeedMode(seeded(LARGEST - 1n), "other", "seed", "next"), types);
  assert.equal(counted.nodes.get("other")?.params.get("seed"), LARGEST);
  assert.equal(
    seedsAfterRun(counted, types).nodes.get("other")?.params.get("seed"),
    0,
    "after the largest comes the smallest",
  );
  const fixed = setSeedMode(graph, "__proto__", "seed", "fixed");
  assert.deepEqual(fixed.nodes.get("__proto__")?.view, { x: 0, y: 0 });
});

test("a seed that is drawn lies within the bounds", () => {
  const narrow = field({ kind: "seed", min: 5, max: 7, schema: { type: "integer", minimum: 5, maximum: 7 } });
  assert.equal(
    drawSeed(narrow, (bound) => bound - 1),
    7,
  );
  assert.equal(
    drawSeed(narrow, () => 0),
    5,
  );
  assert.equal(
    drawSeed(seed, (bound) => bound - 1),
    2 ** 32 - 1,
  );
});

test("a prompt is cut where its weight changes", () => {
  const runs = weightRuns("a (red:1.3) \\(b\\) (c)");
  assert.deepEqual(runs.map(({ text }) => text).join(""), "a (red:1.3) \\(b\\) (c)");
  assert.deepEqual(
    runs.filter(({ weight }) => weight !== 1),
    [
      { text: "(red:1.3)", weight: 1.3 },
      { text: "(c)", weight: 1.1 },
    ],
  );
});

test("tokens are counted about as CLIP does", () => {
  // What CLIP's own tokenizer counts: 13, 21, 27.
  const prompts = [
    "a small red circle above a large blue square on a yellow background",
    "masterpiece, best quality, 1girl, solo, detailed eyes, upper body, cinematic lighting, bokeh",
    "photograph of an astronaut riding a horse, 8k uhd, dslr, soft lighting, high quality, film grain, Fujifilm XT3",
  ];
  for (const [at, exact] of [13, 21, 27].entries()) {
    assert.ok(
      Math.abs(roughTokens(prompts[at] ?? "") - exact) <= 2,
      `${prompts[at]}: ${roughTokens(prompts[at] ?? "")}`,
    );
  }
  assert.equal(roughTokens("(red:1.30)"), 1);
  assert.equal(lengthWords("word ".repeat(80)), "≈ 80 / 150");
});

test("a PNG keeps the colours under what is transparent", async () => {
  const data = Uint8ClampedArray.from({ length: 5 * 3 * 4 }, (_, at) =>
    at % 4 === 3 ? (at % 8 === 3 ? 0 : 128) : (at * 37) % 256,
  );
  const read = await decodePng(await encodePng({ width: 5, height: 3, data }));
  assert.deepEqual(read && { width: read.width, height: read.height, data: [...read.data] }, {
    width: 5,
    height: 3,
    data: [...data],
  });
  assert.equal(await decodePng(new Blob(["no picture"])), null);
});

/** What the tests of the store share: a catalogue as a server sends it, workflows, and random edits. */

import { readFileSync } from "node:fs";
import { Catalogue } from "../../web/store/catalogue.js";
import { readGraph } from "../../web/store/document.js";
import { addNode } from "../../web/store/edits.js";
import { parse } from "../../web/store/json.js";

const root = new URL("../../", import.meta.url);

export const catalogue = new Catalogue(parse(readFileSync(new URL("tests/editor/data/catalogue.json", root), "utf8")));

export const textToImage = () => readGraph(parse(readFileSync(new URL("workflows/text_to_image.json", root), "utf8")));

/** A generator of numbers below 1 that gives the same for the same seed. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const pick = (list, next) => list[Math.floor(next() * list.length)];

/** A graph of so many nodes, each of which reads the two before it. */
export function chain(count) {
  const nodes = {};
  for (let index = 0; index < count; index += 1) {
    const links = {};
    if (index > 0) {
      links.samples1 = `n${index - 1}.out`;
      links.samples2 = `n${Math.max(0, index - 2)}.out`;
    }
    nodes[`n${index}`] = { type: index ? "LatentBlend" : "EmptyLatentImage", links };
  }
  return readGraph({ format: 1, nodes });
}

export function added(graph, type, x = 0, y = 0) {
  return addNode(graph, type, { x, y }, catalogue);
}

/**
 * Nodes in columns from left to right, so that links run forward and cross little: layers by the longest way
 * (Sugiyama, Tagawa and Toda 1981), order by the medians of neighbours, heights by neighbours with room between.
 * Pure, and stable: what is in good order stays in it. Nodes without a link are kept in rows below.
 */

/** @typedef {import("../store/types.js").Point} Point */
/** @typedef {import("../store/types.js").Box} Box */
/** @typedef {readonly [from: string, to: string]} Edge */
/** @typedef {{id: string, box: Box, before: string[], after: string[], layer: number, y: number}} Place */

const ACROSS = 80;
const DOWN = 40;
const SWEEPS = 8;

/**
 * Find a place for each box; the corner of all of them stays where it is.
 * @param {ReadonlyMap<string, Box>} boxes @param {Iterable<Edge>} edges
 * @param {{across?: number, down?: number}} [gaps] @returns {Map<string, Point>}
 */
export function arrange(boxes, edges, { across = ACROSS, down = DOWN } = {}) {
  /** @type {Map<string, Point>} */
  const result = new Map();
  if (!boxes.size) return result;
  const places = connect(boxes, edges);
  const left = Math.min(...[...boxes.values()].map((box) => box.x));
  const top = Math.min(...[...boxes.values()].map((box) => box.y));
  let bottom = top;
  for (const group of components(places)) {
    if (group.length === 1) continue;
    bottom = placeGroup(group, { x: left, y: bottom, across, down }, result) + down;
  }
  const alone = [...places.values()].filter((place) => !place.before.length && !place.after.length);
  placeRows(alone, { x: left, y: bottom, across, down }, result);
  return result;
}

/** @param {ReadonlyMap<string, Box>} boxes @param {Iterable<Edge>} edges */
function connect(boxes, edges) {
  /** @type {Map<string, Place>} */
  const places = new Map();
  for (const [id, box] of boxes) places.set(id, { id, box, before: [], after: [], layer: -1, y: 0 });
  for (const [from, to] of edges) {
    const [a, b] = [places.get(from), places.get(to)];
    if (!a || !b || a === b) continue;
    a.after.push(to);
    b.before.push(from);
  }
  for (const place of places.values()) layerOf(place, places);
  pull(places);
  return places;
}

/**
 * The length of the longest way to a place; done with a stack of its own, as a chain may be thousands long.
 * @param {Place} start @param {ReadonlyMap<string, Place>} places
 */
function layerOf(start, places) {
  const stack = [start];
  const open = new Set([start]);
  while (stack.length) {
    const place = stack[stack.length - 1];
    const waiting =
      place.layer < 0 ? place.before.map((id) => at(places, id)).filter((p) => p.layer < 0 && !open.has(p)) : [];
    if (waiting.length) {
      for (const other of waiting) open.add(other);
      stack.push(...waiting);
      continue;
    }
    if (place.layer < 0) place.layer = Math.max(-1, ...place.before.map((id) => at(places, id).layer)) + 1;
    open.delete(place);
    stack.pop();
  }
}

/** @param {ReadonlyMap<string, Place>} places @param {string} id @returns {Place} */
function at(places, id) {
  const place = places.get(id);
  if (!place) throw new Error(`no place for ${id}`);
  return place;
}

/**
 * What only leads on (a loader, a constant) stands right before its first reader.
 * @param {Map<string, Place>} places
 */
function pull(places) {
  for (const place of [...places.values()].sort((a, b) => b.layer - a.layer)) {
    if (!place.after.length || place.before.length) continue;
    place.layer = Math.max(place.layer, Math.min(...place.after.map((id) => at(places, id).layer)) - 1);
  }
}

/** @param {Map<string, Place>} places @returns {Place[][]} */
function components(places) {
  /** @type {Set<Place>} */
  const seen = new Set();
  const groups = [];
  const order = [...places.values()].sort((a, b) => a.box.y - b.box.y || a.box.x - b.box.x);
  for (const start of order) {
    if (seen.has(start)) continue;
    seen.add(start);
    const group = [start];
    for (const place of group) {
      for (const id of [...place.before, ...place.after]) {
        const other = at(places, id);
        if (!seen.has(other)) {
          seen.add(other);
          group.push(other);
        }
      }
    }
    groups.push(group);
  }
  return groups;
}

/**
 * @param {Place[]} group @param {{x: number, y: number, across: number, down: number}} frame
 * @param {Map<string, Point>} result @returns {number} where the group ends
 */
function placeGroup(group, frame, result) {
  const least = Math.min(...group.map((place) => place.layer));
  /** @type {Place[][]} */
  const layers = [];
  for (const place of group) (layers[place.layer - least] ??= []).push(place);
  const filled = layers.filter((layer) => layer);
  order(filled);
  heights(filled, frame.down);
  const top = Math.min(...group.map((place) => place.y));
  let x = frame.x;
  let bottom = frame.y;
  for (const layer of filled) {
    for (const place of layer) {
      const y = Math.round(place.y - top + frame.y);
      result.set(place.id, { x: Math.round(x), y });
      bottom = Math.max(bottom, y + place.box.height);
    }
    x += Math.max(...layer.map((place) => place.box.width)) + frame.across;
  }
  return bottom;
}

/**
 * Order each layer so that links cross little. An order is left only for a better one, so that arranging what is
 * arranged changes nothing.
 * @param {Place[][]} layers
 */
function order(layers) {
  for (const layer of layers) layer.sort((a, b) => a.box.y - b.box.y || a.box.x - b.box.x);
  let best = layers.map((layer) => [...layer]);
  let least = crossings(best);
  for (let better = true, rounds = 0; better && least && rounds < SWEEPS; rounds++) {
    better = false;
    const tried = best.map((layer) => [...layer]);
    const ranks = rank(tried);
    for (let i = 0; i < SWEEPS; i++) {
      sweep(tried, ranks, i % 2 === 0);
      const count = crossings(tried);
      if (count >= least) continue;
      [best, least, better] = [tried.map((layer) => [...layer]), count, true];
    }
  }
  best.forEach((layer, i) => layers[i].splice(0, layer.length, ...layer));
}

/** @param {Place[][]} layers @param {Map<string, number>} ranks @param {boolean} forward */
function sweep(layers, ranks, forward) {
  for (const layer of forward ? layers : [...layers].reverse()) {
    const wanted = new Map(
      layer.map((place) => [place, median(forward ? place.before : place.after, ranks, place.id)]),
    );
    layer.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
    layer.forEach((place, index) => ranks.set(place.id, (index + 0.5) / layer.length));
  }
}

/** Count the links of one layer that cross each other. @param {Place[][]} layers */
function crossings(layers) {
  const ranks = rank(layers);
  let count = 0;
  for (const layer of layers) {
    /** @type {number[]} */
    const ends = [];
    for (const place of layer) {
      const own = place.after.map((id) => ranks.get(id) ?? 0);
      for (const end of own) for (const other of ends) if (other > end) count += 1;
      ends.push(...own);
    }
  }
  return count;
}

/** @param {Place[][]} layers */
function rank(layers) {
  /** @type {Map<string, number>} */
  const ranks = new Map();
  for (const layer of layers) layer.forEach((place, index) => ranks.set(place.id, (index + 0.5) / layer.length));
  return ranks;
}

/** @param {string[]} neighbours @param {Map<string, number>} ranks @param {string} id */
function median(neighbours, ranks, id) {
  const values = neighbours.map((other) => ranks.get(other) ?? 0).sort((a, b) => a - b);
  if (!values.length) return ranks.get(id) ?? 0;
  const half = values.length >> 1;
  return values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/** @param {Place[][]} layers @param {number} gap */
function heights(layers, gap) {
  const byId = new Map(layers.flat().map((place) => [place.id, place]));
  for (const layer of layers) {
    let y = 0;
    for (const place of layer) {
      place.y = y;
      y += place.box.height + gap;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    for (const layer of forward ? layers : [...layers].reverse()) {
      const wanted = layer.map((place) => {
        const near = (forward ? place.before : place.after)
          .map((id) => byId.get(id))
          .filter((other) => other !== undefined);
        if (!near.length) return place.y;
        return (
          near.reduce((sum, other) => sum + other.y + Math.min(other.box.height, 200) / 2, 0) / near.length -
          Math.min(place.box.height, 200) / 2
        );
      });
      spread(layer, wanted, gap);
    }
  }
}

/**
 * Give each its wanted height as nearly as the order and the gaps allow: neighbours that would overlap become a block,
 * which goes where its members want on the average (isotonic regression, pooling adjacent violators).
 * @param {Place[]} layer @param {number[]} wanted @param {number} gap
 */
function spread(layer, wanted, gap) {
  /** @type {{sum: number, count: number, first: number}[]} */
  const blocks = [];
  const offsets = [0];
  for (let i = 1; i < layer.length; i++) offsets.push(offsets[i - 1] + layer[i - 1].box.height + gap);
  layer.forEach((_, i) => {
    let block = { sum: wanted[i] - offsets[i], count: 1, first: i };
    for (let last = blocks.at(-1); last && last.sum / last.count > block.sum / block.count; last = blocks.at(-1)) {
      block = { sum: last.sum + block.sum, count: last.count + block.count, first: last.first };
      blocks.pop();
    }
    blocks.push(block);
  });
  blocks.forEach((block, k) => {
    const end = k + 1 < blocks.length ? blocks[k + 1].first : layer.length;
    for (let i = block.first; i < end; i++) layer[i].y = block.sum / block.count + offsets[i];
  });
}

/**
 * @param {Place[]} alone @param {{x: number, y: number, across: number, down: number}} frame
 * @param {Map<string, Point>} result
 */
function placeRows(alone, frame, result) {
  alone.sort((a, b) => a.box.y - b.box.y || a.box.x - b.box.x);
  const widest = Math.max(1600, Math.sqrt(alone.reduce((sum, { box }) => sum + box.width * box.height, 0)) * 1.6);
  let [x, y, tall] = [frame.x, frame.y, 0];
  for (const { id, box } of alone) {
    if (x > frame.x && x + box.width > frame.x + widest) {
      [x, y, tall] = [frame.x, y + tall + frame.down, 0];
    }
    result.set(id, { x: Math.round(x), y: Math.round(y) });
    x += box.width + frame.down;
    tall = Math.max(tall, box.height);
  }
}

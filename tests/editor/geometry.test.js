import assert from "node:assert/strict";
import { test } from "node:test";
import { align, distribute, guides, snap } from "../../web/geometry/align.js";
import { bounds, crossing, curve, nearest, pieces, pointAt } from "../../web/geometry/curves.js";
import { Grid } from "../../web/geometry/grid.js";
import { push } from "../../web/geometry/push.js";
import * as transform from "../../web/geometry/transform.js";

const box = (x, y, width = 100, height = 50) => ({ x, y, width, height });
const close = (a, b, by = 1e-6) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);

/** Numbers that look random and are the same every time. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return (state / 2147483648) * below;
  };
}

test("a place on the screen and the point shown there say the same", () => {
  const view = { x: 30, y: -80, zoom: 0.37 };
  const place = transform.toScreen(view, { x: 400, y: 900 });
  const back = transform.toCanvas(view, place);
  close(back.x, 400);
  close(back.y, 900);
});

test("zooming keeps the point below the pointer, and stays between the ends", () => {
  const view = { x: 30, y: -80, zoom: 0.5 };
  const before = transform.toCanvas(view, { x: 640, y: 333 });
  const after = transform.toCanvas(transform.zoomAbout(view, { x: 640, y: 333 }, 2.2), { x: 640, y: 333 });
  close(after.x, before.x);
  close(after.y, before.y);
  assert.equal(transform.zoomAbout(view, { x: 0, y: 0 }, 99).zoom, transform.MAX_ZOOM);
  assert.equal(transform.zoomAbout(view, { x: 0, y: 0 }, 0).zoom, transform.MIN_ZOOM);
});

test("fit shows the whole box in the middle and enlarges nothing", () => {
  const size = { width: 1600, height: 900 };
  const view = transform.fit(box(-5000, 200, 20000, 400), size);
  const [a, b] = [
    { x: -5000, y: 200 },
    { x: 15000, y: 600 },
  ].map((point) => transform.toScreen(view, point));
  assert.ok(a.x >= 47.9 && b.x <= 1552.1 && a.y >= 0 && b.y <= 900);
  close(a.x + b.x, 1600);
  close(a.y + b.y, 900);
  assert.equal(transform.fit(box(0, 0, 10, 10), size).zoom, 1);
});

test("the way from one view to another begins and ends at them", () => {
  const size = { width: 800, height: 600 };
  const [a, b] = [
    { x: 10, y: 20, zoom: 0.2 },
    { x: -900, y: 40, zoom: 2 },
  ];
  const first = transform.between(a, b, 0, size);
  for (const key of ["x", "y", "zoom"]) close(first[key], a[key]);
  assert.deepEqual(transform.between(a, b, 1, size), b);
  close(transform.between(a, b, 0.5, size).zoom, Math.sqrt(0.4));
});

test("the grid finds what looking at every box finds", () => {
  const random = numbers(7);
  const grid = new Grid(100, 16);
  const boxes = new Map();
  for (let i = 0; i < 600; i++) {
    const key = `n${Math.floor(random(200))}`;
    if (random(1) < 0.2) {
      grid.delete(key);
      boxes.delete(key);
    } else {
      const made = box(random(4000) - 2000, random(4000) - 2000, random(900), random(300));
      grid.set(key, made);
      boxes.set(key, made);
    }
  }
  assert.equal(grid.size, boxes.size);
  for (let i = 0; i < 50; i++) {
    const asked = box(random(4000) - 2000, random(4000) - 2000, random(500), random(2500));
    const expected = [...boxes].filter(([, b]) => transform.overlaps(asked, b)).map(([key]) => key);
    assert.deepEqual([...grid.query(asked)].sort(), expected.sort());
  }
});

test("the grid takes boxes that have no end or no place", () => {
  const grid = new Grid();
  grid.set("wide", box(-1e300, 0, 2e300, 10));
  grid.set("nowhere", box(NaN, NaN));
  assert.ok(grid.query(box(0, 0)).has("wide"));
  assert.equal(grid.query(box(0, 0)).has("nowhere"), false);
});

test("a curve leaves to the right, comes from the left and goes through its bends", () => {
  const bends = [
    { x: 50, y: 200 },
    { x: -80, y: 260 },
  ];
  const path = curve({ x: 0, y: 0 }, { x: -300, y: 100 }, bends);
  assert.equal(pieces(path), 3);
  assert.deepEqual(pointAt(path, 0, 0), { x: 0, y: 0 });
  bends.forEach((bend, i) => {
    close(pointAt(path, i, 1).x, bend.x);
    close(pointAt(path, i, 1).y, bend.y);
  });
  assert.ok(path[2] > 0 && path[3] === 0);
  assert.ok(path[path.length - 4] < -300 && path[path.length - 3] === 100);
});

test("a curve lies in its bounds, and its nearest point is the nearest", () => {
  const path = curve({ x: 0, y: 0 }, { x: 400, y: 300 });
  const within = transform.grown(bounds(path), 1e-6);
  let least = Infinity;
  for (let i = 0; i <= 500; i++) {
    const point = pointAt(path, 0, i / 500);
    assert.ok(transform.holds(within, point));
    least = Math.min(least, Math.hypot(point.x - 100, point.y - 220));
  }
  close(nearest(path, { x: 100, y: 220 }).distance, least, 1);
});

test("a stroke across a link crosses it, one beside it does not", () => {
  const path = curve({ x: 0, y: 0 }, { x: 200, y: 0 });
  close(crossing(path, { x: 90, y: -40 }, { x: 90, y: 40 })?.point.x ?? NaN, 90);
  assert.equal(crossing(path, { x: 90, y: 10 }, { x: 90, y: 40 }), null);
  assert.equal(crossing(path, { x: 300, y: -40 }, { x: 300, y: 40 }), null);
});

test("aligned boxes share their side", () => {
  const boxes = new Map([
    ["a", box(0, 10)],
    ["b", box(70, 90, 300, 20)],
    ["c", box(20, 300)],
  ]);
  const line = { left: (b) => b.x, right: (b) => b.x + b.width, center: (b) => b.x + b.width / 2 };
  for (const side of /** @type {const} */ (["left", "right", "center"])) {
    const shifts = align(boxes, side);
    const lines = [...boxes].map(([key, b]) => line[side]({ ...b, x: b.x + (shifts.get(key)?.dx ?? 0) }));
    assert.equal(new Set(lines).size, 1, side);
    for (const shift of shifts.values()) assert.equal(shift.dy, 0);
  }
});

test("distributed boxes have equal gaps, and at least the smallest", () => {
  const boxes = new Map([
    ["a", box(0, 0)],
    ["b", box(110, 0)],
    ["c", box(500, 0)],
  ]);
  const shifts = distribute(boxes, "x");
  assert.deepEqual([...shifts], [["b", { dx: 140, dy: 0 }]]);
  const tight = distribute(
    new Map([
      ["a", box(0, 0)],
      ["b", box(10, 0)],
    ]),
    "x",
  );
  assert.deepEqual([...tight], [["b", { dx: 110, dy: 0 }]]);
});

test("guides pull to the nearest line within reach only", () => {
  const found = guides(box(203, 8), [box(200, 400), box(900, 10)], 6);
  assert.deepEqual([found.dx, found.dy], [-3, 2]);
  assert.deepEqual(
    found.guides.map((guide) => [guide.axis, guide.at]),
    [
      ["x", 200],
      ["y", 10],
    ],
  );
  assert.deepEqual(guides(box(230, 100), [box(100, 400)], 6), { dx: 0, dy: 0, guides: [] });
  assert.equal(snap(-31), -40);
});

test("pushed neighbours no longer touch, and what is fixed stays", () => {
  const boxes = new Map([
    ["new", box(0, 0)],
    ["a", box(60, 10)],
    ["b", box(170, 10)],
    ["far", box(900, 900)],
  ]);
  const shifts = push(boxes, new Set(["new"]), 20);
  assert.equal(shifts.has("new"), false);
  assert.equal(shifts.has("far"), false);
  const after = [...boxes].map(([key, b]) => {
    const { dx, dy } = shifts.get(key) ?? { dx: 0, dy: 0 };
    return { ...b, x: b.x + dx, y: b.y + dy };
  });
  for (const [i, a] of after.entries())
    for (const b of after.slice(i + 1)) assert.equal(transform.overlaps(a, b), false);
});

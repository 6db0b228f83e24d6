import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../web/api/http.js";
import { Outbox } from "../../web/api/outbox.js";

/** As `sessionStorage` is; counts what is written. */
class Store {
  items = new Map();
  written = 0;

  get length() {
    return this.items.size;
  }

  key(at) {
    return [...this.items.keys()][at] ?? null;
  }

  getItem(name) {
    return this.items.get(name) ?? null;
  }

  setItem(name, text) {
    this.items.set(name, text);
    this.written += text.length;
  }

  removeItem(name) {
    this.items.delete(name);
  }
}

const errand = (name) => ({ workflow: { seed: 2n ** 64n - 1n, text: "x".repeat(1000) }, client: "tab", name });

test("what is not answered outlasts the page, and is sent under the same key", async () => {
  const store = new Store();
  const never = new Outbox({ submit: () => new Promise(() => {}) }, store, () => {});
  void never.send(errand("one"));
  void never.send(errand("two"));
  const sent = [];
  const later = new Outbox({ submit: async (told) => sent.push(told) }, store, () => {});
  const left = later.recover();
  assert.deepEqual(left.map(({ name }) => name).sort(), ["one", "two"]);
  assert.equal(left[0].workflow.seed, 2n ** 64n - 1n);
  for (const one of left) await later.send(one);
  assert.deepEqual(sent.map(({ key }) => key), left.map(({ key }) => key));
  assert.deepEqual(later.recover(), []);
});

test("of many runs each is written once", async () => {
  const store = new Store();
  const outbox = new Outbox({ submit: async () => ({}) }, store, () => {});
  await Promise.all(Array.from({ length: 300 }, (_, at) => outbox.send(errand(`run ${at}`))));
  assert.ok(store.written < 300 * 1500, `${store.written} characters`);
  assert.equal(store.length, 0);
});

test("what is refused or withdrawn is not sent again", async () => {
  const store = new Store();
  const failing = (...why) => ({ submit: async () => Promise.reject(new ApiError(...why)) });
  await assert.rejects(new Outbox(failing(422, "wrong", "no"), store, () => {}).send(errand("bad")), /no/);
  const away = new Outbox(failing(0, "away", "gone"), store, () => {});
  const waiting = away.send(errand("late"));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(away.withdraw("tab"), true);
  await assert.rejects(waiting, { name: "AbortError" });
  assert.equal(store.length, 0);
});

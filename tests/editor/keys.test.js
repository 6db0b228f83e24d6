import assert from "node:assert/strict";
import { test } from "node:test";

import { chords, Keys, normal, shown } from "../../web/store/keys.js";

/** @param {string} key @param {object} [more] */
function pressed(key, more = {}) {
  return { key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more };
}

/** @param {string} id @param {string[]} keys */
function command(id, keys) {
  return { id, title: id, group: "Test", keys, run: () => undefined };
}

test("a letter with modifiers is one chord, whatever its case", () => {
  assert.deepEqual(chords(pressed("Z", { ctrlKey: true, shiftKey: true, code: "KeyZ" })), ["Mod+Shift+Z"]);
  assert.deepEqual(chords(pressed("z", { ctrlKey: true, code: "KeyZ" })), ["Mod+Z"]);
});

test("on a Mac Cmd is Mod and Ctrl is itself", () => {
  assert.deepEqual(chords(pressed("z", { metaKey: true }), true), ["Mod+Z"]);
  assert.deepEqual(chords(pressed("z", { ctrlKey: true }), true), ["Ctrl+Z"]);
});

test("a sign is found by itself, with Shift, and by the digit below it", () => {
  assert.deepEqual(chords(pressed("!", { shiftKey: true, code: "Digit1" })), ["Shift+!", "Shift+1", "!"]);
  assert.ok(chords(pressed("?", { shiftKey: true, code: "Slash" })).includes("?"));
});

test("a letter of another script is found by its place, a Latin one never", () => {
  assert.deepEqual(chords(pressed("я", { ctrlKey: true, code: "KeyZ" })), ["Mod+я", "Mod+Z"].map((text) => text));
  assert.deepEqual(chords(pressed("y", { ctrlKey: true, code: "KeyZ" })), ["Mod+Y"]);
  assert.ok(chords(pressed("ç", { altKey: true, code: "KeyC" })).includes("Alt+C"));
});

test("a modifier alone is no chord", () => {
  assert.deepEqual(chords(pressed("Shift", { shiftKey: true })), []);
});

test("chords are written in one way", () => {
  assert.equal(normal("Shift+Mod+z"), "Mod+Shift+Z");
  assert.equal(normal("Mod+ "), "");
  assert.equal(normal("Hyper+Z"), "");
  assert.equal(shown("Mod+Shift+ArrowLeft"), "Ctrl+Shift+←");
  assert.equal(shown("Mod+Shift+Z", true), "⌘⇧Z");
});

test("what the user bound comes first, and takes the command's own keys away", () => {
  const own = new Map([["b", ["Mod+Z"]]]);
  const keys = new Keys(() => [command("a", ["Mod+Z"]), command("b", ["Mod+Y"])], () => own);
  assert.deepEqual(keys.find("Mod+Z"), ["b", "a"]);
  assert.deepEqual(keys.find("Mod+Y"), []);
  assert.deepEqual([...keys.conflicts()], [["Mod+Z", ["b", "a"]]]);
  own.set("a", []);
  keys.refresh();
  assert.deepEqual(keys.find("Mod+Z"), ["b"]);
  assert.equal(keys.conflicts().size, 0);
});

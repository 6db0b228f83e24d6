/** What can be told of a prompt without its model: the weights in it, and about how long it is. Pure. */

import { weights } from "../../store/prompt.js";

/** Tokens of the text that one pass of a CLIP text encoder takes, without its first and last. */
export const CHUNK = 75;

/**
 * Cut a prompt where its weight changes.
 * @param {string} text
 * @returns {{text: string, weight: number}[]}
 */
export function weightRuns(text) {
  const spans = weights(text);
  const places = new Set([0, text.length]);
  for (const { start, end } of spans) places.add(start).add(end);
  const cuts = [...places].sort((a, b) => a - b);
  const runs = [];
  const around = [{ start: 0, end: text.length, weight: 1 }];
  for (let i = 0, next = 0; i + 1 < cuts.length; i++) {
    const [from, to] = [cuts[i] ?? 0, cuts[i + 1] ?? 0];
    while ((around.at(-1)?.end ?? Infinity) <= from) around.pop();
    for (let span = spans[next]; span && span.start <= from; span = spans[(next += 1)]) around.push(span);
    runs.push({ text: text.slice(from, to), weight: around.at(-1)?.weight ?? 1 });
  }
  return runs;
}

const PIECES = /[\p{L}\p{M}]+|\p{N}|[^\s\p{L}\p{M}\p{N}]+/gu;
/** Letters that a token of a longer word has, about. */
const LETTERS = 5;
const WORD = 9;
/** Letters that are counted; what comes after them is taken to be like them. */
const COUNTED = 20_000;

/**
 * Count the tokens of a prompt, about: a word is one unless it is long, so is a digit, and marks that stand together.
 * Brackets and weights do not count.
 * @param {string} text
 */
export function roughTokens(text) {
  let count = 0;
  const part = text.slice(0, COUNTED);
  const plain = part.replace(/:\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)\s*\)/g, ")").replace(/(?<!\\)[()]/g, " ");
  for (const [piece] of plain.matchAll(PIECES)) {
    const letters = [...piece].length;
    count += /^[\p{L}\p{M}]/u.test(piece) && letters > WORD ? 1 + Math.ceil((letters - WORD) / LETTERS) : 1;
  }
  return text.length > COUNTED ? Math.round((count * text.length) / COUNTED) : count;
}

/**
 * Say how long a prompt is, in a few words.
 * @param {string} text
 */
export function lengthWords(text) {
  const count = roughTokens(text);
  const room = Math.max(1, Math.ceil(count / CHUNK)) * CHUNK;
  return `≈ ${count} / ${room}`;
}

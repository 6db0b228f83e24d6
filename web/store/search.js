/** Finding things by a few letters of their names. */

/**
 * What can be found: `text` is shown, `more` counts less (a category, an id, tags), `boost` puts it before its like.
 * @typedef {{readonly text: string, readonly more?: string, readonly boost?: number}} Entry
 */
/**
 * @template {Entry} T
 * @typedef {Object} Found
 * @property {T} entry
 * @property {number} score
 * @property {readonly number[]} marks places of the letters of `text` that were meant
 */

/** @typedef {{text: string, more: string, starts: boolean[], initials: string, initialAt: number[]}} Prepared */
/** @typedef {{score: number, marks: number[]}} Match */

/** @type {WeakMap<Entry, Prepared>} */
const memo = new WeakMap();

/**
 * Ranks what fits a query: each of its words must be found, in the name or in what else is told. Without a query, all
 * fit, the boosted first.
 * @template {Entry} T
 * @param {string} query
 * @param {Iterable<T>} entries
 * @returns {Found<T>[]} best first; what is as good stays in its order
 */
export function fuzzy(query, entries) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {Found<T>[]} */
  const found = [];
  for (const entry of entries) {
    const match = matchAll(words, prepared(entry));
    if (match) {
      found.push({ entry, score: match.score + (entry.boost ?? 0), marks: match.marks });
    }
  }
  return found.sort((a, b) => b.score - a.score);
}

/**
 * @param {Entry} entry
 * @returns {Prepared}
 */
function prepared(entry) {
  const known = memo.get(entry);
  if (known) {
    return known;
  }
  const starts = startsOf(entry.text);
  const initialAt = starts.flatMap((isStart, index) => (isStart ? [index] : []));
  const text = entry.text.toLowerCase();
  const initials = initialAt.map((index) => text[index] ?? "").join("");
  const made = { text, more: (entry.more ?? "").toLowerCase(), starts, initials, initialAt };
  memo.set(entry, made);
  return made;
}

/**
 * @param {string} text
 * @returns {boolean[]} whether a word starts at a letter: after a space or sign, at a capital of `KSampler`
 */
function startsOf(text) {
  return Array.from({ length: text.length }, (_, index) => {
    const letter = text[index] ?? "";
    const before = text[index - 1] ?? " ";
    const next = text[index + 1] ?? "";
    const isCapital = /[A-Z]/.test(letter) && (!/[A-Z]/.test(before) || /[a-z]/.test(next));
    const isDigit = /\d/.test(letter) && !/\d/.test(before);
    return /[\p{L}\p{N}]/u.test(letter) && (!/[\p{L}\p{N}]/u.test(before) || isCapital || isDigit);
  });
}

/**
 * @param {readonly string[]} words
 * @param {Prepared} entry
 * @returns {Match | null}
 */
function matchAll(words, entry) {
  let score = words.length ? -entry.text.length / 100 : 0;
  /** @type {number[]} */
  const marks = [];
  for (const word of words) {
    const match = matchWord(word, entry);
    if (!match) {
      return null;
    }
    score += match.score;
    marks.push(...match.marks);
  }
  return { score, marks };
}

/**
 * @param {string} word
 * @param {Prepared} entry
 * @returns {Match | null}
 */
function matchWord(word, entry) {
  const whole = wholly(word, entry);
  if (whole && whole.score >= 50) {
    return whole;
  }
  const initial = entry.initials.indexOf(word);
  if (word.length > 1 && initial >= 0) {
    const marks = entry.initialAt.slice(initial, initial + word.length);
    return { score: initial === 0 ? 55 : 45, marks };
  }
  if (whole) {
    return whole;
  }
  const at = entry.more.indexOf(word);
  if (at >= 0) {
    const isStart = at === 0 || !/[\p{L}\p{N}]/u.test(entry.more[at - 1] ?? " ");
    return { score: isStart ? 30 : 20, marks: [] };
  }
  return scattered(word, entry);
}

/**
 * @param {string} word
 * @param {Prepared} entry
 * @returns {Match | null} the word as it is in the name: best at the start, then at a word's
 */
function wholly(word, { text, starts }) {
  let at = text.indexOf(word);
  if (at < 0) {
    return null;
  }
  for (let other = at; other >= 0 && !starts[at]; other = text.indexOf(word, other + 1)) {
    if (starts[other]) {
      at = other;
    }
  }
  const marks = Array.from({ length: word.length }, (_, index) => at + index);
  const isWord = starts[at] && !/[\p{L}\p{N}]/u.test(text[at + word.length] ?? " ");
  const score = text === word ? 100 : at === 0 ? 80 : starts[at] ? 60 : 40;
  return { score: score + (isWord && score < 100 ? 5 : 0), marks };
}

/**
 * @param {string} word
 * @param {Prepared} entry
 * @returns {Match | null} the letters one after the other, from the start of a word on; the closer together the better
 */
function scattered(word, { text, starts }) {
  if (word.length < 2) {
    return null;
  }
  /** @type {number[]} */
  const marks = [];
  let at = -1;
  let score = 20;
  for (const letter of word) {
    let next = text.indexOf(letter, at + 1);
    if (next > at + 1 || at < 0) {
      const jump = startFrom(text, starts, letter, at + 1);
      next = jump >= 0 && (next !== at + 1 || at < 0) ? jump : next;
    }
    if (next < 0 || (at < 0 && !starts[next])) {
      return null;
    }
    score -= at >= 0 && next > at + 1 ? (starts[next] ? 1 : 4) : 0;
    marks.push(next);
    at = next;
  }
  return score > 0 ? { score, marks } : null;
}

/**
 * @param {string} text
 * @param {readonly boolean[]} starts
 * @param {string} letter
 * @param {number} from
 * @returns {number} where a word starts with the letter, -1 where none does
 */
function startFrom(text, starts, letter, from) {
  for (let at = text.indexOf(letter, from); at >= 0; at = text.indexOf(letter, at + 1)) {
    if (starts[at]) {
      return at;
    }
  }
  return -1;
}

/** Weights in prompts: `(word:1.2)` counts more, `(word:0.8)` less, `(word)` alone as 1.1. */

/**
 * A text and what is selected of it.
 * @typedef {{readonly text: string, readonly start: number, readonly end: number}} Edited
 */
/** @typedef {{readonly start: number, readonly end: number, readonly weight: number}} Weighted */
/**
 * Places of a group's signs; `colon` is where its weight starts, or `close`.
 * @typedef {{open: number, close: number, colon: number, weight: number}} Group
 */

const PLAIN = 1.1;
const LEAST = 0;
const MOST = 5;
const WEIGHT = /:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*$/;
/** A weight with its colon and spaces is no longer. */
const LONGEST = 40;
const WORD = /[^\s,.;:()[\]{}<>|\\]/;

/**
 * Gives what is selected more or less weight; with nothing selected, the group or word that the caret is in. At
 * weight 1 the parentheses go.
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @param {number} [step]
 * @returns {Edited}
 */
export function weigh(text, start, end, step = 0.1) {
  const group = groupAround(text, start, end);
  if (group) {
    return reweigh(text, group, step, start === end ? start : null);
  }
  const span = start === end ? wordAt(text, start) : trimmed(text, start, end);
  if (span.start === span.end) {
    return { text, start, end };
  }
  const inner = text.slice(span.start, span.end);
  const wrapped = `(${inner}:${shown(1 + step)})`;
  const begin = span.start + 1;
  return { text: text.slice(0, span.start) + wrapped + text.slice(span.end), start: begin, end: begin + inner.length };
}

/**
 * @param {string} text
 * @param {Group} group
 * @param {number} step
 * @param {number | null} caret
 * @returns {Edited}
 */
function reweigh(text, group, step, caret) {
  const weight = Math.min(MOST, Math.max(LEAST, Math.round((group.weight + step) * 100) / 100));
  const inner = text.slice(group.open + 1, group.colon);
  const isPlain = weight === 1;
  const middle = isPlain ? inner : `(${inner}:${shown(weight)})`;
  const begin = group.open + (isPlain ? 0 : 1);
  const at = caret === null ? null : Math.min(begin + inner.length, Math.max(begin, caret - (isPlain ? 1 : 0)));
  return {
    text: text.slice(0, group.open) + middle + text.slice(group.close + 1),
    start: at ?? begin,
    end: at ?? begin + inner.length,
  };
}

/** @param {number} weight */
const shown = (weight) => String(Math.round(weight * 100) / 100);

/**
 * Finds the innermost group that a selection is in, or is.
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @returns {Group | null}
 */
function groupAround(text, start, end) {
  /** @type {Group | null} */
  let best = null;
  for (const group of groupsOf(text)) {
    const isIt = group.open === start && group.close + 1 === end;
    const inside = group.open < start && end <= group.close;
    const isWhole = () => text.slice(group.open + 1, group.colon).trim() === text.slice(start, end).trim();
    if ((isIt || (inside && (start === end || isWhole()))) && (!best || group.open > best.open)) {
      best = group;
    }
  }
  return best;
}

/**
 * @param {string} text
 * @returns {Group[]} all groups, inner ones before those around them
 */
function groupsOf(text) {
  const groups = [];
  /** @type {number[]} */
  const open = [];
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\") {
      at += 1;
    } else if (text[at] === "(") {
      open.push(at);
    } else if (text[at] === ")") {
      const start = open.pop();
      if (start !== undefined) {
        groups.push(groupOf(text, start, at));
      }
    }
  }
  return groups;
}

/**
 * @param {string} text
 * @param {number} open
 * @param {number} close
 * @returns {Group}
 */
function groupOf(text, open, close) {
  const from = Math.max(open + 1, close - LONGEST);
  const found = WEIGHT.exec(text.slice(from, close));
  const colon = found ? from + found.index : close;
  return { open, close, colon, weight: found ? Number(found[1]) : PLAIN };
}

/**
 * @param {string} text
 * @param {number} at
 * @returns {{start: number, end: number}}
 */
function wordAt(text, at) {
  let start = at;
  let end = at;
  while (start > 0 && WORD.test(text[start - 1] ?? "")) {
    start -= 1;
  }
  while (end < text.length && WORD.test(text[end] ?? "")) {
    end += 1;
  }
  return { start, end };
}

/**
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @returns {{start: number, end: number}} without the spaces at its ends
 */
function trimmed(text, start, end) {
  const part = text.slice(start, end);
  const left = part.length - part.trimStart().length;
  return part.trim() ? { start: start + left, end: start + left + part.trim().length } : { start, end: start };
}

/**
 * Tells what of a prompt has another weight than 1, so that it can be shown; weights in each other multiply.
 * @param {string} text
 * @returns {Weighted[]} by where they start, outer before inner ones
 */
export function weights(text) {
  /** @type {Weighted[]} those that the next group may be in, the innermost last */
  const around = [];
  return groupsOf(text).sort((a, b) => a.open - b.open).map(({ open, close, weight }) => {
    while ((around.at(-1)?.end ?? Infinity) <= open) {
      around.pop();
    }
    const made = { start: open, end: close + 1, weight: weight * (around.at(-1)?.weight ?? 1) };
    around.push(made);
    return made;
  });
}

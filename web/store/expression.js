/** Arithmetic in number fields: `2*512+64`. Whole numbers of any size are exact. */

/** @typedef {number | bigint} Numeric */
/** @typedef {{readonly tokens: readonly string[], at: number}} Reader */

const LONGEST = 200;
const TOKEN = /\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[A-Za-z]+|\*\*|[-+*/%^(),])/y;
const LARGEST_POWER = 256;

/** @type {ReadonlyMap<string, number>} */
const CONSTANTS = new Map([
  ["pi", Math.PI],
  ["e", Math.E],
]);

/** @type {ReadonlyMap<string, (...values: number[]) => number>} */
const FUNCTIONS = new Map([
  ["sqrt", Math.sqrt],
  ["round", Math.round],
  ["floor", Math.floor],
  ["ceil", Math.ceil],
  ["abs", Math.abs],
  ["min", Math.min],
  ["max", Math.max],
  ["log", Math.log],
  ["exp", Math.exp],
]);

/**
 * Works an expression out: `+ - * / % ^`, parentheses, `sqrt` and the like, `pi`.
 * @param {string} text
 * @returns {Numeric | null} null for what is no expression, or has no finite result
 */
export function evaluate(text) {
  const tokens = text.length > LONGEST ? null : tokensOf(text);
  if (!tokens?.length) {
    return null;
  }
  /** @type {Reader} */
  const reader = { tokens, at: 0 };
  const value = sum(reader);
  return reader.at === tokens.length ? tidy(value) : null;
}

/**
 * @param {string} text
 * @returns {string[] | null}
 */
function tokensOf(text) {
  const tokens = [];
  const rest = text.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < rest.length) {
    const found = TOKEN.exec(rest);
    if (!found?.[1]) {
      return null;
    }
    tokens.push(found[1]);
  }
  return tokens;
}

/**
 * @param {Numeric | null} value
 * @returns {Numeric | null}
 */
function tidy(value) {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  return value !== null && Number.isFinite(value) ? value : null;
}

/**
 * @param {Reader} reader
 * @param {readonly string[]} signs
 * @returns {string | null} the next sign, if it is one of these
 */
function take(reader, signs) {
  const token = reader.tokens[reader.at];
  if (token === undefined || !signs.includes(token)) {
    return null;
  }
  reader.at += 1;
  return token;
}

/**
 * @param {Reader} reader
 * @returns {Numeric | null}
 */
function sum(reader) {
  let value = product(reader);
  for (let sign = take(reader, ["+", "-"]); sign && value !== null; sign = take(reader, ["+", "-"])) {
    value = apply(sign, value, product(reader));
  }
  return value;
}

/**
 * @param {Reader} reader
 * @returns {Numeric | null}
 */
function product(reader) {
  let value = signed(reader);
  for (let sign = take(reader, ["*", "/", "%"]); sign && value !== null; sign = take(reader, ["*", "/", "%"])) {
    value = apply(sign, value, signed(reader));
  }
  return value;
}

/**
 * @param {Reader} reader
 * @returns {Numeric | null}
 */
function signed(reader) {
  const sign = take(reader, ["-", "+"]);
  if (!sign) {
    return power(reader);
  }
  const value = signed(reader);
  return value === null || sign === "+" ? value : -value;
}

/**
 * @param {Reader} reader
 * @returns {Numeric | null}
 */
function power(reader) {
  const base = atom(reader);
  return base !== null && take(reader, ["^", "**"]) ? apply("^", base, signed(reader)) : base;
}

/**
 * @param {Reader} reader
 * @returns {Numeric | null}
 */
function atom(reader) {
  const token = reader.tokens[reader.at];
  reader.at += 1;
  if (token === undefined) {
    return null;
  }
  if (token === "(") {
    const value = sum(reader);
    return take(reader, [")"]) ? value : null;
  }
  if (/^\d+$/.test(token)) {
    return BigInt(token);
  }
  if (/^[\d.]/.test(token)) {
    return Number(token);
  }
  return CONSTANTS.get(token) ?? call(reader, FUNCTIONS.get(token));
}

/**
 * @param {Reader} reader
 * @param {((...values: number[]) => number) | undefined} run
 * @returns {number | null}
 */
function call(reader, run) {
  if (!run || !take(reader, ["("])) {
    return null;
  }
  const values = [];
  do {
    const value = sum(reader);
    if (value === null) {
      return null;
    }
    values.push(Number(value));
  } while (take(reader, [","]));
  return take(reader, [")"]) ? run(...values) : null;
}

/**
 * @param {string} sign
 * @param {Numeric} left
 * @param {Numeric | null} right
 * @returns {Numeric | null}
 */
function apply(sign, left, right) {
  if (right === null) {
    return null;
  }
  const exact = typeof left === "bigint" && typeof right === "bigint" ? exactly(sign, left, right) : null;
  return exact ?? roughly(sign, Number(left), Number(right));
}

/**
 * @param {string} sign
 * @param {bigint} left
 * @param {bigint} right
 * @returns {bigint | null} null where the result is not whole, or very large
 */
function exactly(sign, left, right) {
  switch (sign) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return right !== 0n && left % right === 0n ? left / right : null;
    case "%":
      return right === 0n ? null : left % right;
    default:
      return right >= 0n && right <= LARGEST_POWER && left < 1n << 64n && left > -(1n << 64n) ? left ** right : null;
  }
}

/**
 * @param {string} sign
 * @param {number} left
 * @param {number} right
 * @returns {number}
 */
function roughly(sign, left, right) {
  switch (sign) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
    case "%":
      return left % right;
    default:
      return left ** right;
  }
}

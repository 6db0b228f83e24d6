/** How types of wires are told apart: by colour and shape, so that neither is needed alone. */

/** @typedef {"circle" | "square" | "diamond" | "triangle" | "hexagon"} Shape */
/**
 * `hue` counts the style's colours of ports, 0 to 11.
 * @typedef {{readonly hue: number, readonly shape: Shape, readonly list: boolean}} Look
 */

const HUES = 12;
/** @type {readonly Shape[]} */
const SHAPES = ["circle", "square", "diamond", "triangle", "hexagon"];

/**
 * Types that stand side by side in most workflows look as different as can be.
 * @type {ReadonlyMap<string, [number, Shape]>}
 */
const KNOWN = new Map([
  ["Image", [0, "circle"]],
  ["Latent", [1, "square"]],
  ["Model", [2, "hexagon"]],
  ["Clip", [3, "hexagon"]],
  ["Vae", [4, "hexagon"]],
  ["Conditioning", [5, "diamond"]],
  ["Mask", [6, "triangle"]],
  ["int", [7, "circle"]],
  ["float", [8, "circle"]],
  ["str", [9, "square"]],
  ["bool", [10, "triangle"]],
  ["any", [11, "circle"]],
]);

/**
 * @param {string} type
 * @param {boolean} list
 * @returns {Look}
 */
export function lookOf(type, list) {
  const plain = type.replace(/ \| None$/, "");
  const [hue, shape] = KNOWN.get(plain) ?? byName(plain);
  return { hue, shape, list };
}

/**
 * @param {string} type
 * @returns {[number, Shape]}
 */
function byName(type) {
  let hash = 2166136261;
  for (let index = 0; index < type.length; index += 1) {
    hash = Math.imul(hash ^ type.charCodeAt(index), 16777619) >>> 0;
  }
  return [hash % (HUES - 1), SHAPES[(hash >>> 8) % SHAPES.length] ?? "circle"];
}

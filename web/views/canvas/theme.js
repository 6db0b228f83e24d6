/** The style's colours as what draws on a canvas needs them. */

import { token } from "../dom.js";

/**
 * @typedef {Object} Theme
 * @property {string} canvas
 * @property {string} dot
 * @property {string} surface
 * @property {string} frame
 * @property {string} node
 * @property {string} header
 * @property {string} text
 * @property {string} accent
 * @property {string} danger
 * @property {string} ok
 * @property {string} cached
 * @property {string[]} hues
 * @property {Map<string, string>} colors
 * @property {string} font
 */

/** @param {readonly string[]} names @returns {Theme} */
export function readTheme(names) {
  const body = getComputedStyle(document.body);
  return {
    canvas: token("--canvas"),
    dot: token("--dot"),
    surface: token("--surface"),
    frame: token("--surface-3"),
    node: mixed(token("--line-strong"), 0.6),
    header: token("--surface-2"),
    text: token("--text"),
    accent: token("--accent"),
    danger: token("--danger"),
    ok: token("--ok"),
    cached: token("--cached"),
    hues: Array.from({ length: 12 }, (_, i) => token(`--type-${i}`)),
    colors: new Map(names.map((name) => [name, token(`--color-${name}`)])),
    font: body.fontFamily,
  };
}

/**
 * Call back whenever the colours may have changed.
 * @param {() => void} changed @returns {() => void} ends it
 */
export function watchTheme(changed) {
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme", "data-contrast", "class"],
  });
  const queries = ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"].map((text) =>
    matchMedia(text),
  );
  for (const query of queries) query.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    for (const query of queries) query.removeEventListener("change", changed);
  };
}

/** A colour that lets some of what is below through. @param {string} color as `rgb(1, 2, 3)` @param {number} part */
function mixed(color, part) {
  const found = /^rgb\((.*)\)$/.exec(color);
  return found ? `rgba(${found[1]}, ${part})` : color;
}

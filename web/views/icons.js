/** The editor's icons: drawn by code on a field of 16 x 16, with one width of stroke. */

import { svg } from "./dom.js";

/** Each icon's strokes; a second text is filled. @type {ReadonlyMap<string, readonly [string, string?]>} */
const ICONS = new Map([
  ["plus", ["M8 3v10M3 8h10"]],
  ["minus", ["M3 8h10"]],
  ["close", ["M4 4l8 8M12 4l-8 8"]],
  ["check", ["M3 8.5l3.2 3.2L13 4.6"]],
  ["search", ["M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9zM10.4 10.4L14 14"]],
  ["menu", ["M2.5 4h11M2.5 8h11M2.5 12h11"]],
  ["more", [
    "",
    "M3.5 6.8a1.2 1.2 0 1 0 0 2.4a1.2 1.2 0 1 0 0-2.4zM8 6.8a1.2 1.2 0 1 0 0 2.4a1.2 1.2 0 1 0 0-2.4z" +
      "M12.5 6.8a1.2 1.2 0 1 0 0 2.4a1.2 1.2 0 1 0 0-2.4z",
  ]],
  ["play", ["", "M4.5 2.8v10.4c0 .6.6.9 1.1.6l8-5.2c.5-.3.5-.9 0-1.2l-8-5.2c-.5-.3-1.1 0-1.1.6z"]],
  ["stop", ["", "M4 3h8c.6 0 1 .4 1 1v8c0 .6-.4 1-1 1H4c-.6 0-1-.4-1-1V4c0-.6.4-1 1-1z"]],
  ["pause", ["", "M3.5 3h3v10h-3zM9.5 3h3v10h-3z"]],
  ["front", ["", "M2 3v10L8 9v4l6.5-5L8 3v4z"]],
  ["queue", ["M2.5 3.5h11M2.5 8h7M2.5 12.5h7M12 7.5v5.5M9.8 10.8l2.2 2.2l2.2-2.2"]],
  ["history", ["M3 5.2A5.6 5.6 0 1 1 2.4 8.3M2.6 2.4v3h3M8 5v3.2l2.2 1.5"]],
  ["gallery", ["M2.5 3h4.5v4.5h-4.5zM9 3h4.5v4.5h-4.5zM2.5 9.5h4.5v3.5h-4.5zM9 9.5h4.5v3.5h-4.5z"]],
  ["warning", ["M8 2.3L14.2 13H1.8zM8 6.5v3M8 11.2v.2"]],
  ["error", ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM8 5v3.5M8 10.8v.2"]],
  ["info", ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM8 7.4v3.6M8 5v.2"]],
  ["help", [
    "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM6.2 6.3c.1-1 .8-1.6 1.8-1.6s1.8.6 1.8 1.5c0 1.2-1.8 1.4-1.8 2.7" +
      "M8 11.2v.2",
  ]],
  ["outline", ["M2.5 3.5h5M5.5 8h8M5.5 12.5h8M3.5 5.5v7h2M3.5 8h2"]],
  ["folder", ["M1.8 12.5v-9c0-.3.2-.5.5-.5h3.8l1.5 1.7h6.1c.3 0 .5.2.5.5v7.3c0 .3-.2.5-.5.5H2.3c-.3 0-.5-.2-.5-.5z"]],
  ["file", ["M3.5 2h5.5l3.5 3.5V14h-9zM9 2v3.5h3.5"]],
  ["save", ["M2.5 2.5h8.5l2.5 2.5v8.5h-11zM5 2.5v3.5h5v-3.5M4.8 13.5v-4.5h6.4v4.5"]],
  ["template", ["M2.5 2.5h11v3.5h-11zM2.5 8.5h5v5h-5zM10 8.5h3.5v5H10z"]],
  ["undo", ["M5.5 3L2.5 6l3 3M2.8 6h6.4a4 4 0 0 1 0 8H6"]],
  ["redo", ["M10.5 3l3 3l-3 3M13.2 6H6.8a4 4 0 0 0 0 8H10"]],
  ["settings", [
    "M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6M10 2.7a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6z" +
      "M6 9.7a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6z",
  ]],
  ["contrast", ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12z", "M8 2a6 6 0 0 1 0 12z"]],
  ["keyboard", ["M1.5 4h13v8h-13zM4 6.6h.1M6.6 6.6h.1M9.2 6.6h.1M11.9 6.6h.1M4.5 9.5h7"]],
  ["command", ["M3 4l4 4l-4 4M8.5 12.5h5"]],
  ["down", ["M3.5 6l4.5 4.5L12.5 6"]],
  ["up", ["M3.5 10L8 5.5l4.5 4.5"]],
  ["right", ["M6 3.5l4.5 4.5L6 12.5"]],
  ["left", ["M10 3.5L5.5 8l4.5 4.5"]],
  ["node", ["M4 3h8v10H4zM4 6h8M1.5 9.5H4M12 9.5h2.5"]],
  ["subgraph", ["M2 2.5h12v11H2zM4.5 5.5h3v3h-3zM9 8.5h2.5v2.5H9zM7.5 7h2.7v1.5"]],
  ["link", [
    "M3.5 3a1.5 1.5 0 1 0 0 3a1.5 1.5 0 1 0 0-3zM12.5 10a1.5 1.5 0 1 0 0 3a1.5 1.5 0 1 0 0-3z" +
      "M5 4.5c6 0 0 7 6 7",
  ]],
  ["unlink", [
    "M3.5 3a1.5 1.5 0 1 0 0 3a1.5 1.5 0 1 0 0-3zM12.5 10a1.5 1.5 0 1 0 0 3a1.5 1.5 0 1 0 0-3zM5 4.5h2" +
      "M9 11.5h2M10.5 3.5l-5 9",
  ]],
  ["copy", ["M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3"]],
  ["paste", ["M5.5 3.5H3v10.5h10V3.5h-2.5M5.5 2h5v3h-5z"]],
  ["cut", [
    "M4 10a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6zM12 10a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6z" +
      "M5 10.2L11.5 2M11 10.2L4.5 2",
  ]],
  ["trash", ["M2.5 4.5h11M6 4.5V2.5h4v2M4 4.5l.6 9h6.8l.6-9M6.7 7v4M9.3 7v4"]],
  ["edit", ["M3 13l.6-3L11 2.6l2.4 2.4L6 12.4z"]],
  ["download", ["M8 2.5v7.5M4.8 7L8 10.2L11.2 7M2.5 13.5h11"]],
  ["upload", ["M8 10.5V3M4.8 6L8 2.8L11.2 6M2.5 13.5h11"]],
  ["dice", [
    "M3 3h10v10H3z",
    "M5.7 4.8a.9.9 0 1 0 0 1.8a.9.9 0 1 0 0-1.8zM10.3 4.8a.9.9 0 1 0 0 1.8a.9.9 0 1 0 0-1.8z" +
      "M8 7.1a.9.9 0 1 0 0 1.8a.9.9 0 1 0 0-1.8zM5.7 9.4a.9.9 0 1 0 0 1.8a.9.9 0 1 0 0-1.8z" +
      "M10.3 9.4a.9.9 0 1 0 0 1.8a.9.9 0 1 0 0-1.8z",
  ]],
  ["lock", ["M3.5 7h9v6.5h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2"]],
  ["pin", ["M6 2h4l-.5 5l2 2h-7l2-2zM8 9v5"]],
  ["frame", ["M2 4.5h12v9H2zM2 4.5v-2h5v2"]],
  ["note", ["M2.5 2.5h11v7.5l-3.5 3.5h-7.5zM10 13.5V10h3.5M5 5.5h6M5 8h4"]],
  ["fit", ["M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10"]],
  ["map", ["M2 3h12v10H2zM8.5 7.5h4v4h-4z"]],
  ["brush", ["M13.5 2.5L7 9M5.5 9.5c1.3 0 2 .9 2 2c0 1.5-1.5 2.2-5 2c1.3-.6 1-1.5 1.2-2.3c.2-1 .9-1.7 1.8-1.7z"]],
  ["eraser", ["M6.5 13.5L2.5 9.5L9.5 2.5l4 4l-7 7M6 6l4 4M6.5 13.5h7"]],
  ["refresh", ["M13 6.5A5.3 5.3 0 0 0 3.4 5.2M3 9.5a5.3 5.3 0 0 0 9.6 1.3M13.3 3v3.5H9.8M2.7 13V9.5h3.5"]],
  ["form", ["M2.5 3h11v3h-11zM2.5 10h11v3h-11zM4.5 4.5h.1M4.5 11.5h.1"]],
  ["logout", ["M6.5 2.5h-4v11h4M10 5l3 3l-3 3M12.8 8H6"]],
  ["theme", [
    "M8 2a6 6 0 1 0 0 12c1.4 0 1.4-1.1.9-1.8c-.6-.9 0-2 1.1-2h1.5c1.5 0 2.5-1 2.5-2.5C14 4.5 11.3 2 8 2z" +
      "M5 6.5h.1M8 4.8h.1M11 6.5h.1M4.6 9.5h.1",
  ]],
  ["compare", ["M8 1.5v13M2.5 3.5h3.5M2.5 12.5h3.5M2.5 3.5v9M13.5 3.5v9M10 3.5h3.5M10 12.5h3.5"]],
  ["mute", ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM3.8 3.8l8.4 8.4"]],
  ["bypass", ["M1.5 11h2.5c4 0 0-6 4-6s0 6 4 6h2.5"]],
  ["tour", ["M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM10.8 5.2l-1.5 4.1l-4.1 1.5l1.5-4.1z"]],
  ["server", ["M2.5 2.5h11v4.5h-11zM2.5 9h11v4.5h-11zM5 4.7h.1M5 11.2h.1"]],
  ["align", ["M2.5 2v12M5 4h8.5v3H5zM5 9.5h5v3H5z"]],
  ["share", [
    "M4 6.2a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6zM12 2.2a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6z" +
      "M12 10.2a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6zM5.6 7.2l4.8-2.4M5.6 8.8l4.8 2.4",
  ]],
]);

/** The shapes of ports by their names. */
const SHAPES = new Map([
  ["circle", "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10z"],
  ["square", "M3.5 3.5h9v9h-9z"],
  ["diamond", "M8 2l6 6l-6 6l-6-6z"],
  ["triangle", "M3.5 2.5L13.5 8l-10 5.5z"],
  ["hexagon", "M4.7 2.5h6.6L14.5 8l-3.2 5.5H4.7L1.5 8z"],
]);

/**
 * Draw an icon; a reader does not tell of it.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const [stroke, filled] = ICONS.get(name) ?? ICONS.get("node") ?? [""];
  const line = { fill: "none", stroke: "currentColor", "stroke-width": 1.4, "stroke-linecap": "round" };
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    stroke && svg("path", { d: stroke, ...line, "stroke-linejoin": "round" }),
    filled && svg("path", { d: filled, fill: "currentColor" }));
}

/**
 * Draw the mark of a port's type: its hue and shape, twofold where it is a list.
 * @param {{hue: number, shape: string, list: boolean}} look
 * @returns {SVGSVGElement}
 */
export function portIcon({ hue, shape, list }) {
  const d = SHAPES.get(shape) ?? SHAPES.get("circle") ?? "";
  const color = `var(--type-${hue})`;
  const viewBox = list ? "-3 0 22 16" : "0 0 16 16";
  const drawing = svg("svg", { class: "icon port-icon", viewBox, "aria-hidden": "true" },
    list && svg("path", { d, fill: "none", "stroke-width": 1.5, transform: "translate(-3 0)" }),
    svg("path", { d, transform: list ? "translate(3 0)" : null, "stroke-width": 1 }));
  drawing.style.setProperty("fill", color);
  drawing.style.setProperty("stroke", color);
  return drawing;
}

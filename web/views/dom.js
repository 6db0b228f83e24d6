/**
 * Making elements. Text is set as text: nothing here reads markup.
 */

/** @typedef {globalThis.Node | string | number | null | undefined | false} Child */
/**
 * What an element is made with: `class`, `text`, `data` (data-*), `style` (CSS properties, by CSSOM), `on` (listeners),
 * `value`, `checked`; all else is an attribute: true sets it empty, false, null and undefined leave it out.
 * @typedef {Object} Props
 * @property {string} [class]
 * @property {string} [text]
 * @property {{readonly [name: string]: string | number | undefined}} [data]
 * @property {{readonly [name: string]: string}} [style]
 * @property {{readonly [type: string]: (event: any) => void}} [on] the event is of the type that its name tells
 * @property {string} [value]
 * @property {boolean} [checked]
 */
/** @typedef {string | number | boolean | null | undefined} Attribute */
/** @typedef {Props & {readonly [attribute: string]: unknown}} AllProps */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {AllProps} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  set(element, props);
  append(element, children);
  return element;
}

/**
 * Make an element of a drawing.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {AllProps} [props]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  set(element, props);
  append(element, children);
  return element;
}

/**
 * Give an element what `props` tells; what they do not name stays as it is.
 * @param {HTMLElement | SVGElement} element
 * @param {AllProps} props
 */
export function set(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") element.setAttribute("class", String(value));
    else if (name === "text") element.textContent = String(value);
    else if (name === "data") setData(element, props.data ?? {});
    else if (name === "style") setStyle(element, props.style ?? {});
    else if (name === "on") listen(element, props.on ?? {});
    else if (name === "value" && "value" in element) element.value = value;
    else if (name === "checked" && element instanceof HTMLInputElement) element.checked = Boolean(value);
    else setAttribute(element, name, /** @type {Attribute} */ (value));
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {Attribute} value
 */
function setAttribute(element, name, value) {
  if (name.startsWith("on")) throw new TypeError(`listeners are given as {on: {...}}, not as ${name}`);
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * @param {HTMLElement | SVGElement} element
 * @param {NonNullable<Props["data"]>} data
 */
function setData(element, data) {
  for (const [name, value] of Object.entries(data)) {
    if (value === undefined) delete element.dataset[name];
    else element.dataset[name] = String(value);
  }
}

/**
 * @param {HTMLElement | SVGElement} element
 * @param {NonNullable<Props["style"]>} style
 */
function setStyle(element, style) {
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, value);
}

/**
 * @param {HTMLElement | SVGElement} element
 * @param {NonNullable<Props["on"]>} listeners
 */
function listen(element, listeners) {
  for (const [type, listener] of Object.entries(listeners)) element.addEventListener(type, listener);
}

/**
 * @param {Element} element
 * @param {readonly Child[]} children
 */
function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(typeof child === "number" ? String(child) : child);
  }
}

/**
 * Find an element that must be there.
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {HTMLElement}
 */
export function find(selector, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * Put these children in place of all that are there.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

const UNTYPED = new Set(["checkbox", "radio", "range", "button", "submit", "file", "color"]);

/**
 * Tell whether keys typed now are text for a field.
 * @param {EventTarget | null} target
 */
export function isTyping(target) {
  if (target instanceof HTMLInputElement) return !UNTYPED.has(target.type);
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLElement && target.isContentEditable;
}

/**
 * Read a token of the style, such as `--accent`, as it is now.
 * @param {string} name
 */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Tell whether things should not move by themselves. */
export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

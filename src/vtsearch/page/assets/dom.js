// Elements without markup: text from an index is only ever a text node, so a hostile name stays a name.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. Properties may be left out: `class`, `text`, `on: {event: handler}` or `onevent: handler`,
 * `style: {property: value}` (set from script, so a strict content policy allows it), true or false, all others by name.
 * @param {string} tag a name, with classes behind dots: "p.quiet" @param {Object<string, any>|Child} [properties]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, properties, ...children) {
  const [name, ...kinds] = tag.split(".");
  const element = document.createElement(name);
  if (kinds.length) element.className = kinds.join(" ");
  if (name === "button") element.type = "button";
  return dressed(element, properties, children);
}

/**
 * An SVG element, with properties and children as `h` takes them.
 * @param {string} tag @param {Object<string, any>|Child} [properties] @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, properties, ...children) {
  return dressed(document.createElementNS(SVG, tag), properties, children);
}

/** @typedef {Node|string|number|null|undefined|false|Array} Child nothing is added for null, undefined and false */

function dressed(element, properties, children) {
  const isPlain = properties?.constructor === Object;
  for (const [name, value] of isPlain ? Object.entries(properties) : []) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const event in value) element.addEventListener(event, value[event]);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const key in value) element.style.setProperty(key, value[key]);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...shown(isPlain ? children : [properties, ...children]));
  return element;
}

const shown = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/**
 * Replace all children of an element.
 * @param {Element} element @param {...Child} children @returns {Element} the element
 */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
  return element;
}

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

/**
 * A number as people read it: 1,204; with decimals four significant digits.
 * @param {number|null} value @returns {string}
 */
export function number(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? WHOLE.format(value) : FINE.format(value);
}

/**
 * A share as a percentage: 96 %, or 96.3 % with one decimal.
 * @param {number} share between 0 and 1 @param {number} [decimals] @returns {string}
 */
export function percent(share, decimals = 0) {
  return `${(100 * share).toFixed(decimals)} %`;
}

/**
 * A value of metadata: numbers with separators, times to the minute, hashes and other long words cut.
 * @param {string|number|null} value @returns {string}
 */
export function valueWords(value) {
  if (typeof value !== "string") return number(value);
  const time = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)/.exec(value);
  if (time) return `${time[1]} ${time[2]}`;
  return /^\S{25,}$/.test(value) ? `${value.slice(0, 12)}…` : value;
}

/**
 * "1 item", "1,204 items".
 * @param {number} count @param {string} noun @param {string} [plural] @returns {string}
 */
export function several(count, noun, plural = `${noun}s`) {
  return `${number(count)} ${count === 1 ? noun : plural}`;
}

const PATHS = {
  tick: "M3 8.5 6.5 12 13 4.5",
  cross: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  picture: "M2.5 3.5h11v9h-11zM2.5 10.5l3-3 3 3 2-2 3 3M10.5 6h.01",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  moon: "M13 9.5A5.5 5.5 0 1 1 6.5 3 4.5 4.5 0 0 0 13 9.5z",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  neighbours: "M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z",
  mistakes: "M8 2.5 14 13.5H2zM8 6.5v3.5M8 11.8h.01",
  compare: "M2.5 3h4.5v10H2.5zM9 3h4.5v10H9z",
  duplicates: "M5.5 5.5h8v8h-8zM2.5 10.5v-8h8",
  undo: "M5.5 3 2.5 6l3 3M2.5 6H10a3.5 3.5 0 0 1 0 7H6",
};

/**
 * A drawing of 16 x 16 in the colour of the text, hidden from screen readers.
 * @param {keyof PATHS} name @returns {SVGElement}
 */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name] }),
  );
}

/**
 * A part that can be folded away, folded at first on a phone.
 * @param {string} title @param {string} hint @param {...Node} children @returns {HTMLElement}
 */
export function fold(title, hint, ...children) {
  return h(
    "details.fold",
    { open: !matchMedia("(max-width: 760px)").matches },
    h("summary", { text: title, title: hint }),
    ...children,
  );
}

/**
 * A button. @param {string} text @param {string} title what it does, and its key @param {(event: Event) => void} run
 * @param {string} [kind] its class @returns {HTMLElement}
 */
export function button(text, title, run, kind = "button") {
  return h("button", { class: kind, text, title, onclick: run });
}

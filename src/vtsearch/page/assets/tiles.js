// Pictures in fixed cells, and the grid of tie groups.

import { h, several } from "./dom.js";
import { roving } from "./roving.js";

const ITEMS = new WeakMap();
const AT_ONCE = 96; // tiles of the first frame: more than a screen holds
const PER_FRAME = 160;

/** The item that a tile shows. @param {Element} element @returns {object|undefined} */
export function itemOf(element) {
  return ITEMS.get(element);
}

/** The last part of an id. @param {string|null} id @returns {string} */
export function shortName(id) {
  return id === null || id === undefined ? "" : (id.split("/").filter(Boolean).at(-1) ?? id);
}

/** What an item shows, in words: its classes, or its name. @param {object} item @returns {string} */
export function spoken(item) {
  return item.names?.length ? item.names.join(", ") : shortName(item.id) || "picture";
}

/**
 * A picture, or its name on grey where there is none.
 * @param {{thumbnail: string|null, id: string|null}} item @param {{large?: boolean, eager?: boolean}} [options]
 * @returns {HTMLElement}
 */
export function picture(item, { large = false, eager = false } = {}) {
  const source = (large && item.image) || item.thumbnail;
  const missing = () => h("span.missing", shortName(item.id) || "no picture");
  if (!source) return missing();
  const image = h("img", {
    src: source,
    alt: "",
    decoding: "async",
    loading: eager ? "eager" : "lazy",
    draggable: "false",
  });
  image.addEventListener("error", () => image.replaceWith(missing()), { once: true });
  return image;
}

/**
 * A picture with its sign of relevance; a link if `href` is given, a button if only `onOpen` is.
 * @param {object} item
 * @param {{relevant?: boolean|null, distance?: number|null, href?: string, onOpen?: (item: object, event: Event) => void,
 *   caption?: string, title?: string, eager?: boolean}} [options]
 * @returns {HTMLElement}
 */
export function tile(
  item,
  { relevant = item.relevant, distance = item.distance, href, onOpen, caption, title, eager } = {},
) {
  const known = relevant === true || relevant === false;
  const words = [
    spoken(item),
    Number.isInteger(distance) && `distance ${distance}`,
    known && (relevant ? "relevant" : "not relevant"),
    caption,
  ];
  const tag = href ? "a" : onOpen ? "button" : "span";
  const element = h(
    tag,
    {
      class: known ? (relevant ? "tile relevant" : "tile other") : "tile",
      href,
      title,
      type: tag === "button" ? "button" : null,
      role: tag === "span" ? "img" : null,
      "aria-label": words.filter(Boolean).join(", "),
      on: onOpen ? { click: (event) => onOpen(item, event) } : {},
    },
    picture(item, { eager }),
    caption && h("span.caption", caption),
  );
  ITEMS.set(element, item);
  return element;
}

/**
 * Group results by distance, with the counts of all items there.
 * @param {object[]} results in order of distance
 * @param {{counts: number[], relevant: number[]|null}|null} histogram
 * @returns {{distance: number|null, items: object[], count: number, relevant: number|null}[]}
 */
export function tieGroups(results, histogram) {
  const groups = [];
  for (const item of results) {
    if (!groups.length || groups.at(-1).distance !== item.distance) {
      const count = histogram && item.distance !== null ? histogram.counts[item.distance] : null;
      const relevant = histogram?.relevant && item.distance !== null ? histogram.relevant[item.distance] : null;
      groups.push({ distance: item.distance, items: [], count, relevant });
    }
    groups.at(-1).items.push(item);
  }
  for (const group of groups) group.count = Math.max(group.count ?? 0, group.items.length);
  return groups;
}

/**
 * Tie groups below each other. Tiles beyond the first screen are made in later frames.
 * @param {{distance: number|null, items: object[], count?: number, relevant?: number|null}[]} groups
 * @param {{hrefOf?: (item: object) => string, onOpen?: (item: object, event: Event) => void,
 *   onPoint?: (item: object|null, element: Element|null) => void, onMore?: (group: object) => void}} [options]
 * @returns {HTMLElement} with `rove` (see roving.js), `within(radius)`, which hides what is farther, and `count(groups)`,
 *   which tells the counts of the same groups when they come later
 */
export function grid(groups, { hrefOf, onOpen, onPoint, onMore } = {}) {
  const element = h("div.groups");
  const jobs = [];
  for (const group of groups) {
    const name = group.distance === null ? several(group.items.length, "item") : `distance ${group.distance}`;
    const list = h("ul.grid", { role: "list", "aria-label": name });
    element.append(h("div.group", { "data-distance": group.distance }, groupHeading(group, onMore), list));
    for (const item of group.items) jobs.push([list, item]);
  }
  const make = (from, to) => {
    for (const [list, item] of jobs.slice(from, to)) {
      const made = tile(item, { href: hrefOf?.(item), onOpen });
      if (hrefOf || onOpen) made.tabIndex = -1; // one stop for Tab, arrows beyond: see roving.js
      list.append(h("li", made));
    }
    if (to < jobs.length) requestAnimationFrame(() => element.isConnected && make(to, to + PER_FRAME));
  };
  make(0, AT_ONCE);
  element.rove = roving(element, ".tile", { onFocus: (each) => onPoint?.(itemOf(each), each) });
  if (hrefOf || onOpen) element.rove.refresh();
  if (onPoint) pointAt(element, onPoint);
  element.within = (radius) => hideBeyond(element, radius);
  element.count = (counted) => {
    for (const [place, group] of counted.entries())
      element.children[place].firstChild.replaceWith(groupHeading(group, onMore));
  };
  return element;
}

function groupHeading({ distance, items, count = items.length, relevant }, onMore) {
  const words = [several(count, "item"), relevant !== null && relevant !== undefined && `${relevant} relevant`];
  const hidden = count > items.length;
  if (hidden) words.push(`${items.length} shown`);
  const more =
    hidden &&
    onMore &&
    h("button.link", {
      text: "show all",
      title: `Show all items at distance ${distance}`,
      onclick: () => onMore({ distance, items, count }),
    });
  return h(
    "h3",
    distance !== null && h("strong", `distance ${distance}`),
    h("span", words.filter(Boolean).join(" · ")),
    more,
  );
}

function pointAt(element, onPoint) {
  let last = null;
  element.addEventListener("pointerover", (event) => {
    const over = event.target.closest(".tile");
    if (over === last || event.pointerType === "touch") return;
    last = over;
    if (over) onPoint(itemOf(over), over);
  });
  element.addEventListener("pointerleave", () => {
    last = null;
    const focused = element.contains(document.activeElement) ? document.activeElement.closest(".tile") : null;
    onPoint(focused ? itemOf(focused) : null, focused);
  });
}

function hideBeyond(element, radius) {
  for (const group of element.children) {
    const distance = group.dataset.distance;
    group.hidden = radius !== null && distance !== undefined && Number(distance) > radius;
  }
  if (!element.rove.current()) element.rove.refresh();
}

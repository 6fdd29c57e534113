// The pictures of a group side by side at one scale, with what differs between them.

import { h, number, several, valueWords } from "./dom.js";
import { picture } from "./tiles.js";

const SIDE = 168; // px of the longest side in a group
const PICTURES_SHOWN = 12;

/** "Group 37 of 412 · 3 pictures · differ in up to 2 bits". @param {object} group @param {number} total @returns {Node[]} */
export function groupTitle({ at, items, diameter }, total) {
  return [
    h("strong", `Group ${number(at)} of ${number(total)}`),
    h("span", several(items.length, "picture")),
    h("span", diameter ? `up to ${several(diameter, "bit")} apart` : "equal codes"),
  ];
}

/**
 * Pictures with their differences. @param {object[]} items
 * @param {{onKeep?: ((place: number) => void)|null}} options without `onKeep` small and without facts @returns {HTMLElement}
 */
export function groupPictures(items, { onKeep }) {
  if (onKeep === undefined)
    return h(
      "ul.minis",
      { role: "list" },
      items.map((item) => h("li", picture(item))),
    );
  const columns = differing(items);
  const scale =
    SIDE /
    Math.max(...items.slice(0, PICTURES_SHOWN).flatMap(({ metadata: { width, height } }) => [width ?? 0, height ?? 0]), 1);
  return h(
    "ul.pictures",
    { role: "list" },
    items.slice(0, PICTURES_SHOWN).map((item, place) => h("li", card(item, place, scale, columns, items, onKeep))),
    items.length > PICTURES_SHOWN && h("li.quiet", `and ${several(items.length - PICTURES_SHOWN, "picture")} more`),
  );
}

function card(item, place, scale, columns, items, onKeep) {
  const { width, height } = item.metadata;
  const size =
    width && height ? { width: `${Math.max(width * scale, 8)}px`, height: `${Math.max(height * scale, 8)}px` } : {};
  const box = h(
    "span.box",
    h("span", { class: width && height ? "sized" : "free", style: size }, picture(item, { large: true })),
  );
  const label = `${place < 9 ? `${place + 1}: ` : ""}keep ${item.id} alone`;
  const frame = onKeep
    ? h(
        "button.keep",
        { title: label, "aria-label": label, onclick: () => onKeep(place) },
        box,
        place < 9 && h("kbd", { text: place + 1, "aria-hidden": "true" }),
      )
    : box;
  return [
    frame,
    h(
      "dl",
      h("div", h("dt.spoken", "id"), h("dd.path", { title: item.id }, pathWords(item.id, items))),
      columns.map((column) =>
        h(
          "div",
          h("dt", column),
          h("dd", {
            class: isMost(items, item, column) ? "most" : "",
            title: item.metadata[column],
            text: valueWords(item.metadata[column]),
          }),
        ),
      ),
    ),
  ];
}

function differing(items) {
  return Object.keys(items[0]?.metadata ?? {}).filter((column) =>
    items.some(({ metadata }) => metadata[column] !== items[0].metadata[column]),
  );
}

function isMost(items, item, column) {
  const value = item.metadata[column];
  return typeof value === "number" && items.every(({ metadata }) => (metadata[column] ?? -Infinity) <= value);
}

/** An id with the part that all ids of the group share in grey. */
function pathWords(id, items) {
  let same = 0;
  while (same < id.length && items.every((each) => each.id[same] === id[same])) same += 1;
  const cut = items.length > 1 ? id.lastIndexOf("/", same) + 1 : 0;
  return [cut > 0 && h("span.quiet", id.slice(0, cut)), id.slice(cut)];
}

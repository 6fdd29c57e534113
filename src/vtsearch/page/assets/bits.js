// A code as squares: which bits are one, where another code differs, and what a bit separates.

import { fill, h, number, percent } from "./dom.js";
import { bytesOf } from "./embedded.js";
import { roving } from "./roving.js";
import { tile } from "./tiles.js";

/**
 * The bits of a code; bit 0 is the highest bit of the first byte.
 * @param {string} hex @param {number} bits @returns {number[]} zeros and ones
 */
export function bitsOf(hex, bits) {
  const bytes = bytesOf(hex);
  return Array.from({ length: bits }, (_, bit) => (bytes[bit >> 3] >> (7 - (bit & 7))) & 1);
}

/**
 * The panel of a code.
 * @param {{code: string, bits: number, ask: (bit: number) => Promise<object>, hrefOf: (item: object) => string}} options
 * @returns {HTMLElement} with `compare(code | null)`, which marks the bits where another code differs
 */
export function bitsPanel({ code, bits, ask, hrefOf }) {
  const own = bitsOf(code, bits);
  const squares = own.map((value, bit) =>
    h("button", {
      class: value ? "bit one" : "bit",
      tabindex: "-1",
      "data-bit": bit,
      "aria-label": `bit ${bit}: ${value}`,
    }),
  );
  const columns = bits <= 64 ? 8 : bits <= 256 ? 16 : 32;
  const board = h("div", { class: `bits of${columns}`, role: "group", "aria-label": `Code of ${bits} bits` }, squares);
  const words = h("p.quiet", "Point at a result to compare.");
  const card = bitCard({ board, ask, hrefOf, own });
  roving(board, ".bit", { onFocus: (square) => card.show(square) }).refresh();
  const element = h("div.code", board, words, card.element);
  element.compare = (other) => {
    const theirs = other === null ? own : bitsOf(other, bits);
    let differ = 0;
    squares.forEach((square, bit) => {
      const differs = own[bit] !== theirs[bit];
      differ += differs;
      square.classList.toggle("differs", differs);
      square.setAttribute("aria-label", `bit ${bit}: ${own[bit]}${differs ? ", differs" : ""}`);
    });
    words.textContent = other === null ? "Point at a result to compare." : `Differs in ${differ} of ${bits} bits.`;
  };
  return element;
}

const HOVER = 90; // ms: a pointer that only passes asks nothing

function bitCard({ board, ask, hrefOf, own }) {
  const element = h("div.bitcard", { hidden: true });
  const sides = new Map();
  let shown = null;
  let timer = 0;
  const hide = () => {
    clearTimeout(timer);
    shown = null;
    element.hidden = true;
  };
  const show = async (square) => {
    clearTimeout(timer);
    const bit = Number(square.dataset.bit);
    if (shown === bit) return;
    shown = bit;
    if (!sides.has(bit)) sides.set(bit, ask(bit));
    let content;
    try {
      content = cardContent(await sides.get(bit), own[bit], hrefOf);
    } catch (error) {
      sides.delete(bit);
      content = [h("p", error.detail ?? error.message)];
    }
    if (shown !== bit) return;
    fill(element, content);
    element.hidden = false;
    place(element, square);
  };
  board.addEventListener("pointerover", (event) => {
    const square = event.target.closest(".bit");
    clearTimeout(timer);
    if (square) timer = setTimeout(() => show(square), HOVER);
  });
  const leave = () => {
    clearTimeout(timer);
    timer = setTimeout(
      () => element.matches(":hover, :focus-within") || board.contains(document.activeElement) || hide(),
      250,
    );
  };
  for (const each of [board, element]) {
    each.addEventListener("pointerleave", leave);
    each.addEventListener("focusout", leave);
    each.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  }
  return { element, show };
}

function place(card, square) {
  const box = square.parentElement.getBoundingClientRect();
  const beside = box.right + 12 + card.offsetWidth < innerWidth;
  card.style.left = `${beside ? box.right + 12 : Math.max((innerWidth - card.offsetWidth) / 2, 8)}px`;
  const top = beside ? square.getBoundingClientRect().top - 24 : box.bottom + 8;
  card.style.top = `${Math.max(Math.min(top, innerHeight - card.offsetHeight - 8), 8)}px`;
}

function cardContent({ bit, balance, partner, correlation, zeros, ones }, own, hrefOf) {
  const side = (value, items) =>
    h(
      "div",
      { class: value === own ? "side own" : "side" },
      h("h4", value),
      h(
        "ul",
        { role: "list" },
        items.map((item) => h("li", tile(item, { href: hrefOf(item), eager: true }))),
      ),
      !items.length && h("p.quiet", `No item has ${value} here.`),
    );
  return [
    h(
      "h3",
      h("strong", `Bit ${bit}`),
      h("span", `ones ${percent(balance)}`),
      h(
        "span",
        partner === null || partner < 0
          ? ""
          : `correlation ${number(Math.round(1000 * correlation) / 1000)} with bit ${partner}`,
      ),
    ),
    side(0, zeros),
    side(1, ones),
  ];
}

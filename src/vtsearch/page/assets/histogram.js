// The histogram of distances, which is the slider of the radius.

import { fill, h, number, percent, several, svg } from "./dom.js";

/**
 * Items within a radius, in words.
 * @param {{counts: number[], relevant: number[]|null}} histogram @param {number|null} radius null: any
 * @returns {string} "1,204 items, 96 % relevant"
 */
export function withinWords({ counts, relevant }, radius) {
  const all = countWithin(counts, radius);
  return several(all, "item") + (relevant && all ? `, ${percent(countWithin(relevant, radius) / all)} relevant` : "");
}

/** How many are within a radius. @param {number[]} counts by distance @param {number|null} radius null: any @returns {number} */
export function countWithin(counts, radius) {
  return counts.slice(0, radius === null ? undefined : radius + 1).reduce((one, other) => one + other, 0);
}

/**
 * Bars of the counts by distance, the relevant part filled; heights on a square-root scale, so that few near items are
 * seen beside many far ones. With `onRadius` it is a slider: dragged, clicked or moved by keys.
 * @param {{counts: number[], relevant?: number[]|null, labels?: {all: string, relevant: string}, radius?: number|null,
 *   reach?: number|null, onRadius?: (radius: number|null, done: boolean) => void}} options
 *   `reach`: the distance of the last result that is loaded
 * @returns {HTMLElement} with `show(radius)` if it is a slider
 */
export function histogram({
  counts,
  relevant = null,
  labels = { all: "items", relevant: "relevant" },
  radius = null,
  reach = null,
  onRadius,
}) {
  const bits = counts.length - 1;
  const readout = h("output.readout");
  const legend = h(
    "div.legend",
    h("span.key.all", labels.all),
    relevant && h("span.key.relevant", labels.relevant),
    readout,
  );
  const bars = drawnBars(counts, relevant);
  const plot = h("div.plot", bars, reach !== null && reachMarker(reach, bits));
  const ticks = distanceAxis(bits);
  const element = h("figure.histogram", legend, plot, ticks);
  const distanceAt = (event) => {
    const box = plot.getBoundingClientRect();
    return Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * (bits + 1)), 0), bits);
  };
  plot.addEventListener(
    "pointermove",
    (event) => (readout.textContent = readoutOf(distanceAt(event), counts, relevant, labels)),
  );
  plot.addEventListener("pointerleave", () => (readout.textContent = ""));
  if (!onRadius) {
    fill(bars, [svg("title", { text: "Items by distance" }), ...bars.childNodes]);
    bars.setAttribute("role", "img");
    bars.setAttribute("aria-label", `Histogram of distances 0 to ${bits}`);
    return element;
  }
  bars.setAttribute("aria-hidden", "true");
  slideBy(plot, { counts, relevant, bars, ticks, radius, onRadius, distanceAt });
  element.show = plot.show;
  return element;
}

function readoutOf(distance, counts, relevant, labels) {
  return (
    `distance ${distance} · ${number(counts[distance])} ${labels.all}` +
    (relevant ? ` · ${number(relevant[distance])} ${labels.relevant}` : "")
  );
}

function drawnBars(counts, relevant) {
  const most = Math.max(...counts, 1e-12);
  const bar = (kind) => (count, distance) => {
    if (!count) return null;
    const height = Math.max(Math.sqrt(count / most) * 97, 2);
    return svg("rect", {
      class: kind,
      x: distance + 0.1,
      y: 100 - height,
      width: 0.8,
      height,
      "data-distance": distance,
    });
  };
  return svg(
    "svg",
    { viewBox: `0 0 ${counts.length} 100`, preserveAspectRatio: "none" },
    counts.map(bar("all")),
    relevant && relevant.map(bar("relevant")),
  );
}

function reachMarker(reach, bits) {
  return h("span.reach", {
    title: `The results loaded end at distance ${reach}`,
    style: { left: leftOf(reach + 1, bits) },
  });
}

const leftOf = (place, bits) => `${(100 * place) / (bits + 1)}%`;

function distanceAxis(bits) {
  const step = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].find((each) => bits / each <= 16) ?? bits;
  const ticks = [];
  for (let place = 0; place <= bits; place += step) ticks.push(place);
  return h(
    "div.axis",
    { "aria-hidden": "true" },
    ticks.map((place) =>
      h("span", { text: place, class: (place / step) % 2 ? "odd" : null, style: { left: leftOf(place + 0.5, bits) } }),
    ),
  );
}

function slideBy(plot, { counts, relevant, bars, ticks, radius, onRadius, distanceAt }) {
  const bits = counts.length - 1;
  const handle = h(
    "div.handle",
    {
      role: "slider",
      tabindex: "0",
      "aria-label": "Radius",
      "aria-valuemin": 0,
      "aria-valuemax": bits,
      title: "Radius: drag, click a bar, or use the arrow keys (r); End or a double click shows any distance",
    },
    h("span.grip"),
  );
  plot.append(handle);
  plot.classList.add("slides");
  let shown = radius;
  plot.show = (next) => {
    shown = next === null || next >= bits ? null : next;
    const words = withinWords({ counts, relevant }, shown);
    handle.style.left = leftOf((shown ?? bits) + 1, bits);
    handle.firstChild.textContent = shown === null ? "any" : shown;
    handle.setAttribute("aria-valuenow", shown ?? bits);
    handle.setAttribute("aria-valuetext", `${shown === null ? "any distance" : `radius ${shown}`}, ${words}`);
    for (const tick of ticks.children)
      tick.classList.toggle("covered", Math.abs(Number(tick.textContent) - (shown ?? bits) - 0.5) < bits / 30);
    for (const bar of bars.children)
      bar.classList.toggle("beyond", shown !== null && Number(bar.dataset.distance) > shown);
  };
  const choose = (next, done) => {
    const kept = next >= bits ? null : Math.max(next, 0);
    if (kept !== shown) plot.show(kept);
    onRadius(kept, done);
  };
  let moved = false;
  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    plot.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    moved = true;
    choose(distanceAt(event), false);
  });
  plot.addEventListener(
    "pointermove",
    (event) => moved && distanceAt(event) !== (shown ?? bits) && choose(distanceAt(event), false),
  );
  const end = () => {
    if (moved) onRadius(shown, true);
    moved = false;
  };
  plot.addEventListener("pointerup", end);
  plot.addEventListener("pointercancel", end);
  plot.addEventListener("dblclick", () => choose(bits, true));
  handle.addEventListener("keydown", (event) => {
    const now = shown ?? bits;
    const page = Math.max(Math.round(bits / 8), 1);
    const next = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - page,
      PageUp: now + page,
      Home: 0,
      End: bits,
    }[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(next, true);
  });
  plot.show(radius);
}

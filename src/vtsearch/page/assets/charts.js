// Charts as SVG: curves, histograms and bars in small multiples, with one legend and the values under the pointer.

import { h, number, svg } from "./dom.js";

const WIDE = { width: 480, height: 260 };
const NARROW = { width: 330, height: 200 };
const MARGIN = { top: 10, right: 18, bottom: 36, left: 48 };
const MARKED = 14; // points up to which each has a mark

/** A reading of a chart: four significant digits, and no trailing zeros. */
const reading = (value) => (value === null ? "–" : number(value));

/**
 * A chart block as a drawing with its legend. Series are told apart by colour and by dashes (classes of report.css).
 * @param {{form: "lines"|"steps"|"bars", x: object, y: object, reference: string,
 *   panels: {title: string, line: number|null, series: {name: string, points: number[][], spread: number[]}[]}[]}} block
 * @param {{narrow?: boolean}} [options] narrow: three beside each other
 * @returns {HTMLElement}
 */
export function chart({ form, x, y, panels, reference }, { narrow = panels.length > 2 && panels.length !== 4 } = {}) {
  const names = [...new Set(panels.flatMap((panel) => panel.series.map((each) => each.name)))];
  const keys = names.map((name, place) => legendKey(name, place, form));
  const alone = names.length === 1; // its axis says what it is
  const at = h("output", { class: "at" });
  const rule = reference && h("li", { class: "key" }, swatch("reference", "lines"), h("span", { text: reference }));
  const legend = h("ul", { class: "legend" }, alone ? null : keys.map((key) => key.element), rule, h("li", { class: "where" }, at));
  const size = narrow ? NARROW : WIDE;
  const shared = { form, x: scaleOf(x, panels, 0, form, size), y: scaleOf(y, panels, 1, form, size), names, size, labels: { x, y } };
  const drawn = panels.map((panel) => h("div", { class: "panel" }, panel.title && h("h4", { text: panel.title }),
    drawnPanel(panel, shared, (found) => readOut(found, keys, at, x, panel.title))));
  return h("div", { class: `chart ${form}` }, h("div", { class: `panels ${["", "one", "two", "", "two"][panels.length] ?? ""}` }, drawn), legend);
}

function legendKey(name, place, form) {
  const value = h("output", {});
  return { name, value, element: h("li", { class: "key" }, swatch(`s${place % 8} d${place % 6}`, form), h("span", { text: name }), value) };
}

function swatch(kind, form) {
  const shape = form === "lines" ? svg("path", { class: `line ${kind}`, d: "M1 6h26" })
    : svg("rect", { class: `area ${kind}`, x: 1, y: 1, width: 26, height: 10 });
  return svg("svg", { class: "swatch", viewBox: "0 0 28 12", "aria-hidden": "true" }, shape);
}

function readOut(found, keys, at, x, title) {
  at.textContent = found ? `${title ? `${title}, ` : ""}${x.label} ${reading(found.x)}` : "";
  if (found && keys.length === 1) at.textContent += `: ${reading(found.values[keys[0].name])}`;
  for (const key of keys) key.value.textContent = found && key.name in found.values ? reading(found.values[key.name]) : "";
}

// --------------------------------------------------------------------------------------------------------------------
// Scales

/** Numbers to places along one side of all panels. */
function scaleOf(axis, panels, side, form, size) {
  const values = panels.flatMap((panel) => panel.series.flatMap((each) => each.points.flatMap((point, place) =>
    side === 1 && each.spread.length ? [point[1] - each.spread[place], point[1] + each.spread[place]] : [point[side]])));
  if (side === 1) values.push(...panels.map((panel) => panel.line).filter((line) => line !== null));
  const log = axis.scale === "log";
  let low = axis.low ?? Math.min(...values);
  let high = axis.high ?? Math.max(...values);
  if (!Number.isFinite(low) || !Number.isFinite(high)) [low, high] = [0, 1];
  const binned = side === 0 && form !== "lines";
  if (binned && axis.high === null) high += binWidth(panels);
  if (side === 1 && axis.low === null && low >= 0) low = axis.label.startsWith("mAP") && low > 0.3 ? Math.floor(low * 10) / 10 : 0;
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (axis.low === null ? 1 : 0), high + 1];
  let ticks = axis.ticks.length ? axis.ticks : log ? powers(low, high) : roundTicks(low, high, side === 1 ? 5 : 7);
  if (side === 1 && axis.high === null) ({ high, ticks } = upToTick(low, high, ticks));
  const [from, to] = side === 0 ? [MARGIN.left, size.width - MARGIN.right] : [size.height - MARGIN.bottom, MARGIN.top];
  const part = log ? (value) => Math.log(value / low) / Math.log(high / low) : (value) => (value - low) / (high - low);
  const place = (value) => from + part(value) * (to - from);
  return { low, high, ticks: ticks.filter((tick) => tick >= low - 1e-9 && tick <= high + 1e-9), place, log };
}

const binWidth = (panels) => {
  const points = panels[0]?.series[0]?.points ?? [];
  return points.length > 1 ? points[1][0] - points[0][0] : 1;
};

function roundTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const ticks = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place += 1) ticks.push(Number((place * step).toPrecision(12)));
  return ticks;
}

/** The side of the numbers ends at a tick, so that the highest point is seen. */
function upToTick(low, high, ticks) {
  if (ticks.length < 2 || high <= ticks.at(-1)) return { high: Math.max(high, ticks.at(-1) ?? high), ticks };
  const next = Number((2 * ticks.at(-1) - ticks.at(-2)).toPrecision(12));
  return { high: next, ticks: [...ticks, next] };
}

function powers(low, high) {
  const ticks = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power += 1) ticks.push(10 ** power);
  return ticks;
}

// --------------------------------------------------------------------------------------------------------------------
// Panels

function drawnPanel(panel, shared, onRead) {
  const { form, x, y, names, size, labels } = shared;
  const described = `${panel.title ? `${panel.title}: ` : ""}${labels.y.label} by ${labels.x.label}; ${panel.series.map((each) => each.name).join(", ")}`;
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: size.height - MARGIN.bottom, visibility: "hidden" });
  const marks = panel.series.map((each) => drawnSeries(each, names.indexOf(each.name), { form, x, y, size }));
  const line = panel.line === null ? null : svg("line", {
    class: "line reference", x1: MARGIN.left, x2: size.width - MARGIN.right, y1: y.place(panel.line), y2: y.place(panel.line) });
  const element = svg("svg", { class: "plot", viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": described },
    drawnAxes(shared), line, marks, cursor);
  element.addEventListener("pointermove", (event) => {
    const box = element.getBoundingClientRect();
    const found = nearestPoint(panel, x, ((event.clientX - box.left) / box.width) * size.width, form);
    if (!found) return;
    const place = x.place(found.x) + (form === "lines" ? 0 : (x.place(found.x + binWidth([panel])) - x.place(found.x)) / 2);
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, place);
    cursor.setAttribute("visibility", "visible");
    onRead(found);
  });
  element.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    onRead(null);
  });
  return element;
}

function drawnAxes({ x, y, size, labels }) {
  const [left, right, top, bottom] = [MARGIN.left, size.width - MARGIN.right, MARGIN.top, size.height - MARGIN.bottom];
  const across = y.ticks.map((tick) => [
    svg("line", { class: "rule", x1: left, x2: right, y1: y.place(tick), y2: y.place(tick) }),
    svg("text", { class: "tick", x: left - 6, y: y.place(tick) + 4, "text-anchor": "end" }, tickText(tick)),
  ]);
  const along = x.ticks.map((tick) => [
    svg("line", { class: "notch", x1: x.place(tick), x2: x.place(tick), y1: bottom, y2: bottom + 4 }),
    svg("text", { class: "tick", x: x.place(tick), y: bottom + 16, "text-anchor": "middle" }, tickText(tick)),
  ]);
  return [across, along, svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
    svg("text", { class: "name", x: (left + right) / 2, y: size.height - 4, "text-anchor": "middle" }, labels.x.label),
    svg("text", { class: "name", x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)` }, labels.y.label)];
}

const tickText = (tick) => (Math.abs(tick) >= 1000 ? number(tick) : String(Number(tick.toPrecision(6))));

function drawnSeries({ points, spread }, place, { form, x, y }) {
  const kind = `s${place % 8} d${place % 6}`;
  const known = points.filter((point) => point[0] !== null && point[1] !== null);
  if (form === "lines") return [drawnCurve(known, kind, x, y), spread.length ? whiskers(points, spread, kind, x, y) : null];
  const width = known.length > 1 ? known[1][0] - known[0][0] : 1;
  if (form === "bars") {
    return known.map(([at, value]) => svg("rect", {
      class: `area ${kind}`, x: x.place(at) + 0.5, width: Math.max(x.place(at + width) - x.place(at) - 1, 0.75),
      y: y.place(value), height: Math.max(y.place(y.low) - y.place(value), 0) }));
  }
  const steps = known.map(([at, value]) => `V${tenth(y.place(value))}H${tenth(x.place(at + width))}`).join("");
  const start = known.length ? `M${tenth(x.place(known[0][0]))} ${tenth(y.place(y.low))}` : "M0 0";
  return svg("path", { class: `area ${kind}`, d: `${start}${steps}V${tenth(y.place(y.low))}` });
}

const tenth = (value) => Math.round(value * 10) / 10;

function drawnCurve(points, kind, x, y) {
  const places = points.map(([at, value]) => [tenth(x.place(at)), tenth(y.place(value))]);
  const marks = places.length <= MARKED ? places.map(([cx, cy]) => svg("circle", { class: `mark ${kind}`, cx, cy, r: 2.6 })) : null;
  return [svg("path", { class: `line ${kind}`, d: places.map(([cx, cy], at) => `${at ? "L" : "M"}${cx} ${cy}`).join("") }), marks];
}

function whiskers(points, spread, kind, x, y) {
  return points.map(([at, value], place) => {
    const [middle, top, bottom] = [tenth(x.place(at)), tenth(y.place(value + spread[place])), tenth(y.place(value - spread[place]))];
    return svg("path", { class: `whisker ${kind}`, d: `M${middle} ${top}V${bottom}M${middle - 4} ${top}h8M${middle - 4} ${bottom}h8` });
  });
}

/** The values of all series at the point that is nearest to a place along the axis. */
function nearestPoint(panel, x, place, form) {
  const distance = (point) => Math.abs((form === "lines" ? x.place(point[0]) : x.place(point[0] + binWidth([panel]) / 2)) - place);
  const closest = panel.series.map((each) => [each.name, each.points.reduce((one, other) => (one && distance(one) <= distance(other) ? one : other), null)]);
  const known = closest.filter(([, point]) => point);
  if (!known.length) return null;
  const at = known.reduce((one, other) => (distance(one[1]) <= distance(other[1]) ? one : other))[1][0];
  const values = panel.series.map((each) => [each.name, form === "lines" ? valueAt(each.points, at) : each.points.find((point) => point[0] === at)?.[1] ?? null]);
  return { x: at, values: Object.fromEntries(values.filter(([, value]) => value !== null)) };
}

/** The height of a curve at a place along the axis, on the line between two points; null beyond its ends. */
function valueAt(points, at) {
  for (const [place, [x, y]] of points.entries()) {
    if (x === at) return y;
    const [before, height] = points[place - 1] ?? [x, y];
    if ((before < at && at < x) || (x < at && at < before)) return height + ((y - height) * (at - before)) / (x - before);
  }
  return null;
}

// --------------------------------------------------------------------------------------------------------------------
// Shades

/**
 * Numbers from -1 to 1 as a square of shades.
 * @param {{names: string[], values: number[][]}} block @returns {HTMLElement}
 */
export function heat({ names, values }) {
  const count = names.length;
  const cells = values.flatMap((row, at) => row.map((value, column) => Math.abs(value) < 0.02 ? null : svg("rect", {
    class: value < 0 ? "shade minus" : "shade plus", x: column, y: at, width: 1, height: 1, "fill-opacity": Math.abs(value) })));
  const at = h("output", { class: "at" });
  const square = svg("svg", { class: "heat", viewBox: `0 0 ${count} ${count}`, role: "img", "aria-label": `Shades of ${count} by ${count} numbers` },
    svg("rect", { class: "ground", width: count, height: count }), cells);
  square.addEventListener("pointermove", (event) => {
    const box = square.getBoundingClientRect();
    const [column, row] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((part) => Math.min(Math.max(Math.floor(part * count), 0), count - 1));
    at.textContent = `${names[row]}, ${names[column]}: ${reading(values[row][column])}`;
  });
  square.addEventListener("pointerleave", () => (at.textContent = ""));
  const key = (kind, text) => h("li", { class: "key" }, svg("svg", { class: "swatch", viewBox: "0 0 28 12", "aria-hidden": "true" },
    svg("rect", { class: `shade ${kind}`, x: 1, y: 1, width: 26, height: 10 })), h("span", { text }));
  return h("div", { class: "chart" }, square, h("ul", { class: "legend" }, key("plus", "r = 1"), key("minus", "r = −1"), h("li", { class: "where" }, at)));
}

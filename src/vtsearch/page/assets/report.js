// A report document as a page: sections of tables, figures and pictures, each with its numbers for other programs.

import { chart, heat } from "./charts.js";
import { h } from "./dom.js";
import { cellText, csvOf, exportButtons, latexOf, markdownOf, numbersOf, rowsOf } from "./exports.js";
import { matrix } from "./matrix.js";
import { tile } from "./tiles.js";

const CSV = { label: "numbers", suffix: "csv", hint: "Save and copy the numbers as CSV" };
const MARKDOWN = { label: "Markdown", suffix: "md", hint: "Save and copy the table as Markdown" };
const TEX = { label: "LaTeX", suffix: "tex", hint: "Save and copy the table as LaTeX (booktabs)" };

const BLOCKS = { table: tableBlock, chart: chartBlock, heat: heatBlock, confusion: confusionBlock, pictures: picturesBlock,
  facts: factsBlock, text: textBlock, listing: listingBlock };

/** The whole page. @param {object} report the document @returns {HTMLElement} */
export function reportPage(report) {
  const sections = report.sections.map((section, place) => h("section", { id: `s${place + 1}` }, h("h2", { text: section.title }),
    section.lead && h("p", { class: "lead", text: section.lead }),
    h("div", { class: "blocks" }, section.blocks.map((block) => BLOCKS[block.kind](block, report, inThirds(section))))));
  const contents = report.sections.map((section, place) => h("li", {}, h("a", { href: `#s${place + 1}`, text: section.title })));
  return h("div", { class: "report" }, h("header", {}, h("h1", { text: report.title }), h("p", { class: "lead", text: report.lead }),
    h("nav", { "aria-label": "Sections" }, h("ul", {}, contents))), h("main", {}, sections));
}

/** Whether the charts of a section stand three beside each other. */
const inThirds = ({ blocks }) => blocks.length === 3 && blocks.every((each) => each.kind === "chart" && each.panels.length === 1);

/** A heading with buttons, the content, and the note on what it depends on. */
function blockFigure(kind, { title, note, folded }, exports, ...content) {
  const inside = h("div", { class: "content" }, content, note && h("p", { class: "note", text: note }));
  const element = h("figure", { class: kind });
  const heading = folded ? h("h3", {}, foldButton(element, title)) : title && h("h3", { text: title });
  element.classList.toggle("folded", Boolean(folded));
  element.append(h("div", { class: "top" }, heading || h("span"), exports.length ? exportButtons(title, exports) : null), inside);
  return element;
}

function foldButton(element, title) {
  const button = h("button", { class: "fold", type: "button", text: title, "aria-expanded": "false" });
  button.addEventListener("click", () => {
    const closed = element.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!closed));
  });
  return button;
}

function tableBlock(table) {
  const kind = (place) => (place < table.texts ? "word" : "number");
  const head = h("tr", {}, table.head.map((name, place) => h("th", { scope: "col", class: kind(place), text: name })));
  const rows = table.rows.map((row) => row.group !== undefined
    ? h("tr", { class: "group" }, h("th", { colspan: table.head.length, scope: "colgroup", text: row.group }))
    : h("tr", {}, row.map((cell, place) => tableCell(cell, place, kind(place)))));
  const exports = [{ ...MARKDOWN, text: () => markdownOf(table) }, { ...TEX, text: () => latexOf(table) }, { ...CSV, label: "CSV", text: () => csvOf(rowsOf(table)) }];
  const element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.title }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
  return blockFigure(table.narrow ? "table narrow" : "table", table, exports, element);
}

function tableCell(cell, place, kind) {
  const text = h(cell.strong ? "strong" : "span", { text: cellText(cell) });
  return h(place ? "td" : "th", { class: kind, scope: place ? null : "row" }, text, cell.detail && h("small", { text: cell.detail }));
}

function chartBlock(content, _, third) {
  const kind = content.panels.length > 1 ? "figure" : `figure half${third ? " third" : ""}`;
  return blockFigure(kind, content, [{ ...CSV, text: () => csvOf(numbersOf(content)) }], chart(content, third ? { narrow: true } : {}));
}

const squareCsv = (names, values) => csvOf([["", ...names], ...values.map((row, place) => [names[place], ...row])]);

function heatBlock(content) {
  return blockFigure("figure half", content, [{ ...CSV, text: () => squareCsv(content.names, content.values) }], heat(content));
}

function confusionBlock(content) {
  return blockFigure(content.names.length > 12 ? "figure" : "figure narrow", content, [{ ...CSV, text: () => squareCsv(content.names, content.counts) }], matrix(content));
}

function picturesBlock(content, { pictures }) {
  const shown = (item) => ({ ...item, thumbnail: item.picture === null ? null : pictures[item.picture], image: null });
  const rows = content.rows.map(({ query, answers, score }) => h("li", { class: "answered" },
    h("div", { class: "asked" }, tile(shown(query), { eager: true, title: query.id }),
      h("p", {}, h("strong", { text: query.names.join(", ") || query.id }), score && h("span", { text: score }), query.names.length > 0 && h("small", { text: query.id, title: query.id }))),
    h("ol", { class: "answers" }, answers.map((item) => h("li", {}, tile(shown(item), { eager: true, title: [item.id, ...item.names].join(" · ") }),
      h("small", { text: item.distance, "aria-hidden": "true" }))))));
  const lines = content.rows.flatMap(({ query, answers }) => answers.map((item, place) =>
    [query.id, query.names.join(" "), place + 1, item.id, item.names.join(" "), item.distance, item.relevant === null ? "" : Number(item.relevant)]));
  const text = () => csvOf([["query", "query classes", "rank", "item", "classes", "distance", "relevant"], ...lines]);
  return blockFigure("pictured", content, [{ ...CSV, text }], h("ol", { class: "rows" }, rows));
}

function factsBlock(content) {
  const pairs = content.pairs.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value })));
  return blockFigure("facts", content, [], h("dl", {}, pairs));
}

function textBlock({ text, tone }) {
  return h("p", { class: tone ? `words ${tone}` : "words", text });
}

function listingBlock(content) {
  const exports = [{ label: "copy", suffix: "txt", hint: "Save and copy these lines", text: () => `${content.text}\n` }];
  return blockFigure("listing", content, exports, h("pre", { tabindex: "0" }, h("code", { text: content.text })));
}

const reportData = JSON.parse(document.getElementById("data").textContent);
document.getElementById("app").replaceChildren(reportPage(reportData));

// A heat map of counts as a table.

import { h, several } from "./dom.js";
import { roving } from "./roving.js";

/**
 * A class x class matrix: rows are classes of queries, columns classes of what was found; darker is more.
 * @param {{names: string[], counts: number[][], onCell?: (row: number, column: number, count: number) => void,
 *   chosen?: [number, number]|null, caption?: string}} options
 * @returns {HTMLElement}
 */
export function matrix({
  names,
  counts,
  onCell,
  chosen = null,
  caption = "Rows: class of the query. Columns: class of the results.",
}) {
  const sums = counts.map((row) => row.reduce((one, other) => one + other, 0));
  const size = names.length > 24 ? "tiny" : names.length > 12 ? "small" : "";
  const head = h(
    "tr",
    h("td.corner"),
    names.map((name) => h("th", { scope: "col" }, h("span", { text: name, title: name }))),
  );
  const rows = counts.map((row, at) =>
    h(
      "tr",
      h("th", { scope: "row", text: names[at], title: names[at] }),
      row.map((count, column) =>
        cell({ names, row: at, column, count, share: sums[at] ? count / sums[at] : 0, onCell, chosen }),
      ),
    ),
  );
  const table = h("table", { class: `matrix ${size}` }, h("caption", caption), h("thead", head), h("tbody", rows));
  if (onCell) roving(table, "button").refresh();
  return h("div.scroll", { tabindex: onCell ? null : "0", role: "region", "aria-label": "Matrix of classes" }, table);
}

function cell({ names, row, column, count, share, onCell, chosen }) {
  const text = share >= 0.005 ? String(Math.round(100 * share)) : "";
  const words = `${names[row]} finds ${names[column]}: ${text || (count ? "less than 1" : "0")} %, ${several(count, "result")}`;
  const isChosen = chosen && chosen[0] === row && chosen[1] === column;
  const level = Math.min(Math.ceil(Math.sqrt(share) * 8), 8);
  const kind = `${row === column ? "same" : "differ"} level${count ? level : 0}`;
  if (!onCell || !count) return h("td", { class: kind, title: words, text });
  return h(
    "td",
    { class: kind },
    h("button", {
      text,
      title: words,
      "aria-label": words,
      "aria-pressed": isChosen ? "true" : "false",
      onclick: () => onCell(row, column, count),
    }),
  );
}

// Tables and figures as CSV, Markdown and LaTeX; saved and copied by one click, from a file on disk too.

import { h } from "./dom.js";

/** A cell's text; what stands below it is left out. @param {string|{text: string}} cell @returns {string} */
export const cellText = (cell) => (typeof cell === "string" ? cell : cell.text);

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;
const oneLine = (text) => String(text).replace(CONTROLS, " ").trim();

/**
 * Rows as CSV. A text that a spreadsheet would run as a formula gets an apostrophe.
 * @param {(string|number|null)[][]} rows @returns {string}
 */
export function csvOf(rows) {
  const value = (each) => {
    let text = each === null || each === undefined ? "" : String(each);
    if (/^[=@\t\r]/.test(text) || (/^[+-]/.test(text) && !/^[+-][\d.]/.test(text))) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(value).join(",") + "\n").join("");
}

/** A table block as rows of texts; a line over a group becomes a row of one text. @returns {string[][]} */
export function rowsOf({ head, rows }) {
  return [head, ...rows.map((row) => (row.group === undefined ? row.map(cellText) : [row.group]))];
}

/** A chart block as rows of numbers. @returns {(string|number)[][]} */
export function numbersOf({ x, y, panels }) {
  const spread = panels.some((panel) => panel.series.some((each) => each.spread.length));
  const head = ["panel", "series", x.label, y.label, ...(spread ? ["deviation"] : [])];
  const rows = panels.flatMap((panel) => panel.series.flatMap((each) => each.points.map(([at, value], place) =>
    [panel.title, each.name, at, value, ...(spread ? [each.spread[place] ?? ""] : [])])));
  return [head, ...rows];
}

const markdownText = (text) => oneLine(text).replace(/[\\|<[\]*`]/g, "\\$&");

/** A table block as Markdown, its note below. @returns {string} */
export function markdownOf(table) {
  const { head, rows, texts, note } = table;
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const body = rows.map((row) => row.group === undefined
    ? line(row.map((cell) => (cell.strong ? `**${markdownText(cell.text)}**` : markdownText(cellText(cell)))))
    : line([`*${markdownText(row.group)}*`, ...head.slice(1).map(() => "")]));
  const rule = line(head.map((_, place) => (place < texts ? "---" : "---:")));
  return [line(head.map(markdownText)), rule, ...body].join("\n") + (note ? `\n\n*${markdownText(note)}*` : "") + "\n";
}

const LATEX = {
  "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
  "|": "\\textbar{}", '"': "\\textquotedbl{}", "±": "$\\pm$", "−": "$-$", "≤": "$\\le$", "≥": "$\\ge$", "–": "--", "…": "\\ldots{}",
};

/** Any text for LaTeX: nothing in it is a command. @param {string} text @returns {string} */
export function latexText(text) {
  return oneLine(text).replace(/[\\~^<>|"±−≤≥–…#$%&_{}]/g, (sign) => LATEX[sign] ?? `\\${sign}`);
}

/** A table block as LaTeX with booktabs, its note in the caption. @returns {string} */
export function latexOf({ title, head, rows, texts, note }) {
  const line = (cells) => `${cells.join(" & ")} \\\\`;
  const body = rows.flatMap((row) => row.group === undefined
    ? [line(row.map((cell) => (cell.strong ? `\\textbf{${latexText(cell.text)}}` : latexText(cellText(cell)))))]
    : ["\\midrule", `\\multicolumn{${head.length}}{l}{\\emph{${latexText(row.group)}}} \\\\`]);
  return [
    "% \\usepackage{booktabs}",
    "\\begin{table}",
    "\\centering",
    `\\caption{${latexText(title)}.${note ? ` ${latexText(note)}` : ""}}`,
    `\\begin{tabular}{${head.map((_, place) => (place < texts ? "l" : "r")).join("")}}`,
    "\\toprule",
    line(head.map(latexText)),
    "\\midrule",
    ...body,
    "\\bottomrule",
    "\\end{tabular}",
    "\\end{table}",
    "",
  ].join("\n");
}

/** A file name of a title. @param {string} title @param {string} suffix @returns {string} */
export function fileName(title, suffix) {
  const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60);
  return `${name || "report"}.${suffix}`;
}

const KINDS = { csv: "text/csv", md: "text/markdown", tex: "text/x-tex", txt: "text/plain" };

/**
 * Buttons that save and copy texts, each by one click.
 * @param {string} title @param {{label: string, suffix: string, hint: string, text: () => string}[]} exports
 * @returns {HTMLElement}
 */
export function exportButtons(title, exports) {
  const said = h("output", { class: "said", role: "status" });
  const button = ({ label, suffix, hint, text }) => h("button", {
    class: "export", type: "button", text: label, title: hint, "aria-label": `${label}: ${title}`,
    on: { click: async () => {
      const name = fileName(title, suffix);
      saveText(name, text(), KINDS[suffix]);
      said.textContent = (await copyText(text())) ? `${name}: saved and copied` : `${name}: saved`;
    } },
  });
  return h("span", { class: "exports" }, exports.map(button), said);
}

function saveText(name, text, kind) {
  const address = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

// Where a page may not use the clipboard, the text of a field may still be copied.
function copyBySelection(text) {
  const field = h("textarea", { class: "offscreen", "aria-hidden": "true", value: text });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

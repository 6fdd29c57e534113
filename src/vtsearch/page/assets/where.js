// The filter panel's choices as one condition in SQL.

const quoted = (text) => `'${String(text).replaceAll("'", "''")}'`;
const literal = (value) => (typeof value === "number" ? String(value) : quoted(value));
const named = (column) => `"${column.replaceAll('"', '""')}"`;

/**
 * The condition that a state asks for, or null.
 * @param {import("./state.js").State} state @param {{labels: string}} info the index
 * @param {string} [without] a part to leave out: "labels" or the name of a column
 * @returns {string|null}
 */
export function whereOf(state, info, without = "") {
  const parts = [];
  if (state.labels.length && without !== "labels" && info.labels !== "none")
    parts.push(labelsIn(state.labels, info.labels));
  for (const [column, [least, most]] of Object.entries(state.ranges)) {
    if (column === without || !Object.hasOwn(info.columns, column)) continue;
    if (least !== null) parts.push(`${named(column)} >= ${literal(least)}`);
    if (most !== null) parts.push(`${named(column)} <= ${literal(most)}`);
  }
  for (const [column, values] of Object.entries(state.values)) {
    if (column === without || !values.length || !Object.hasOwn(info.columns, column)) continue;
    parts.push(`${named(column)} IN (${values.map(literal).join(", ")})`);
  }
  if (state.where.trim()) parts.push(parts.length ? `(${state.where.trim()})` : state.where.trim());
  return parts.length ? parts.join(" AND ") : null;
}

function labelsIn(labels, kind) {
  if (kind === "single") return labels.length === 1 ? `label = ${labels[0]}` : `label IN (${labels.join(", ")})`;
  const parts = labels.map((label) => `has_label(labels, ${label})`);
  return parts.length === 1 ? parts[0] : `(${parts.join(" OR ")})`;
}

/**
 * How many parts a filter has.
 * @param {import("./state.js").State} state @returns {number}
 */
export function filterSize(state) {
  const lists = Object.values(state.values).filter((values) => values.length);
  return state.labels.length + Object.keys(state.ranges).length + lists.length + (state.where.trim() ? 1 : 0);
}

/** A state without filter. */
export const NO_FILTER = { labels: [], ranges: {}, values: {}, where: "" };

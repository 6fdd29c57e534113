// The filter: classes with counts, columns of metadata, and SQL for the rest.

import { fill, h, number } from "./dom.js";
import { NO_FILTER, filterSize, whereOf } from "./where.js";

const FEW = 12; // values that are shown as a list; columns with more become a range

/**
 * The filter panel.
 * @param {object} page
 * @returns {HTMLElement} with `show(state, info)` and `complain(sentence | null)`
 */
export function filterPanel(page) {
  const body = h("div.facets");
  const sql = h("textarea", {
    rows: "2",
    spellcheck: "false",
    autocomplete: "off",
    placeholder: "SQL on id, label and columns",
    title: "A condition in SQL; Enter applies it (w)",
    "aria-label": "SQL condition",
  });
  const complaint = h("p.complaint", { role: "alert", hidden: true });
  const clear = h("button.link", {
    text: "clear",
    title: "Remove the whole filter",
    hidden: true,
    onclick: () => page.go(structuredClone(NO_FILTER)),
  });
  const element = h(
    "section.filter",
    { "aria-label": "Filter" },
    h("h2", "Filter", clear),
    body,
    h("label.sql", h("span", "where"), sql),
    complaint,
  );
  const apply = () => sql.value.trim() !== page.state.where && page.go({ where: sql.value.trim() });
  sql.addEventListener("change", apply);
  sql.addEventListener("keydown", (event) => {
    if (event.key === "Escape") sql.blur();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    apply();
  });
  let turn = 0;
  let drawn = null; // what the panel shows: another query leaves it as it is
  element.show = async (state, info) => {
    const mine = ++turn;
    if (document.activeElement !== sql) sql.value = state.where;
    clear.hidden = filterSize(state) === 0;
    let counts;
    try {
      counts = await countsOf(page, state, info);
    } catch (error) {
      if (mine === turn && !body.children.length) fill(body, h("p.quiet", error.detail ?? error.message));
      return;
    }
    const { labels, ranges, values, where } = state;
    const key = JSON.stringify([info.name, info.generation, labels, ranges, values, where]);
    if (mine !== turn || key === drawn) return;
    redraw(body, page, state, info, counts);
    drawn = key;
  };
  element.complain = (sentence) => {
    complaint.hidden = sentence === null;
    complaint.textContent = sentence ?? "";
    sql.setAttribute("aria-invalid", String(sentence !== null));
  };
  element.focusSql = () => sql.focus();
  return element;
}

const FACETS = new Map();

function facetsOf(page, info, where) {
  const key = JSON.stringify([info.name, info.generation, where]);
  if (!FACETS.has(key)) {
    const answer = page.answer({ what: "facets", index: info.name, where });
    answer.catch(() => FACETS.delete(key));
    FACETS.set(key, answer);
    if (FACETS.size > 24) FACETS.delete(FACETS.keys().next().value);
  }
  return FACETS.get(key);
}

/** Facets of all items, and for each part that filters the counts that the other parts leave. */
async function countsOf(page, state, info) {
  const parts = ["labels", ...Object.keys(state.values).filter((column) => state.values[column].length)];
  const [all, left, ...others] = await Promise.all([
    facetsOf(page, info, null),
    facetsOf(page, info, whereOf(state, info)).catch(() => null),
    ...parts.map((part) => facetsOf(page, info, whereOf(state, info, part)).catch(() => null)),
  ]);
  return { all, of: (part) => others[parts.indexOf(part)] ?? left ?? all };
}

function redraw(body, page, state, info, { all, of }) {
  const scrolls = new Map(
    [...body.querySelectorAll("[data-facet] ul")].map((list) => [list.parentElement.dataset.facet, list.scrollTop]),
  );
  const focused = document.activeElement?.dataset?.value;
  const typed = body.querySelector(".find")?.value ?? "";
  const left = new Map(of("labels").labels.map(({ label, count }) => [label, count]));
  const labels =
    all.labels.length > 0 &&
    choices("label", {
      rows: all.labels.map(({ label, name }) => ({ value: label, name, count: left.get(label) ?? 0 })),
      chosen: state.labels,
      typed,
      choose: (labels) => page.go({ labels }),
    });
  fill(
    body,
    labels,
    all.columns.map((column) => columnFacet(column, of(column.name), all.sampled ?? all.items, state, page)),
  );
  for (const [facet, top] of scrolls) {
    const list = body.querySelector(`[data-facet="${CSS.escape(facet)}"] ul`);
    if (list && top) list.scrollTop = top;
  }
  if (focused !== undefined)
    [...body.querySelectorAll("[data-value]")]
      .find((each) => each.dataset.value === focused)
      ?.focus({ preventScroll: true });
}

function columnFacet(column, left, items, state, page) {
  const { name, type, least, most, distinct, values } = column;
  if (least === null || (distinct === 1 && !column.missing)) return null;
  const isNumber = type !== "TEXT" && typeof least === "number" && typeof most === "number";
  if (isNumber && (distinct === null || distinct > FEW))
    return range(column, state.ranges[name] ?? [null, null], (bounds) => {
      const { [name]: _, ...ranges } = state.ranges;
      page.go({ ranges: bounds[0] === null && bounds[1] === null ? ranges : { ...ranges, [name]: bounds } });
    });
  if (!isNumber && distinct > FEW && 2 * distinct > items) return null; // as good as an id
  const counts = new Map(
    (left.columns.find((each) => each.name === name)?.values ?? []).map(({ value, count }) => [value, count]),
  );
  return choices(name, {
    rows: values.map(({ value }) => ({
      value,
      name: typeof value === "number" ? number(value) : value,
      count: counts.get(value) ?? 0,
    })),
    chosen: state.values[name] ?? [],
    typed: "",
    choose: (chosen) => {
      const { [name]: _, ...others } = state.values;
      page.go({ values: chosen.length ? { ...others, [name]: chosen } : others });
    },
  });
}

function choices(title, { rows, chosen, typed, choose }) {
  const most = Math.max(...rows.map(({ count }) => count), 1);
  const list = h(
    "ul",
    { role: "list" },
    rows.map(({ value, name, count }) => choice(title, { value, name, count, most, chosen, choose })),
  );
  const find =
    rows.length > FEW &&
    h("input.find", { type: "search", placeholder: `Find a ${title}`, "aria-label": `Find a ${title}`, value: typed });
  const narrow = () => {
    const words = find.value.trim().toLowerCase();
    for (const row of list.children) row.hidden = !row.textContent.toLowerCase().includes(words);
  };
  if (find) {
    find.addEventListener("input", narrow);
    if (typed) narrow();
  }
  return h("fieldset", { "data-facet": title }, h("legend", title), find, list);
}

function choice(title, { value, name, count, most, chosen, choose }) {
  const box = h("input", {
    type: "checkbox",
    "data-value": `${title} ${value}`,
    onchange: () => choose(box.checked ? [...chosen, value] : chosen.filter((each) => each !== value)),
  });
  box.checked = chosen.includes(value);
  return h(
    "li",
    h(
      "label",
      { class: count ? "choice" : "choice none", title: name },
      box,
      h("span.text", name),
      h("span.count", number(count)),
      h("span.share", { style: { "--share": count / most } }),
    ),
  );
}

function range({ name, type, least, most }, [low, high], choose) {
  const step = type === "INTEGER" ? Math.max(1, Math.floor((most - least) / 1000)) : (most - least) / 1000;
  const slider = (value, word) =>
    h("input", {
      type: "range",
      min: least,
      max: most,
      step: type === "INTEGER" ? step : "any",
      value,
      "aria-label": `${word} ${name}`,
      title: `${word} ${name}`,
      "data-value": `${name} ${word}`,
    });
  const from = slider(low ?? least, "least");
  const to = slider(high ?? most, "most");
  const words = h("span.count");
  const track = h("div.range", h("span.rail"), from, to);
  const show = () => {
    const [first, last] = [from, to].map((each) => Number(each.value));
    words.textContent = `${number(round(first, type))} – ${number(round(last, type))}`;
    track.style.setProperty("--from", (first - least) / (most - least));
    track.style.setProperty("--to", (last - least) / (most - least));
  };
  from.addEventListener("input", () => (Number(from.value) > Number(to.value) && (from.value = to.value), show()));
  to.addEventListener("input", () => (Number(to.value) < Number(from.value) && (to.value = from.value), show()));
  const end = () =>
    choose([
      Number(from.value) <= least ? null : round(Number(from.value), type),
      Number(to.value) >= most ? null : round(Number(to.value), type),
    ]);
  from.addEventListener("change", end);
  to.addEventListener("change", end);
  show();
  return h("fieldset", { "data-facet": name }, h("legend", name, words), track);
}

const round = (value, type) => (type === "INTEGER" ? Math.round(value) : Number(value.toPrecision(6)));

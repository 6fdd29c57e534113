// Compare: two indexes, one query, two grids.

import { fill, h, percent, several, svg } from "./dom.js";
import { emptyNotice, errorNotice, newest, say, skeleton } from "./notices.js";
import { requestOf } from "./searching.js";
import { grid, itemOf, tieGroups } from "./tiles.js";

/** The room of two indexes. @param {object} page @param {HTMLElement[]} side shared with Neighbours */
export function compareRoom(page, { strip, filter, side }) {
  const head = h("div.answers");
  const columns = [h("section.column"), h("section.column")];
  const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
  const both = h("div.columns", columns, lines);
  const main = h("div.room.compare", head, both);
  const run = newest(main);
  const view = { page, head, columns, lines, main, both, strip, grids: [] };

  function show(state, { file = null } = {}) {
    const one = page.info();
    const other = page.other();
    filter.show(state, one);
    if (!other) return alone(view);
    const requests = [one, other].map((info) =>
      requestOf({ ...state, ...(info === one ? {} : { code: null }) }, info, page.service.limits),
    );
    const picture = file ?? page.searcher.uploaded(state.code)?.file ?? null;
    if (!picture && state.id === null) return beginCompare(view, state);
    if (!view.grids.length) for (const column of columns) fill(column, skeleton(24));
    const asked = [one, other].map((info, place) => {
      const blank = {
        index: info.name,
        k: Math.min(state.k, page.service.limits.k),
        where: requests[place]?.where ?? null,
        exclude_self: !state.itself,
        exclude: state.exclude,
      };
      return picture ? page.searcher.upload(picture, blank, info) : page.searcher.search(requests[place], info);
    });
    return run(
      Promise.all(asked),
      (answers) => {
        filter.complain(null);
        if (file) return page.go({ id: null, code: answers[0].query.code, exclude: [] });
        return drawBoth(view, answers, [one, other]);
      },
      (error) => {
        view.grids = [];
        fill(head, choosers(view));
        fill(columns[0], errorNotice(error, [{ text: "Try again", run: () => page.again(file) }]));
        fill(columns[1]);
      },
    );
  }
  const keys = [
    { key: "j", title: "next result", run: () => view.grids[0]?.rove.move(1) },
    { key: "k", title: "result before", run: () => view.grids[0]?.rove.move(-1) },
    { key: "Enter", title: "search with the result in focus" },
    { key: "v", title: "the index beside", run: () => head.querySelector("select")?.focus() },
  ];
  return {
    side: side.slice(0, 2),
    main,
    show,
    keys,
    hint: "Point at a result: a line joins it to the same one on the other side · Enter searches with it",
  };
}

function alone(view) {
  fill(view.head);
  view.grids = [];
  fill(
    view.columns[0],
    emptyNotice("One index is served", "Serve two to compare them: vtsearch serve photos-64 photos-32"),
  );
  fill(view.columns[1]);
  view.both.classList.add("single");
}

function beginCompare(view, state) {
  view.grids = [];
  view.strip.empty();
  view.both.classList.add("single");
  fill(view.head, choosers(view));
  fill(
    view.columns[0],
    state.code === null
      ? emptyNotice(
          "No query to compare with",
          "Drop a picture, or choose an item under Neighbours; both indexes answer it here.",
        )
      : emptyNotice(
          "A code belongs to one model",
          "The code of one index says nothing to another. Drop the picture again, or choose an item.",
        ),
  );
  fill(view.columns[1]);
}

function choosers({ page }) {
  const others = page.service.indexes.filter((each) => each.name !== page.info().name);
  const select = h(
    "select",
    { title: "The index beside (v)", onchange: () => page.go({ other: select.value }) },
    others.map(({ name }) => h("option", { value: name, text: name, selected: name === page.other()?.name })),
  );
  return h("div.controls", h("label", `${page.info().name} beside`, select));
}

function drawBoth(view, answers, infos) {
  const { page, head, columns, strip } = view;
  view.both.classList.remove("single");
  strip.show(answers[0]);
  const sets = answers.map(({ results }) => new Set(results.map(({ id }) => id)));
  const shared = [...sets[0]].filter((id) => sets[1].has(id)).length;
  const least = Math.max(Math.min(sets[0].size, sets[1].size), 1);
  const bar = h(
    "div.shared",
    { role: "img", "aria-label": `${shared} of ${least} results are shared` },
    h("span", { style: { "--share": shared / least } }),
  );
  const controls = choosers(view);
  controls.append(
    bar,
    h("p.summary", h("strong", `${shared} of ${least} results in both`), ` · ${percent(shared / least)}`),
  );
  fill(head, controls);
  view.grids = answers.map((answer, place) =>
    grid(tieGroups(answer.results, answer.histogram), {
      hrefOf: page.hrefOfItem,
      onOpen: (item, event) => page.open(item, event),
      onPoint: (item, element) => join(view, item, element, place),
      onMore: ({ distance }) => page.showAll(answer, distance),
    }),
  );
  columns.forEach((column, place) => fill(column, columnHead(page, answers[place], infos[place]), view.grids[place]));
  say(`${shared} of ${least} results in both`);
}

function columnHead(page, { results, timings }, info) {
  const known = results.filter(({ relevant }) => relevant !== null);
  const right = known.filter(({ relevant }) => relevant).length;
  const map = h("span.quiet", info.labels === "none" ? "" : "mAP …");
  if (info.labels !== "none")
    mapOf(page, info).then(
      (words) => (map.textContent = words),
      () => (map.textContent = ""),
    );
  return h(
    "header",
    h("h2", info.name),
    h(
      "p",
      h("span", several(info.bits, "bit")),
      known.length > 0 && h("span", `${right} of ${known.length} relevant`),
      h("span", `ranking ${timings.ranking.toFixed(1)} ms`),
      map,
    ),
  );
}

const MAPS = new Map();

function mapOf(page, info) {
  const key = `${info.name} ${info.generation}`;
  if (!MAPS.has(key)) {
    const asked = page.answer({ what: "mistakes", index: info.name, queries: null, class: null, offset: 0, limit: 1 });
    asked.catch(() => MAPS.delete(key));
    MAPS.set(
      key,
      asked.then(({ map }) => `mAP ${map.expected.toFixed(3)} (${map.low.toFixed(3)} to ${map.high.toFixed(3)})`),
    );
  }
  return MAPS.get(key);
}

/** A thin line from a result to the same item on the other side. */
function join(view, item, element, place) {
  const { lines, both, grids, page, strip } = view;
  for (const each of both.querySelectorAll(".twin")) each.classList.remove("twin");
  fill(lines);
  page.point(item, element);
  strip.compare(place === 0 && item ? item.code : null);
  const twin = item && [...grids[1 - place].querySelectorAll(".tile")].find((each) => itemOf(each)?.id === item.id);
  if (!twin) return;
  const origin = both.getBoundingClientRect();
  const [from, to] = [element, twin].map((each) => each.getBoundingClientRect());
  const [left, right] = from.left < to.left ? [from, to] : [to, from];
  for (const each of [element, twin]) each.classList.add("twin");
  lines.setAttribute("viewBox", `0 0 ${origin.width} ${origin.height}`);
  fill(
    lines,
    svg("line", {
      x1: left.right - origin.left,
      y1: (left.top + left.bottom) / 2 - origin.top,
      x2: right.left - origin.left,
      y2: (right.top + right.bottom) / 2 - origin.top,
    }),
  );
}

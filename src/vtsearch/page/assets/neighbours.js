// Neighbours: a query, the histogram of its distances, and what is near, in tie groups.

import { fill, h, number, several } from "./dom.js";
import { filterPanel } from "./filters.js";
import { countWithin, histogram, withinWords } from "./histogram.js";
import { emptyNotice, errorNotice, newest, say, skeleton } from "./notices.js";
import { queryStrip } from "./query_strip.js";
import { painted, requestOf } from "./searching.js";
import { grid, itemOf, spoken, tieGroups, tile } from "./tiles.js";
import { NO_FILTER } from "./where.js";

const AMOUNTS = [20, 50, 100, 200, 500, 1000];

/** The room of neighbours. @param {object} page */
export function neighboursRoom(page) {
  const strip = queryStrip(page);
  const filter = filterPanel(page);
  const timings = h("p.timings");
  const top = h("div.answers");
  const body = h("div.results");
  const main = h("div.room.neighbours", h("h2.spoken", "Results"), top, body);
  const run = newest(main);
  const view = { page, strip, filter, timings, top, body, grid: null, bars: null, answer: null };

  function show(state, { file = null } = {}) {
    const info = page.info();
    const request = requestOf(state, info, page.service.limits);
    filter.show(state, info);
    const known = !file && request && page.searcher.known(request, info);
    view.wanted = request;
    if (known || (!file && !request)) {
      const nothing = () => {};
      run(null, nothing, nothing); // what was asked before comes too late
      return known ? drawAnswer(view, known) : beginAnew(view, info);
    }
    if (!view.answer) fill(body, skeleton(48));
    const blank = {
      index: info.name,
      k: Math.min(state.k, page.service.limits.k),
      where: request?.where ?? null,
      exclude_self: !state.itself,
      exclude: [],
    };
    const onResults = (answer) => view.wanted === request && drawAnswer(view, answer);
    const asked = file ? page.searcher.upload(file, blank, info) : page.searcher.search(request, info, onResults);
    return run(
      asked,
      (answer) => {
        if (file)
          page.go({
            room: page.state.room === "compare" ? "compare" : "neighbours",
            id: null,
            code: answer.query.code,
            exclude: [],
          });
        else drawAnswer(view, answer);
      },
      (error) => complain(view, error, file),
    );
  }

  const keys = [
    { key: "j", title: "next result", run: () => view.grid?.rove.move(1) },
    { key: "k", title: "result before", run: () => view.grid?.rove.move(-1) },
    { key: "Enter", title: "search with the result in focus" },
    { key: "x", title: "leave out the result in focus", run: () => leaveOut(view) },
    {
      key: "u",
      title: "bring back what was left out last",
      run: () => page.state.exclude.length && page.go({ exclude: page.state.exclude.slice(0, -1) }),
    },
    { key: "m", title: "more results", run: () => more(view) },
    { key: "r", title: "radius: then ← and →", run: () => top.querySelector(".handle")?.focus() },
    { key: "s", title: "whether the query finds itself", run: () => page.go({ itself: !page.state.itself }) },
    { key: "b", title: "bits of the query: then ← ↑ → ↓", run: () => strip.focusBits() },
    { key: "l", title: "filter by label", run: () => page.openFilter(".facets input") },
    { key: "w", title: "filter by SQL", run: () => page.openFilter("textarea") },
  ];
  return {
    side: [strip, filter, timings],
    main,
    show,
    keys,
    filter,
    strip,
    hint: "Enter searches with a result · x leaves it out · Shift-click opens its file · ? shows all keys",
  };
}

function drawAnswer(view, answer) {
  const { page, strip, filter, timings } = view;
  const { state } = page;
  const isNew = view.answer !== answer;
  view.answer = answer;
  filter.complain(null);
  timings.textContent = timingWords(answer);
  if (isNew || !view.grid?.isConnected) {
    drawGrid(view, answer);
    // the pictures first, the panel of the query with the next frame
    if (view.told) painted().then(() => view.answer === answer && strip.show(answer));
    else strip.show(answer);
    view.told = true;
    say(`${several(answer.results.length, "result")} of ${several(answer.items, "item")}`);
  } else view.grid?.count(tieGroups(answer.results, answer.histogram));
  if (answer.histogram !== undefined || !view.bars?.isConnected) drawTop(view, answer);
  view.grid?.within(state.radius);
  page.point(null);
}

function drawTop(view, answer) {
  const { page, top } = view;
  const { state, service } = page;
  const sized = h(
    "select",
    { title: "Results at most (m shows more)", onchange: () => page.go({ k: Number(sized.value) }) },
    [...new Set([...AMOUNTS, state.k])]
      .sort((one, other) => one - other)
      .filter((k) => k <= Math.max(service.limits.k, state.k))
      .map((k) => h("option", { value: k, text: number(k), selected: k === state.k })),
  );
  const itself = h("input", { type: "checkbox", onchange: () => page.go({ itself: !itself.checked }) });
  itself.checked = !state.itself;
  const words = h(
    "p.summary",
    h("strong", answer.histogram ? withinWords(answer.histogram, state.radius) : several(answer.items, "item")),
  );
  const left =
    state.exclude.length > 0 &&
    h("button.link", {
      title: "Bring back what was left out (u: the last one)",
      text: `${state.exclude.length} left out, bring back`,
      onclick: () => page.go({ exclude: [] }),
    });
  const controls = h(
    "div.controls",
    h("label", "k", sized),
    answer.query?.id !== null &&
      answer.query &&
      h("label", { title: "Whether the query is left out of its own results (s)" }, itself, "exclude itself"),
    left,
    words,
  );
  const handle = top.querySelector(".handle") === document.activeElement;
  if (answer.histogram === undefined) view.bars ??= h("div.bars-to-come");
  else if (!answer.histogram) view.bars = null;
  else
    view.bars = histogram({
      ...answer.histogram,
      radius: state.radius,
      reach: answer.results.at(-1)?.distance ?? null,
      onRadius: (radius, done) => {
        words.firstChild.textContent = withinWords(answer.histogram, radius);
        view.grid?.within(radius);
        drawEnd(view, answer, radius);
        if (done) page.note({ radius });
      },
    });
  fill(top, view.bars, controls);
  if (handle) top.querySelector(".handle")?.focus({ preventScroll: true });
  drawEnd(view, answer, state.radius);
}

function drawGrid(view, answer) {
  const { page, body } = view;
  if (!answer.results.length) {
    view.grid = null;
    return fill(
      body,
      emptyNotice(
        "Nothing found",
        page.state.exclude.length || page.state.where || page.state.labels.length
          ? "No item is left by the filter. Remove a part of it."
          : "The index holds no other item.",
      ),
    );
  }
  view.grid = grid(tieGroups(answer.results, answer.histogram), {
    hrefOf: page.hrefOfItem,
    onOpen: (item, event) => page.open(item, event),
    onPoint: (item, element) => point(view, item, element),
    onMore: ({ distance }) => page.showAll(answer, distance),
  });
  view.end = h("p.end");
  fill(body, view.grid, view.end);
}

function drawEnd(view, answer, radius) {
  if (!view.end || !view.grid) return;
  const last = answer.results.at(-1).distance;
  const all = answer.histogram ? countWithin(answer.histogram.counts, radius) : answer.items;
  const left =
    all - answer.results.filter((each) => radius === null || each.distance === null || each.distance <= radius).length;
  const nearest = answer.results[0].distance;
  if (radius !== null && nearest !== null && nearest > radius)
    return void fill(view.end, `Nothing within radius ${radius}; the nearest item is at distance ${nearest}.`);
  if (left <= 0 || (radius !== null && last > radius)) return void fill(view.end);
  const { k } = view.page.service.limits;
  const button =
    answer.results.length < k &&
    h("button.button", { text: "More results", title: "Twice as many results (m)", onclick: () => more(view) });
  fill(
    view.end,
    h("span", `${several(left, "more item")}${radius === null ? "" : ` within radius ${radius}`}`),
    button || h("span", `· the server gives at most ${number(k)}`),
  );
}

function more({ page }) {
  const k = Math.min(page.state.k * 2, page.service.limits.k);
  if (k > page.state.k) page.go({ k });
}

function leaveOut({ page, grid: shown }) {
  const item = shown?.rove.current() && itemOf(shown.rove.current());
  if (item && shown.contains(document.activeElement)) page.go({ exclude: [...page.state.exclude, item.id] });
}

function point({ page, strip }, item, element) {
  strip.compare(item?.code ?? null);
  page.point(item, element);
}

function timingWords({ timings, how }) {
  const parts = ["decode", "model", "ranking"]
    .filter((name) => timings[name] > 0)
    .map((name) => `${name} ${timings[name] < 10 ? timings[name].toFixed(1) : Math.round(timings[name])}`);
  return parts.length ? `${parts.join(" · ")} ms${how ? ` · ${how}` : ""}` : "";
}

function complain(view, error, file) {
  const { page, filter } = view;
  const isFilter = error.status === 422 && /^where\b/.test(error.detail ?? "");
  if (isFilter) filter.complain(error.detail);
  const actions = [];
  if (isFilter) actions.push({ text: "Remove the filter", run: () => page.go(structuredClone(NO_FILTER)) });
  if (error.status === 0 || error.status >= 500) actions.push({ text: "Try again", run: () => view.page.again(file) });
  if (!isFilter && error.status === 404)
    actions.push({ text: "Begin anew", run: () => page.go({ id: null, code: null, exclude: [] }) });
  if (file && error.status !== 0) actions.push({ text: "Choose another picture", run: () => page.box.choose() });
  view.grid = view.answer = null;
  fill(view.top);
  const title = isFilter
    ? "The filter cannot be used"
    : error.status === 404
      ? "No such item"
      : file && error.status >= 400 && error.status < 500
        ? "The picture cannot be used"
        : error.title;
  fill(view.body, errorNotice({ title, detail: error.detail, message: error.message }, actions));
  view.timings.textContent = "";
  if (!file && !isFilter) view.strip.empty();
}

/** First use: say how to begin, and show some items to begin with. */
async function beginAnew(view, info) {
  view.answer = view.grid = null;
  view.strip.empty();
  view.filter.complain(null);
  view.timings.textContent = "";
  fill(view.top);
  const samples = h("div.samples");
  const words = info.encodes
    ? "Drop a picture here. Everything stays on this machine."
    : "Choose an item to see what is near it. This index has no model, so a picture of your own cannot be the query.";
  const choose =
    info.encodes &&
    h(
      "p.actions",
      h("button.button.first", {
        text: "Choose a picture",
        title: "Choose a picture (o)",
        onclick: () => view.page.box.choose(),
      }),
    );
  fill(view.body, emptyNotice(`Search ${several(info.items, "item")} in ${info.name}`, words, choose || "", samples));
  const items = await view.page.samples(info).catch(() => []);
  if (samples.isConnected && items.length) {
    fill(
      samples,
      h("h3", info.encodes ? "Or begin with one of these" : "Begin with one of these"),
      h(
        "ul.grid",
        { role: "list" },
        items.map((item) =>
          h(
            "li",
            tile(
              { ...item, relevant: null, distance: null },
              { href: view.page.hrefOfItem(item), title: spoken(item) },
            ),
          ),
        ),
      ),
    );
  }
}

// Mistakes: queries by average precision, worst first, and which class is taken for which.

import { fill, fold, h, number, several, svg } from "./dom.js";
import { matrix } from "./matrix.js";
import { emptyNotice, errorNotice, newest, say, skeleton } from "./notices.js";
import { roving } from "./roving.js";
import { shortName, spoken, tile } from "./tiles.js";

const QUERIES_AT_ONCE = 50;

/** The room of mistakes. @param {object} page */
export function mistakesRoom(page) {
  const side = h("section.scores", { "aria-label": "Scores" });
  const list = h("div.worst");
  const map = h("div.confusion");
  const pairs = h("section.pairs", { "aria-live": "polite" });
  const main = h("div.room.mistakes", list, h("div.beside", map, pairs));
  const run = newest(main);
  const hint = "Enter searches with a query · c chooses a class · x goes to the matrix · ? shows all keys";
  const view = { page, side, list, map, pairs, runPairs: newest(pairs), key: null, answer: null, rove: null };

  function show(state) {
    const info = page.info();
    main.classList.toggle("whole", info.labels === "none");
    if (info.labels === "none") return unlabelled(view);
    const key = JSON.stringify([info.name, info.generation, state.class]);
    if (key === view.key) return drawAround(view, state);
    fill(list, skeleton(24));
    const ask = {
      what: "mistakes",
      index: info.name,
      queries: null,
      class: state.class,
      offset: 0,
      limit: QUERIES_AT_ONCE,
    };
    return run(
      page.answer(ask),
      (answer) => {
        Object.assign(view, { key, answer });
        drawList(view, answer, ask);
        drawAround(view, state);
        say(`${several(answer.total, "query", "queries")}, worst first`);
      },
      (error) => {
        view.key = null;
        fill(side);
        fill(map);
        fill(pairs);
        fill(list, errorNotice(error, [{ text: "Try again", run: () => page.again() }]));
      },
    );
  }

  const keys = [
    { key: "j", title: "next query", run: () => view.rove?.move(1) },
    { key: "k", title: "query before", run: () => view.rove?.move(-1) },
    { key: "Enter", title: "search with the query in focus" },
    {
      key: "c",
      title: "classes, to show one alone",
      run: () => side.querySelector("button[aria-pressed=true], button")?.focus(),
    },
    {
      key: "x",
      title: "matrix of classes: then ← ↑ → ↓",
      run: () => map.querySelector("button[tabindex='0']")?.focus(),
    },
    { key: "Escape", title: "all classes, no pairs", run: () => page.go({ class: null, cell: null }) },
  ];
  return { side: [side], main, show, keys, hint };
}

function unlabelled(view) {
  view.key = null;
  for (const each of [view.side, view.map, view.pairs]) fill(each);
  fill(
    view.list,
    emptyNotice(
      "This index has no labels",
      "Without labels nobody can say which results are mistakes. Encode a folder with a subfolder for each class, or a data set with labels.",
    ),
  );
}

function drawAround(view, state) {
  drawScores(view, state);
  const { confusion } = view.answer;
  fill(
    view.map,
    confusion
      ? [
          h("h2", `Classes of the first ${confusion.top} results`),
          matrix({
            names: confusion.names,
            counts: confusion.counts,
            chosen: state.cell && state.cell.map((label) => confusion.labels.indexOf(label)),
            caption: "Per cent of a row. Rows: class of the query. A cell shows its pairs.",
            onCell: (row, column) => view.page.go({ cell: [confusion.labels[row], confusion.labels[column]] }),
          }),
        ]
      : [],
  );
  drawPairs(view, state);
}

function drawScores({ page, side, answer }, state) {
  const { map, classes, sampled, of } = answer;
  const all = h(
    "button.score",
    {
      "aria-pressed": String(state.class === null),
      title: "Queries of all classes (Esc)",
      onclick: () => page.go({ class: null }),
    },
    h("span.text", "all classes"),
    h("span.count", number(sampled)),
    h("span.value", map.expected.toFixed(3)),
    h("span.share", { style: { "--share": map.expected } }),
  );
  fill(
    side,
    h("h2", "Mean average precision"),
    h("p.big", { title: "mAP over the whole ranking; ties in their expected order" }, map.expected.toFixed(3)),
    h(
      "p.quiet",
      `95 % interval ${map.low.toFixed(3)} to ${map.high.toFixed(3)}`,
      h("br"),
      `by order of ties ${map.worst.toFixed(3)} to ${map.best.toFixed(3)}`,
      h("br"),
      sampled < of
        ? `${number(sampled)} of ${several(of, "item")} as queries`
        : `all ${several(of, "item")} as queries`,
    ),
    fold(
      "By class",
      "mAP of the queries of each class (c)",
      h(
        "ul.classes",
        { role: "list" },
        h("li", all),
        classes.map(({ label, name, queries, map: score }) =>
          h(
            "li",
            h(
              "button.score",
              {
                "aria-pressed": String(state.class === label),
                title: `Queries of ${name} alone (c)`,
                onclick: () => page.go({ class: state.class === label ? null : label }),
              },
              h("span.text", name),
              h("span.count", number(queries)),
              h("span.value", score.toFixed(3)),
              h("span.share", { style: { "--share": score } }),
            ),
          ),
        ),
      ),
    ),
  );
}

function drawList(view, answer, ask) {
  const { page, list } = view;
  const rows = h("ol.rows", { role: "list" });
  const append = (results) => rows.append(...results.map((each) => mistakeRow(each, page)));
  const end = h("p.end");
  const drawMore = () =>
    fill(
      end,
      rows.children.length < answer.total && [
        h("span", `${several(answer.total - rows.children.length, "more query", "more queries")}`),
        h("button.button", { text: "More queries", title: "The next queries by average precision", onclick: load }),
      ],
    );
  async function load() {
    try {
      append((await page.answer({ ...ask, offset: rows.children.length })).results);
      drawMore();
    } catch (error) {
      fill(end, errorNotice(error));
    }
  }
  append(answer.results);
  drawMore();
  const name = ask.class === null ? null : answer.classes.find(({ label }) => label === ask.class)?.name;
  fill(
    list,
    h(
      "h2",
      name ? `Queries of ${name}, worst first` : "Queries, worst first",
      h("span.quiet", "average precision · the first 50 results"),
    ),
    rows,
    end,
  );
  view.rove = roving(rows, "a.row");
  view.rove.refresh();
}

function mistakeRow({ item, average_precision: precision, relevance, wrong }, page) {
  const small = h("span.thumb", { "aria-hidden": "true" }, tile({ ...item, relevant: null }));
  return h(
    "li",
    h(
      "a.row",
      {
        tabindex: "-1",
        href: page.href({ room: "neighbours", id: item.id, code: null, exclude: [] }),
        title: "Search with this query (Enter)",
      },
      small,
      h("span.who", h("span.label", spoken(item)), h("span.quiet.name", shortName(item.id))),
      h("span.value", h("span.spoken", "average precision "), precision.toFixed(3)),
      sparkline(relevance),
      h("span.count", `${wrong} wrong`),
    ),
  );
}

/** Relevance by rank: a tall bar for a relevant result, a low one for another. */
function sparkline(relevance) {
  const bars = [...relevance].map((sign, rank) =>
    svg(
      "rect",
      sign === "1"
        ? { class: "relevant", x: rank + 0.1, width: 0.8, y: 0, height: 12 }
        : { class: "other", x: rank + 0.1, width: 0.8, y: 8, height: 4 },
    ),
  );
  return svg(
    "svg",
    { class: "sparkline", viewBox: "0 0 50 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    bars,
  );
}

function drawPairs(view, state) {
  const { page, pairs, answer } = view;
  if (!state.cell || !answer.confusion)
    return fill(pairs, answer.confusion ? h("p.quiet", "Choose a cell to see its pairs.") : []);
  const [row, column] = state.cell;
  const nameOf = (label) => answer.confusion.names[answer.confusion.labels.indexOf(label)] ?? String(label);
  const ask = { what: "pairs", index: page.info().name, queries: null, row, column, limit: 24 };
  return view.runPairs(
    page.answer(ask),
    (found) =>
      fill(
        pairs,
        h("h2", `${nameOf(row)} finds ${nameOf(column)}`, h("span.quiet", several(found.total, "pair"))),
        h(
          "ul",
          { role: "list" },
          queriesOf(found.pairs).map((pairs) => pairRow(pairs, page)),
        ),
      ),
    (error) => fill(pairs, errorNotice(error)),
  );
}

/** Pairs of one query behind each other belong together. */
function queriesOf(pairs) {
  const groups = [];
  for (const pair of pairs) {
    if (groups.at(-1)?.[0].query.id === pair.query.id) groups.at(-1).push(pair);
    else groups.push([pair]);
  }
  return groups;
}

function pairRow(pairs, page) {
  const { query } = pairs[0];
  const link = (item, more) =>
    tile(item, {
      relevant: null,
      distance: null,
      href: page.href({ room: "neighbours", id: item.id, code: null, exclude: [] }),
      title: `Search with ${shortName(item.id)}`,
      ...more,
    });
  const results = pairs.map(({ found, distance, rank }) => {
    const relevant = query.labels.some((label) => found.labels.includes(label));
    return h("li", link(found, { relevant }), h("span.quiet", `rank ${rank}`), h("span.quiet", `distance ${distance}`));
  });
  return h("li.pair", link(query), h("ul", { role: "list", "aria-label": `found by ${shortName(query.id)}` }, results));
}

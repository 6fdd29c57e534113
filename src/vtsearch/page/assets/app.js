// The page: header, tabs, rooms, and the one function that answers.

import { button, fill, h, icon, number, several, valueWords } from "./dom.js";
import { compareRoom } from "./compare.js";
import { duplicatesRoom } from "./duplicates.js";
import { embeddedAnswer } from "./embedded.js";
import { countWithin } from "./histogram.js";
import { httpAnswer } from "./http.js";
import { keysDialog, listen, modal, startKeys, unlisten } from "./keys.js";
import { mistakesRoom } from "./mistakes.js";
import { neighboursRoom } from "./neighbours.js";
import { errorNotice } from "./notices.js";
import { queryBox } from "./query_box.js";
import { searcher } from "./searching.js";
import { DEFAULTS, readState, writeState } from "./state.js";
import { applyTheme, nextTheme } from "./theme.js";
import { shortName, spoken } from "./tiles.js";
import { askToken, takeToken } from "./token.js";
import { filterSize } from "./where.js";

const ROOMS = { neighbours: "Neighbours", mistakes: "Mistakes", compare: "Compare", duplicates: "Duplicates" };
const PHONE = matchMedia("(max-width: 760px)");

const page = { state: readState(location.hash), service: null, rooms: {}, file: null };

page.info = () => page.service.indexes.find(({ name }) => name === page.state.index) ?? page.service.indexes[0];
page.other = () => {
  const others = page.service.indexes.filter(({ name }) => name !== page.info().name);
  return others.find(({ name }) => name === page.state.other) ?? others[0] ?? null;
};
page.href = (changes) => writeState({ ...page.state, ...changes });
page.hrefOfItem = (item) => page.href({ id: item.id, code: null, exclude: [] });

/** Change the state: a new entry of the history, and the room shows it. */
page.go = (changes) => {
  page.state = { ...page.state, ...changes };
  history.pushState(null, "", writeState(page.state));
  render();
};

/** Change the state where the room shows it already. */
page.note = (changes) => {
  page.state = { ...page.state, ...changes };
  history.replaceState(null, "", writeState(page.state));
};

page.again = (file = null) => room().show(page.state, { file });

/** A click on a result: Shift opens its file, a plain click is the link's. */
page.open = (item, event) => {
  if (!event.shiftKey || !item.image) return;
  event.preventDefault();
  window.open(item.image, "_blank", "noopener");
};

/** The strip below: what the result under the pointer is. */
page.point = (item) =>
  fill(
    page.status,
    item
      ? [
          h("strong", spoken(item)),
          h("span", item.id),
          item.distance !== null && item.distance !== undefined && h("span", `distance ${item.distance}`),
          item.relevant !== null &&
            item.relevant !== undefined &&
            h("span", { class: item.relevant ? "yes" : "no", text: item.relevant ? "relevant" : "not relevant" }),
          Object.entries(item.metadata)
            .filter(([, value]) => value !== null)
            .map(([column, value]) => h("span", h("span.quiet", `${column} `), valueWords(value))),
        ]
      : h("span.quiet", room()?.hint),
  );

/** Ask for so many results that all items up to a distance are among them. */
page.showAll = ({ histogram }, distance) =>
  page.go({ k: Math.min(countWithin(histogram.counts, distance), page.service.limits.k) });

/** A sentence that goes away by itself. */
page.toast = (text) => {
  fill(page.toasts, h("p", { role: "alert", text }));
  clearTimeout(page.toasting);
  page.toasting = setTimeout(() => fill(page.toasts), 8000);
};

/** Some items to begin with: of each class, or the first ones. */
page.samples = async (info) => {
  const ask = (where, k) => page.answer({ what: "search", index: info.name, where, k }).then(({ results }) => results);
  const classes = info.labels === "none" ? 0 : Math.min(info.classes.length, 12);
  const condition = (label) => (info.labels === "single" ? `label = ${label}` : `has_label(labels, ${label})`);
  if (!classes) return ask("id IS NOT NULL", 24);
  return (await Promise.all(Array.from({ length: classes }, (_, label) => ask(condition(label), 2)))).flat();
};

/** Put the focus into the filter, which is in a sheet on a phone. */
page.openFilter = (selector) => {
  const { filter } = page.rooms.neighbours;
  if (PHONE.matches && !page.sheet.open) {
    page.sheet.append(filter);
    page.sheet.showModal();
  }
  filter.querySelector(selector)?.focus();
};

const room = () => page.rooms[Object.hasOwn(ROOMS, page.state.room) ? page.state.room : "neighbours"];

function takeFile(file) {
  const { upload_bytes: most } = page.service.limits;
  const { name, encodes } = page.info();
  if (!encodes) return page.toast(`${name} has no model, so a picture cannot be its query. Search by id or code.`);
  if (file.size > most)
    return page.toast(
      `${file.name || "The picture"} has ${megabytes(file.size)}; the server takes at most ${megabytes(most)}. Choose a smaller one.`,
    );
  if (!["neighbours", "compare"].includes(page.state.room)) page.go({ room: "neighbours" });
  return page.again(file);
}

const megabytes = (bytes) => `${number(Math.round(bytes / 1e4) / 100)} MB`;

function takeText(text) {
  const isCode = text.length === Math.ceil(page.info().bits / 8) * 2 && /^[0-9a-f]+$/i.test(text);
  page.go({
    room: page.state.room === "compare" && !isCode ? "compare" : "neighbours",
    ...(isCode ? { id: null, code: text.toLowerCase() } : { id: text, code: null }),
    exclude: [],
  });
}

function switchIndex(name) {
  const upload = page.searcher.uploaded(page.state.code);
  page.go({ index: name, code: null, labels: [], ranges: {}, values: {}, exclude: [], class: null, cell: null });
  if (upload && page.info().encodes) page.again(upload.file);
}

function shell() {
  const { indexes } = page.service;
  page.box = queryBox({ onFile: takeFile, onText: takeText });
  page.select = h(
    "select.index",
    { "aria-label": "Index", title: "The index (i)", onchange: () => switchIndex(page.select.value) },
    indexes.map(({ name }) => h("option", { value: name, text: name })),
  );
  page.brand = h("a.brand", { title: "Begin anew", "aria-label": "vtsearch: begin anew" }, brandMark(), "vtsearch");
  page.count = h("span.items");
  page.theme = h("button.square", { onclick: turnTheme });
  page.keys = keysDialog();
  page.sheet = modal("Filter");
  page.sheet.classList.add("sheet");
  page.sheet.addEventListener("close", () => renderSides());
  const help = button("?", "All keys (?)", () => page.keys.list(), "square");
  page.filterButton = h(
    "button.square.phone",
    { title: "Filter", "aria-label": "Filter", onclick: () => page.openFilter("input, textarea") },
    icon("filter"),
  );
  page.tabs = h(
    "nav.tabs",
    { "aria-label": "Rooms" },
    Object.entries(ROOMS).map(([name, title]) =>
      h("a", { "data-room": name, title: `${title} (Shift ${title[0]})` }, icon(name), h("span", title)),
    ),
  );
  page.side = h("aside.side", { "aria-label": "Query and filter" });
  page.main = h("main", { tabindex: "-1" });
  page.status = h("footer.status");
  page.toasts = h("div.toasts");
  fill(
    document.getElementById("app"),
    h("header.top", h("h1", page.brand), page.select, page.box, page.filterButton, page.theme, help, page.count),
    page.side,
    h("div.stage", page.tabs, page.main, page.status),
    page.toasts,
    page.keys,
    page.sheet,
  );
}

function brandMark() {
  return h(
    "span.mark",
    { "aria-hidden": "true" },
    Array.from({ length: 9 }, () => h("i")),
  );
}

function turnTheme() {
  page.note({ theme: nextTheme(page.state.theme) });
  drawTheme();
}

function drawTheme() {
  const isDark = applyTheme(page.state.theme);
  const words = isDark ? "Light theme (t)" : "Dark theme (t)";
  page.theme.title = words;
  page.theme.setAttribute("aria-label", words);
  fill(page.theme, icon(isDark ? "sun" : "moon"));
}

function renderSides() {
  const { side } = room();
  if (side.some((each, place) => page.side.children[place] !== each) || page.side.children.length !== side.length)
    fill(page.side, side);
}

function render() {
  const { state } = page;
  const info = page.info();
  const shown = room();
  page.select.value = info.name;
  page.brand.href = writeState({ ...DEFAULTS, index: state.index, theme: state.theme });
  page.filterButton.classList.toggle("on", filterSize(state) > 0);
  page.count.textContent = several(info.items, "item");
  document.title = `${ROOMS[state.room] ?? ROOMS.neighbours} · ${info.name} · vtsearch`;
  page.box.write(state.id ?? state.code ?? "");
  for (const tab of page.tabs.children) {
    tab.href = page.href({ room: tab.dataset.room });
    if (page.rooms[tab.dataset.room] === shown) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  if (shown.main.parentElement !== page.main) {
    fill(page.main, shown.main);
    page.main.scrollTop = 0;
    document.body.dataset.room = state.room;
    unlisten("Here");
    listen("Here", shown.keys);
    page.point(null);
  }
  if (!page.sheet.open) renderSides();
  drawTheme();
  shown.show(state);
}

function globalKeys() {
  listen("Everywhere", [
    { key: "/", title: "query: id or code", run: () => page.box.focusText() },
    { key: "o", title: "choose a picture", run: () => page.box.choose() },
    { key: "i", title: "index", run: () => page.select.focus() },
    ...Object.entries(ROOMS).map(([name, title]) => ({ key: title[0], title, run: () => page.go({ room: name }) })),
    { key: "t", title: "dark or light", run: turnTheme },
    { key: "?", title: "all keys", run: () => page.keys.list() },
  ]);
}

async function start() {
  const embedded = document.getElementById("data");
  const token = takeToken();
  if (token) page.state = readState(location.hash);
  page.answer = embedded
    ? embeddedAnswer(JSON.parse(embedded.textContent))
    : httpAnswer(document.baseURI, askToken(token));
  page.searcher = searcher(freshAnswer);
  applyTheme(page.state.theme);
  try {
    page.service = await page.answer({ what: "index" });
  } catch (error) {
    fill(document.getElementById("app"), errorNotice(error, [{ text: "Try again", run: start }]));
    return;
  }
  shell();
  const neighbours = neighboursRoom(page);
  page.rooms = {
    neighbours,
    mistakes: mistakesRoom(page),
    compare: compareRoom(page, neighbours),
    duplicates: duplicatesRoom(page, neighbours),
  };
  startKeys();
  globalKeys();
  document.addEventListener("click", followLink);
  addEventListener("hashchange", followAddress);
  addEventListener("popstate", followAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTheme);
  render();
}

/** An answer to a search; if the index has changed since the page was opened, what is remembered of it is forgotten. */
async function freshAnswer(query) {
  const answer = await page.answer(query);
  const known = page.service.indexes.find(({ name }) => name === answer.index);
  if (known.generation !== answer.generation) {
    page.service = await page.answer({ what: "index" });
    page.searcher.forget();
    page.count.textContent = several(page.info().items, "item");
  }
  return answer;
}

/** A link of the page goes on from the state as it is now: the radius and the theme may have changed since it was made. */
function followLink(event) {
  const link = event.target.closest?.("a[href^='#']");
  if (
    !link ||
    event.defaultPrevented ||
    event.button ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  event.preventDefault();
  const { theme, radius } = page.state;
  page.go({ ...readState(link.hash), theme, radius: link === page.brand ? null : radius });
}

function followAddress() {
  if (writeState(page.state) === writeState(readState(location.hash))) return;
  page.state = readState(location.hash);
  render();
}

start();

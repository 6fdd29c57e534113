// The query: its picture, its name, its code, and the queries before it.

import { fill, fold, h, valueWords } from "./dom.js";
import { bitsPanel } from "./bits.js";
import { picture, shortName, spoken, tile } from "./tiles.js";

const REMEMBERED = 12;

/**
 * The panel of the query.
 * @param {object} page
 * @returns {HTMLElement} with `show(answer)`, `waiting(item | null)` and `compare(code | null)`
 */
export function queryStrip(page) {
  const body = h("div.query");
  const bits = fold("Bits", "The code of the query (b)");
  const past = h("section.past", { hidden: true });
  const element = h("section.strip", { "aria-label": "Query" }, h("h2", "Query"), body, bits, past);
  const history = [];
  let panel = null;
  let code = null;
  element.show = (answer) => {
    const query = answer.query && (answer.query.id !== null || answer.query.code) ? answer.query : null;
    fill(body, query ? queryBody(query, page) : h("p.quiet", "No query: the items that the filter leaves."));
    bits.hidden = !query?.code;
    if (query?.code && (query.code !== code || panel?.dataset.index !== answer.index)) {
      const focused = panel?.contains(document.activeElement);
      panel?.remove();
      panel = bitsPanel({
        code: query.code,
        bits: answer.bits,
        ask: (bit) => page.answer({ what: "bit", index: answer.index, bit }),
        hrefOf: page.hrefOfItem,
      });
      panel.dataset.index = answer.index;
      code = query.code;
      bits.append(panel);
      fill(bits.firstChild, "Bits", h("span.quiet", answer.bits));
      if (focused) element.focusBits();
    }
    if (query) remember(history, query, answer.index, page);
    showPast(past, history, page);
  };
  element.empty = () => {
    fill(body, h("p.quiet", "No query yet."));
    bits.hidden = true;
    showPast(past, history, page);
  };
  element.compare = (other) => panel?.isConnected && panel.compare(other);
  element.focusBits = () => {
    bits.open = true;
    panel?.querySelector(".bit[tabindex='0']")?.focus();
  };
  return element;
}

function queryBody(query, page) {
  const upload = query.id === null ? page.searcher.uploaded(query.code) : undefined;
  const shown = upload ? { ...query, id: upload.name, thumbnail: upload.url, image: upload.url } : query;
  const name = shown.id ?? `code ${query.code.slice(0, 16)}${query.code.length > 16 ? "…" : ""}`;
  const about = Object.entries(query.metadata ?? {}).filter(([, value]) => value !== null);
  return [
    shown.thumbnail || shown.id !== null ? h("div.frame", picture(shown, { large: true, eager: true })) : null,
    h(
      "div.about",
      query.names?.length > 0 && h("p.label", query.names.join(", ")),
      h(
        "p.name",
        { title: name },
        query.id !== null && query.image
          ? h("a", {
              href: query.image,
              target: "_blank",
              rel: "noopener",
              text: shortName(name),
              title: `Open the file ${name}`,
            })
          : shortName(name),
      ),
      about.length > 0 &&
        h(
          "dl.meta",
          about.map(([column, value]) => h("div", h("dt", column), h("dd", { title: value, text: valueWords(value) }))),
        ),
    ),
  ];
}

function remember(history, query, index, page) {
  const key = query.id !== null ? { id: query.id, code: null } : { id: null, code: query.code };
  const same = (each) => each.index === index && each.key.id === key.id && each.key.code === key.code;
  const at = history.findIndex(same);
  if (at >= 0) history.splice(at, 1);
  const upload = query.id === null ? page.searcher.uploaded(query.code) : undefined;
  history.unshift({
    key,
    index,
    item: { ...query, id: query.id ?? upload?.name ?? "code", thumbnail: upload?.url ?? query.thumbnail },
  });
  history.length = Math.min(history.length, REMEMBERED + 1);
}

function showPast(past, history, page) {
  const earlier = history.filter((each) => each.index === page.info().name).slice(1);
  past.hidden = !earlier.length;
  fill(
    past,
    h("h3", "Before"),
    h(
      "ul",
      { role: "list" },
      earlier.map(({ key, item }) =>
        h(
          "li",
          tile(
            { ...item, distance: null, relevant: null },
            {
              href: page.href({ ...key, exclude: [] }),
              title: `Go back to ${spoken(item)}, ${shortName(item.id)}`,
              eager: true,
            },
          ),
        ),
      ),
    ),
  );
}

// Answers from data that the file itself holds: codes are ranked here, all other answers are stored.

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

/**
 * The bytes of a code.
 * @param {string} hex @returns {Uint8Array}
 */
export function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/**
 * Hamming distance of two codes of one length.
 * @param {Uint8Array} one @param {Uint8Array} other @returns {number}
 */
export function distanceOf(one, other) {
  let sum = 0;
  for (let place = 0; place < one.length; place++) sum += ONES[one[place] ^ other[place]];
  return sum;
}

/**
 * The function that answers from embedded data.
 * @param {{service: object, items: Object<string, object[]>, answers?: Object<string, object>}} data `items` by index
 *   name; `answers` by the JSON of a query (names sorted), for all that is not a search or an item
 * @returns {(query: {what: string}) => Promise<object>}
 */
export function embeddedAnswer(data) {
  return async function answer(query) {
    const index = query.index ?? data.service.indexes[0].name;
    const items = data.items?.[index] ?? [];
    if (query.what === "index") return data.service;
    if (query.what === "search" && !query.file) return searched(data.service, index, items, query);
    if (query.what === "item") return found(items, query.id);
    const key = JSON.stringify(query, Object.keys(query).sort());
    if (data.answers && Object.hasOwn(data.answers, key)) return data.answers[key];
    throw problem("This file does not hold that answer; `vtsearch serve` gives it.");
  };
}

function problem(detail) {
  return Object.assign(new Error(detail), { status: 404, title: "Not in this file", detail });
}

function found(items, id) {
  const item = items.find((each) => each.id === id);
  if (!item) throw problem(`id: no item ${id}`);
  return item;
}

function searched(service, index, items, query) {
  const start = performance.now();
  const { bits, generation } = service.indexes.find((each) => each.name === index);
  const source = query.id
    ? found(items, query.id)
    : query.code
      ? { id: null, code: query.code, labels: [], names: [] }
      : null;
  const gone = new Set(query.exclude ?? []);
  if (source?.id && query.exclude_self !== false) gone.add(source.id);
  const left = items.filter((item) => !gone.has(item.id));
  const code = source && bytesOf(source.code);
  const isRelevant = (item) =>
    source?.labels.length ? item.labels.some((label) => source.labels.includes(label)) : null;
  const results = left.map((item) => ({
    ...item,
    distance: code ? distanceOf(code, bytesOf(item.code)) : null,
    relevant: isRelevant(item),
  }));
  results.sort((one, other) => one.distance - other.distance);
  const counts = (kept) => {
    const sums = new Array(bits + 1).fill(0);
    for (const each of results) if (kept(each)) sums[each.distance] += 1;
    return sums;
  };
  const ranking = performance.now() - start;
  return {
    index,
    generation,
    bits,
    items: left.length,
    query: source,
    histogram: code
      ? { counts: counts(() => true), relevant: source.labels.length ? counts((each) => each.relevant) : null }
      : null,
    results: results.slice(0, query.k ?? 50),
    timings: { decode: 0, model: 0, ranking, total: ranking },
    how: "in the browser",
  };
}

// The address is the state: a link shows a colleague the same. It stands behind `#`, so no server logs it.

/**
 * @typedef {object} State
 * @property {string} room neighbours, mistakes, compare or duplicates
 * @property {string|null} index name of a served index; null: the first
 * @property {string|null} id an item as query
 * @property {string|null} code a code in hex as query
 * @property {number} k results at most
 * @property {number|null} radius largest distance shown; null: any
 * @property {number[]} labels classes of the filter
 * @property {Object<string, [number|null, number|null]>} ranges bounds by column
 * @property {Object<string, string[]>} values allowed values by column
 * @property {string} where a condition in SQL
 * @property {boolean} itself whether an item finds itself
 * @property {string[]} exclude ids that are not found
 * @property {string|null} other the index beside, in Compare
 * @property {number|null} class class of Mistakes
 * @property {[number, number]|null} cell row and column of the matrix
 * @property {number} within radius of Duplicates
 * @property {string} keep rule of Duplicates
 * @property {boolean} decided whether Duplicates shows what is decided
 * @property {string|null} theme light or dark; null: as the system
 */

/** @type {State} */
export const DEFAULTS = {
  room: "neighbours",
  index: null,
  id: null,
  code: null,
  k: 50,
  radius: null,
  labels: [],
  ranges: {},
  values: {},
  where: "",
  itself: false,
  exclude: [],
  other: null,
  class: null,
  cell: null,
  within: 4,
  keep: "first",
  decided: false,
  theme: null,
};

const NUMBERS = new Set(["k", "radius", "class", "within"]);
const TEXTS = new Set(["room", "index", "id", "code", "where", "other", "keep", "theme"]);
const LARGEST = { k: 100000, radius: 65528, class: Infinity, within: 65528 };

/**
 * The state that an address holds; what it does not say, or says wrongly, is as by default.
 * @param {string} hash with or without `#` @returns {State}
 */
export function readState(hash) {
  const state = structuredClone(DEFAULTS);
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (!Object.hasOwn(DEFAULTS, name)) continue;
    const value = valueOf(name, text);
    if (value !== undefined) state[name] = value;
  }
  return state;
}

function valueOf(name, text) {
  if (TEXTS.has(name)) return text;
  if (NUMBERS.has(name)) {
    const value = Number(text);
    return text !== "" && Number.isInteger(value) && value >= (name === "k" ? 1 : 0) && value <= LARGEST[name]
      ? value
      : undefined;
  }
  try {
    const value = JSON.parse(text);
    return isSound(name, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isSound(name, value) {
  if (name === "itself" || name === "decided") return typeof value === "boolean";
  if (name === "labels") return Array.isArray(value) && value.every(Number.isInteger);
  if (name === "exclude") return Array.isArray(value) && value.every((each) => typeof each === "string");
  if (name === "cell") return Array.isArray(value) && value.length === 2 && value.every(Number.isInteger);
  const lists = value && typeof value === "object" && !Array.isArray(value) ? Object.values(value) : [null];
  const fits =
    name === "ranges"
      ? (list) => list.length === 2 && list.every((each) => each === null || Number.isFinite(each))
      : () => true;
  return lists.every((list) => Array.isArray(list) && fits(list));
}

/**
 * The address of a state, without what is as by default.
 * @param {State} state @returns {string} beginning with `#`
 */
export function writeState(state) {
  const words = new URLSearchParams();
  for (const name in DEFAULTS) {
    const value = state[name];
    const text = TEXTS.has(name) || NUMBERS.has(name) ? value : JSON.stringify(value);
    const usual = TEXTS.has(name) || NUMBERS.has(name) ? DEFAULTS[name] : JSON.stringify(DEFAULTS[name]);
    if (text !== usual && text !== null) words.set(name, text);
  }
  return `#${words}`;
}

// From the state to the answer of a search.

import { whereOf } from "./where.js";

const KEPT = 24; // answers of the last queries: going back is instant
const MANY = 2_000_000; // items whose histogram takes longer than their ranking: it is asked for behind the results

/**
 * The request that a state stands for, or null if it asks nothing.
 * @param {import("./state.js").State} state @param {object} info the index @param {{k: number}} limits
 * @returns {object|null}
 */
export function requestOf(state, info, limits) {
  const where = whereOf(state, info);
  if (state.id === null && state.code === null && where === null) return null;
  const source = state.id !== null ? { id: state.id } : state.code !== null ? { code: state.code } : {};
  return {
    index: info.name,
    ...source,
    k: Math.min(state.k, limits.k),
    where,
    exclude_self: !state.itself,
    exclude: state.exclude,
  };
}

/** When the next frame has been painted. @returns {Promise<void>} */
export const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

/**
 * Searches that remember their last answers, and the pictures that were uploaded by the codes they got.
 * @param {(query: object) => Promise<object>} answer
 */
export function searcher(answer) {
  const answers = new Map();
  const uploads = new Map();
  const keyOf = (request, info) => JSON.stringify([request, info.generation]);
  const keep = (key, value) => {
    answers.set(key, value);
    if (answers.size > KEPT) answers.delete(answers.keys().next().value);
    return value;
  };
  return {
    /** The answer to a request, at once if it is known. @returns {object|undefined} */
    known: (request, info) => answers.get(keyOf(request, info)),
    /** The whole answer; in a large index `onResults` gets it before, with an undefined histogram. @returns {Promise<object>} */
    async search(request, info, onResults) {
      const key = keyOf(request, info);
      const query = { what: "search", ...request };
      if (answers.has(key)) return answers.get(key);
      if (!onResults || info.items < MANY) return keep(key, await answer(query));
      const found = await answer({ ...query, histogram: false });
      if (found.query) {
        onResults(Object.assign(found, { histogram: undefined }));
        await painted(); // the engine leaves the processors to the browser until then
        const later = await answer({ ...query, k: 1 }).catch(() => null);
        found.histogram = later?.histogram ?? null;
        if (!later) return found; // the results stay; the next search tries again
      }
      return keep(key, found);
    },
    /** Search with a picture; its answer is kept for its code. @returns {Promise<object>} */
    async upload(file, request, info) {
      const { id: _, code: __, ...rest } = request;
      const found = await answer({ what: "search", ...rest, file });
      const { code } = found.query;
      if (!uploads.has(code))
        uploads.set(code, { file, url: URL.createObjectURL(file), name: file.name || "pasted picture" });
      return keep(
        keyOf(
          {
            index: rest.index,
            code,
            k: rest.k,
            where: rest.where,
            exclude_self: rest.exclude_self,
            exclude: rest.exclude,
          },
          info,
        ),
        found,
      );
    },
    /** The picture that a code was made of, if it was uploaded here. @returns {{file: File, url: string, name: string}|undefined} */
    uploaded: (code) => uploads.get(code),
    /** Forget all answers: the index has changed. */
    forget: () => answers.clear(),
  };
}

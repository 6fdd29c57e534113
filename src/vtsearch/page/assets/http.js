// Answers over HTTP.

/** An error with a sentence that says what was expected. */
export class AnswerError extends Error {
  /** @param {{status: number, title: string, detail: string}} problem */
  constructor({ status, title, detail }) {
    super(detail);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

const NO_SERVER = {
  status: 0,
  title: "The server does not answer",
  detail: "Start `vtsearch serve` again if it was stopped, then try again.",
};

const PATHS_OF = {
  index: () => "v1/index",
  item: ({ id }) => `v1/items/${encodeURIComponent(id)}`,
  facets: () => "v1/facets",
  bits: () => "v1/bits",
  bit: ({ bit }) => `v1/bits/${bit}`,
  mistakes: () => "v1/mistakes",
  pairs: () => "v1/mistakes/pairs",
  duplicates: () => "v1/duplicates",
  decisions: () => "v1/decisions",
};
const POSTED = { search: "v1/search", decide: "v1/decisions", forget: "v1/decisions/forget" };
const IN_PATH = { item: "id", bit: "bit" };

/**
 * The function that asks a server.
 * @param {string} base address that paths are relative to
 * @param {() => Promise<string>} askToken called when the server wants a token
 * @returns {(query: {what: string}) => Promise<object>}
 */
export function httpAnswer(base, askToken) {
  return async function answer(query) {
    const response = await request(base, query);
    if (response.status !== 401) return contentOf(response);
    await openSession(base, askToken);
    return contentOf(await request(base, query));
  };
}

let session = null; // one dialog, however many requests wait for it

function openSession(base, askToken) {
  session ??= signIn(base, askToken).finally(() => (session = null));
  return session;
}

async function signIn(base, askToken) {
  for (let wrong = false; ; wrong = true) {
    const token = await askToken(wrong);
    const headers = { Authorization: `Bearer ${token}` };
    const response = await reach(new URL("v1/session", base), { method: "POST", headers });
    if (response.ok) return;
    if (response.status !== 401) await contentOf(response);
  }
}

function request(base, { what, ...parameters }) {
  if (what in POSTED) return reach(new URL(POSTED[what], base), posted(parameters));
  const url = new URL(PATHS_OF[what](parameters), base);
  for (const [name, value] of Object.entries(parameters)) {
    if (name !== IN_PATH[what] && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return reach(url, {});
}

function posted({ file, ...query }) {
  if (!file) return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(query) };
  const body = new FormData();
  body.append("query", JSON.stringify(query));
  body.append("image", file, file.name || "picture");
  return { method: "POST", body };
}

async function reach(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new AnswerError(NO_SERVER);
  }
}

async function contentOf(response) {
  const content = await response.json().catch(() => null);
  if (response.ok && content) return content;
  if (response.ok) throw new AnswerError(NO_SERVER); // it ended while it answered
  throw new AnswerError({
    status: response.status,
    title: content?.title ?? `The server answered ${response.status}`,
    detail: typeof content?.detail === "string" ? content.detail : `${response.status} ${response.statusText}`.trim(),
  });
}

// What stands where an answer is not: errors, empty rooms, skeletons, a spinner.

import { fill, h } from "./dom.js";

/**
 * An error with what to do next.
 * @param {{title?: string, detail?: string, message?: string}} error
 * @param {{text: string, title?: string, run: () => void}[]} [actions]
 * @returns {HTMLElement}
 */
export function errorNotice(error, actions = []) {
  const detail = error.detail ?? `${error.message ?? error}`;
  return h(
    "div.notice.error",
    { role: "alert" },
    h("h2", error.title ?? "Something went wrong in the page"),
    h("p", detail),
    actions.length > 0 && h("p.actions", actions.map(actionButton)),
  );
}

function actionButton({ text, title, run }) {
  return h("button.button", { text, title: title ?? text, onclick: run });
}

/**
 * An empty room that says how to begin.
 * @param {string} title @param {string} detail @param {...Node} children @returns {HTMLElement}
 */
export function emptyNotice(title, detail, ...children) {
  return h("div.notice", h("h2", title), h("p", detail), ...children);
}

/** Grey cells in place of pictures to come. @param {number} count @returns {HTMLElement} */
export function skeleton(count) {
  const cells = Array.from({ length: count }, () => h("li", h("span.tile.waiting")));
  return h(
    "div.groups",
    { "aria-hidden": "true" },
    h("div.group", h("h3", h("span.bone")), h("ul.grid", { role: "list" }, cells)),
  );
}

const PATIENCE = 300; // ms before a spinner: quick answers do not flicker

/**
 * The newest of several promises: earlier ones are dropped, and `element` turns busy while it takes long.
 * @param {HTMLElement} element
 * @returns {(promise: Promise<any>, show: (value: any) => void, fail: (error: any) => void) => Promise<void>}
 */
export function newest(element) {
  let turn = 0;
  return async (promise, show, fail) => {
    const mine = ++turn;
    const timer = setTimeout(() => mine === turn && element.setAttribute("aria-busy", "true"), PATIENCE);
    const end = () => {
      clearTimeout(timer);
      if (mine === turn) element.removeAttribute("aria-busy");
      return mine === turn;
    };
    try {
      const value = await promise;
      if (end()) show(value);
    } catch (error) {
      if (!end()) return;
      if (error.status === undefined) console.error(error);
      fail(error);
    }
  };
}

const LIVE = h("p.spoken", { role: "status", "aria-live": "polite" });

/** Tell screen readers what changed. @param {string} text */
export function say(text) {
  if (!LIVE.isConnected) document.body.append(LIVE);
  fill(LIVE, text);
}

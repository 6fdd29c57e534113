// Keys, and the dialog that lists them.

import { fill, h } from "./dom.js";

const SECTIONS = new Map();

/**
 * Listen for the keys of a section; a later call for the same section replaces its keys.
 * @param {string} section @param {{key: string, title?: string, run?: (event: KeyboardEvent) => void}[]} keys
 *   `key` as in KeyboardEvent.key; without `run` it is only listed, without `title` only heard
 */
export function listen(section, keys) {
  SECTIONS.set(section, keys);
}

/** Forget a section's keys. @param {string} section */
export function unlisten(section) {
  SECTIONS.delete(section);
}

const WRITES = "input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select";

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]") || event.target.closest?.(WRITES)) return;
  for (const keys of [...SECTIONS.values()].reverse()) {
    const found = keys.find((each) => each.run && each.key === event.key);
    if (!found) continue;
    event.preventDefault();
    found.run(event);
    return;
  }
}

/** Start to listen. */
export function startKeys() {
  document.addEventListener("keydown", pressed);
}

/** The dialog that lists all keys. @returns {HTMLDialogElement} with `list()`, which opens it */
export function keysDialog() {
  const body = h("div.keys");
  const dialog = modal("Keys", body);
  const listed = ({ key, title }) => title && h("div", h("dt", h("kbd", key)), h("dd", title));
  dialog.list = () => {
    fill(
      body,
      [...SECTIONS].map(([section, keys]) => h("section", h("h3", section), h("dl", keys.map(listed)))),
    );
    dialog.showModal();
  };
  return dialog;
}

/**
 * A dialog with a heading and a button that closes it; a click beside it closes it too.
 * @param {string} title @param {...Node} children @returns {HTMLDialogElement}
 */
export function modal(title, ...children) {
  const close = h("button.quiet", { title: "Close (Esc)", text: "Close", onclick: () => dialog.close() });
  const dialog = h("dialog.modal", { "aria-label": title }, h("header", h("h2", title), close), ...children);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}

// One tab stop for many: Tab enters a list, arrows move in it.

/**
 * Let arrow keys move the focus among the children of a container that match a selector.
 * @param {HTMLElement} container @param {string} selector
 * @param {{onFocus?: (element: HTMLElement) => void}} [options]
 * @returns {{move: (step: number) => void, current: () => HTMLElement|null, refresh: () => void, enter: (element: HTMLElement) => void}}
 */
export function roving(container, selector, { onFocus } = {}) {
  let last = null;
  const all = () => [...container.querySelectorAll(selector)].filter((each) => !each.closest("[hidden]"));
  const current = () => (last && container.contains(last) && !last.closest("[hidden]") ? last : null);
  const enter = (element) => {
    if (last && last !== element) last.tabIndex = -1;
    element.tabIndex = 0;
    last = element;
  };
  const focus = (element) => {
    if (!element) return;
    enter(element);
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  };
  const move = (step) => {
    const elements = all();
    const at = elements.indexOf(current());
    const next = document.activeElement !== last ? Math.max(at, 0) : at + step;
    focus(elements[Math.min(Math.max(next, 0), elements.length - 1)]);
  };
  const refresh = () => {
    const first = current() ?? all()[0];
    for (const each of container.querySelectorAll(selector)) each.tabIndex = -1;
    if (first) enter(first);
  };
  container.addEventListener("focusin", (event) => {
    const element = event.target.closest(selector);
    if (!element) return;
    enter(element);
    onFocus?.(element);
  });
  container.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.matches(selector)) return;
    const target = targetOf(event.key, event.target, all());
    if (!target) return;
    event.preventDefault();
    event.stopPropagation();
    focus(target);
  });
  return { move, current, refresh, enter };
}

function targetOf(key, element, elements) {
  const at = elements.indexOf(element);
  if (key === "ArrowRight") return elements[at + 1];
  if (key === "ArrowLeft") return elements[at - 1];
  if (key === "Home") return elements[0];
  if (key === "End") return elements.at(-1);
  if (key === "ArrowDown") return nearestInNextRow(element, elements.slice(at + 1));
  if (key === "ArrowUp") return nearestInNextRow(element, elements.slice(0, at).reverse());
  return undefined;
}

function nearestInNextRow(element, others) {
  const { left, top } = element.getBoundingClientRect();
  let row = null;
  let best = null;
  let least = Infinity;
  for (const other of others) {
    const box = other.getBoundingClientRect();
    if (Math.abs(box.top - top) < 2) continue;
    if (row !== null && Math.abs(box.top - row) > 2) break;
    row = box.top;
    const off = Math.abs(box.left - left);
    if (off < least) [best, least] = [other, off];
  }
  return best;
}

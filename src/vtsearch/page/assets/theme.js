// Dark or light: as the system says, until a person says otherwise.

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Apply a theme. @param {string|null} theme light, dark or null @returns {boolean} whether it is dark now */
export function applyTheme(theme) {
  const isDark = theme === "dark" || (theme !== "light" && DARK.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  return isDark;
}

/** The other theme. @param {string|null} theme @returns {string} */
export function nextTheme(theme) {
  return theme === "dark" || (theme !== "light" && DARK.matches) ? "light" : "dark";
}

// The token that a server may want.

import { h } from "./dom.js";
import { modal } from "./keys.js";

/** The token in the address, which is removed from it at once. @returns {string|null} */
export function takeToken() {
  const words = new URLSearchParams(location.hash.slice(1));
  const token = words.get("token");
  if (token === null) return null;
  words.delete("token");
  history.replaceState(null, "", `#${words}`);
  return token;
}

/**
 * A function that gives the token: the one of the address first, then what a person types.
 * @param {string|null} first @returns {(wrong: boolean) => Promise<string>}
 */
export function askToken(first) {
  let given = first;
  return (wrong) => {
    const token = given;
    given = null;
    return token ? Promise.resolve(token) : typedToken(wrong);
  };
}

function typedToken(wrong) {
  return new Promise((resolve) => {
    const field = h("input", {
      type: "password",
      required: true,
      autocomplete: "current-password",
      "aria-label": "Token",
    });
    const form = h(
      "form",
      h(
        "p",
        wrong
          ? "That token is not the server's. Look it up where the server was started."
          : "The server asks for the token that it was started with.",
      ),
      field,
      h("button.button.first", { type: "submit" }, "Continue"),
    );
    const dialog = modal("Token", form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close();
      dialog.remove();
      resolve(field.value.trim());
    });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.querySelector("header button").remove();
    document.body.append(dialog);
    dialog.showModal();
  });
}

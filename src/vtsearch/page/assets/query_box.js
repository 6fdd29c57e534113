// Ways to ask: a picture dropped, pasted or chosen; an id; a code.

import { h, icon } from "./dom.js";

/**
 * The box in the header. Pictures may be dropped and pasted anywhere.
 * @param {{onFile: (file: File) => void, onText: (text: string) => void}} options
 * @returns {HTMLElement} with `focusText()` and `choose()`
 */
export function queryBox({ onFile, onText }) {
  const text = h("input.ask", {
    type: "search",
    placeholder: "Drop, paste or choose a picture, or type an id or a code",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Query: id or code",
    title: "An id, or a code in hexadecimal; Enter searches (/)",
    enterkeyhint: "search",
  });
  const file = h("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "Picture" });
  file.addEventListener("change", () => {
    if (file.files[0]) onFile(file.files[0]);
    file.value = "";
  });
  const choose = h(
    "button.square",
    { title: "Choose a picture (o)", "aria-label": "Choose a picture", onclick: () => file.click() },
    icon("picture"),
  );
  const form = h(
    "form.asks",
    { role: "search", onsubmit: submit },
    choose,
    text,
    h("kbd", { text: "/", "aria-hidden": "true" }),
    file,
  );
  function submit(event) {
    event.preventDefault();
    if (!text.value.trim()) return;
    onText(text.value.trim());
    text.blur();
  }
  text.addEventListener("keydown", (event) => event.key === "Escape" && text.blur());
  form.focusText = () => text.select();
  form.choose = () => file.click();
  form.write = (words) => (text.value = words);
  takeDrops(onFile);
  takePastes(onFile);
  return form;
}

function takeDrops(onFile) {
  const cover = h("div.drop", { hidden: true }, h("p", "Drop the picture to search with it"));
  document.body.append(cover);
  let inside = 0;
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (change) => {
    inside = Math.max(inside + change, 0);
    cover.hidden = inside === 0;
  };
  addEventListener("dragenter", (event) => hasFile(event) && show(1));
  addEventListener("dragleave", (event) => hasFile(event) && show(-1));
  addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    show(-inside);
    if (!hasFile(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files[0]) onFile(event.dataTransfer.files[0]);
  });
}

function takePastes(onFile) {
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    onFile(file);
  });
}

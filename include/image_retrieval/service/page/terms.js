/** The search bar: words, pictures that are picked, pasted or dropped, and the terms as chips. */

import { showPicture } from "./api.js";
import { byId, draw, make, say, showError, visible } from "./dom.js";
import { t } from "./language.js";
import { cutOut } from "./region.js";

/** @typedef {import("./state.js").Term} Term */

/** @type {Map<string, {name: string, url: string, base64: string}>} pictures that this page was given, by number */
const given = new Map();
const MOST_BYTES = 24 * 2 ** 20; // base64 takes 4/3, and the service refuses requests over 32 MiB

/** @param {string} value number of a given picture */
export const givenPicture = (value) => given.get(value);

/**
 * @param {Blob & {name?: string}} file
 * @returns {Promise<Term | null>} null where it is told why not
 */
async function take(file) {
  if (file.size > MOST_BYTES) {
    showError({ message: t("{name} is larger than 24 MiB", { name: file.name ?? t("the picture") }), hint: t("make it smaller first") });
    return null;
  }
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  const number = String(given.size + 1);
  const base64 = url.slice(url.indexOf(",") + 1);
  given.set(number, { name: file.name ?? t("pasted picture"), url: URL.createObjectURL(file), base64 });
  return { kind: "file", value: number, less: false };
}

/**
 * @param {object} handlers
 * @param {(terms: Term[], also: boolean) => void} handlers.onSearch new terms; `also`: besides those that there are
 * @param {() => void} handlers.onClear
 */
export function listenToSearchBar({ onSearch, onClear }) {
  const input = byId("text");
  /** @param {boolean} also @param {boolean} less */
  const submit = (also, less) => {
    const text = input.value.trim();
    input.focus();
    if (!text) return;
    input.value = "";
    onSearch([{ kind: "text", value: text, less }], also || less);
  };
  byId("words").addEventListener("submit", (event) => {
    event.preventDefault();
    submit(false, false);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !(event.shiftKey || event.altKey)) return;
    event.preventDefault();
    submit(true, event.altKey);
  });
  byId("more").addEventListener("click", () => submit(true, false));
  byId("less").addEventListener("click", () => submit(true, true));
  byId("clear").addEventListener("click", () => {
    input.value = "";
    onClear();
    input.focus();
  });
  listenToPictures(async (files, also) => {
    const terms = (await Promise.all(files.slice(0, 8).map(take))).filter((term) => term !== null);
    if (terms.length) onSearch(terms, also);
    else if (!files.length) say(t("That is not a picture."));
  });
}

/** @param {(files: File[], also: boolean) => void} onPictures `also`: with Shift, besides the terms that there are */
function listenToPictures(onPictures) {
  const file = byId("file");
  byId("pick").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    onPictures([...(file.files ?? [])], false);
    file.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) onPictures(files, false);
  });
  let inside = 0;
  const show = (/** @type {number} */ change) => {
    inside = change ? inside + change : 0;
    document.body.classList.toggle("dropping", inside > 0);
  };
  const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => holdsFiles(event) && show(1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && show(-1));
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(0);
    onPictures([...(event.dataTransfer?.files ?? [])], event.shiftKey);
  });
}

/**
 * @param {string} collection
 * @param {Term[]} terms
 * @param {(terms: Term[]) => void} onChange
 */
export function showChips(collection, terms, onChange) {
  byId("refine").hidden = terms.length === 0;
  byId("chips").replaceChildren(
    ...terms.map((term, at) => {
      const name = nameOf(term);
      const turned = () => onChange(terms.map((other, i) => (i === at ? { ...other, less: !other.less } : other)));
      const turn = t(term.less ? "Less of {name}; search for more of it" : "More of {name}; search for less of it", { name });
      return make(
        "li",
        { class: term.less ? "chip less" : "chip" },
        make("button", { type: "button", class: "sign", text: term.less ? "−" : "+", title: turn, "aria-label": turn, onclick: turned }),
        picture(collection, term),
        make("span", { class: "name", text: name, title: name }),
        term.kind === "text" ? null : make("button", {
          type: "button",
          class: "part",
          title: t("Search by a part"),
          "aria-label": t("Search by a part of {name}", { name }),
          onclick: () => cutOut(
            collection,
            term,
            (cut) => onChange(terms.map((other, i) => (i === at ? cut : other))),
            term.kind === "file" ? givenPicture(term.value)?.url : undefined,
          ),
        }, draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: "M7 2v15h15M2 7h15v15" }))),
        make("button", {
          type: "button",
          class: "remove",
          text: "✕",
          "aria-label": t("Remove {name}", { name }),
          onclick: () => onChange(terms.filter((_, i) => i !== at)),
        }),
      );
    }),
  );
}

/** @param {Term} term */
function nameOf(term) {
  const name = term.kind === "file" ? (givenPicture(term.value)?.name ?? t("picture")) : visible(term.value);
  if (!term.region) return name;
  return term.place ? t("a part of {name}, at its place", { name }) : t("a part of {name}", { name });
}

/**
 * @param {string} collection
 * @param {Term} term
 */
function picture(collection, term) {
  if (term.kind === "text") return null;
  const image = make("img", { alt: "", onerror: () => image.remove() });
  if (term.region) {
    const [left, top, width, height] = term.region;
    const edges = [top, 1 - left - width, 1 - top - height, left].map((share) => `${Math.max(0, share) * 100}%`);
    image.style.setProperty("object-view-box", `inset(${edges.join(" ")})`); // the whole picture where a browser knows no such box
  }
  if (term.kind === "file") image.src = givenPicture(term.value)?.url ?? "";
  else showPicture(image, collection, term.value, "preview");
  return image;
}

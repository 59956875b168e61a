/** Chosen images: boxes on the pictures, and a bar with what can be done with all that are chosen. */

import { download } from "./api.js";
import { make, say, showError } from "./dom.js";
import { count, counted, t } from "./language.js";

/** @typedef {import("./gallery.js").Image} Image */

const MOST = 10000; // images in one file
/** @type {Set<string>} ids, in the order in which they were chosen */
const chosen = new Set();
let collection = "";
let last = ""; // id of the box that was used last: where a range begins

/**
 * @param {string} name of the collection that is shown; what was chosen in another one is forgotten
 * @param {boolean} shown whether its images are shown
 */
export function chooseIn(name, shown) {
  if (name !== collection) chosen.clear();
  collection = name;
  showBar(shown);
}

/**
 * @param {Image[]} images of the gallery, in order
 * @param {number} at
 * @returns {HTMLElement} the box of an image
 */
export function choiceBox(images, at) {
  const { image_id: id } = images[at];
  const box = make("input", {
    type: "checkbox",
    tabindex: -1,
    "data-choice": id,
    "aria-label": t("Choose {name}", { name: id }),
    onclick: (/** @type {MouseEvent} */ event) => choose(images, at, event.shiftKey, box.checked),
  });
  box.checked = chosen.has(id);
  return make("label", { class: "choose", title: t("Choose (x; with Shift: all from the last one)") }, box);
}

/**
 * @param {Image[]} images of the gallery, in order
 * @param {number} at
 * @param {boolean} range whether all from the last box to this one change
 * @param {boolean} [on] default: the other of what it is
 */
export function choose(images, at, range, on = !chosen.has(images[at].image_id)) {
  const from = range ? images.findIndex((image) => image.image_id === last) : -1;
  const [first, end] = from < 0 ? [at, at] : [Math.min(from, at), Math.max(from, at)];
  for (const { image_id: id } of images.slice(first, end + 1)) {
    if (on) chosen.add(id);
    else chosen.delete(id);
  }
  last = images[at].image_id;
  showBar(true);
  say(chosen.size ? t("{images} chosen", { images: counted(chosen.size, "image") }) : t("No image is chosen."));
}

/** @param {boolean} shown whether images are shown */
function showBar(shown) {
  for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("[data-choice]"))) {
    box.checked = chosen.has(box.dataset.choice ?? "");
  }
  document.body.classList.toggle("choosing", chosen.size > 0);
  document.querySelector(".selection")?.remove();
  if (shown && chosen.size) document.body.append(bar());
}

function bar() {
  const vectors = make("input", { type: "checkbox" });
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick, kind = "plain") => make("button", { type: "button", class: kind, text, onclick });
  const save = (/** @type {string} */ format) => saveAs(format, vectors.checked).catch(showError);
  const none = () => {
    chosen.clear();
    showBar(true);
    say(t("No image is chosen."));
  };
  return make(
    "div",
    { class: "selection", role: "region", "aria-label": t("Chosen images") },
    make("strong", { text: t("{images} chosen", { images: counted(chosen.size, "image") }) }),
    button(t("Copy ids"), () => copyIds().catch(showError)),
    button("CSV", () => save("csv")),
    button("Parquet", () => save("parquet")),
    make("label", { class: "check" }, vectors, t("with vectors")),
    button(t("Choose none"), none),
  );
}

/**
 * Save what is known of the chosen images, in several numbered files if they are too many for one.
 * @param {string} format
 * @param {boolean} vectors
 */
async function saveAs(format, vectors) {
  const [ids, name] = [[...chosen], collection];
  const files = Math.ceil(ids.length / MOST);
  for (let file = 0; file < files; file += 1) {
    const image_ids = ids.slice(file * MOST, (file + 1) * MOST);
    const number = files > 1 ? `-${file + 1}` : "";
    await download("api/export", { collection: name, image_ids, format, vectors }, `${name}${number}.${format}`);
  }
  if (files > 1) say(t("{images} in {n} files", { images: counted(ids.length, "image"), n: count(files) }));
}

async function copyIds() {
  const text = [...chosen].join("\n");
  if (navigator.clipboard) await navigator.clipboard.writeText(text).catch(() => copyByHand(text));
  else copyByHand(text);
  say(t("{images} copied, one id a line", { images: counted(chosen.size, "image") }));
}

/** @param {string} text is copied where the browser gives no clipboard, as to a page without TLS */
function copyByHand(text) {
  const field = make("textarea", { class: "unseen" });
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

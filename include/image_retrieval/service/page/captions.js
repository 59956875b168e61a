/** Captions: the one that a reader sees, those of each language, and a form in which people write their own. */

import { ask, change, collectionPath } from "./api.js";
import { make, say, showError } from "./dom.js";
import { locale, t } from "./language.js";

/**
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {{collection: string, image: Image, writing: boolean, onChange: () => void}} Captioned
 *   `writing`: whether this user may change something
 */

/** @param {Image} image @returns {boolean} whether its caption is not that of a model */
const isByPeople = ({ caption, captions }) => caption !== null && !Object.values(captions ?? {}).includes(caption);

/** @param {Image} image @returns {string | null} what people wrote, else what a model wrote in the reader's language, else the first */
export function captionOf(image) {
  const told = isByPeople(image) ? undefined : Object.entries(image.captions ?? {}).find(([code]) => code.split("-")[0] === locale().split("-")[0]);
  return told?.[1] ?? image.caption;
}

/** @param {string} collection @param {string} id */
const pathOf = (collection, id) => `${collectionPath(collection)}/image?${new URLSearchParams({ image_id: id })}`;

/**
 * Show the captions of an image, read anew.
 * @param {HTMLElement} place
 * @param {Captioned} given
 */
export async function showCaptions(place, given) {
  const { collection, image } = given;
  place.dataset.image = image.image_id;
  show(place, given);
  try {
    take(image, await ask(pathOf(collection, image.image_id)));
    if (place.dataset.image === image.image_id && !place.querySelector("form")) show(place, given);
  } catch (error) {
    showError(error);
  }
}

/** @param {Image} image @param {Image} found */
function take(image, found) {
  image.caption = found.caption;
  image.captions = found.captions;
}

/** @param {HTMLElement} place @param {Captioned} given */
function show(place, given) {
  const { image, writing } = given;
  const caption = captionOf(image);
  const others = Object.entries(image.captions ?? {}).filter(([, text]) => text !== caption);
  const names = new Intl.DisplayNames(locale(), { type: "language" });
  const edit = make("button", { type: "button", class: "plain", text: caption === null ? t("Write a caption") : t("Edit the caption"), onclick: () => showForm(place, given) });
  place.replaceChildren(
    ...(caption === null ? [] : [make("p", { class: "caption", text: caption, title: t(isByPeople(image) ? "Written by people" : "Written by a model") })]),
    ...(others.length
      ? [make("dl", {}, ...others.flatMap(([code, text]) => [make("dt", { text: names.of(code) ?? code }), make("dd", { text, lang: code })]))]
      : []),
    ...(writing ? [edit] : []),
  );
}

/** @param {HTMLElement} place @param {Captioned} given */
function showForm(place, given) {
  const { image } = given;
  const back = () => {
    show(place, given);
    place.querySelector("button")?.focus();
  };
  const text = make("textarea", { rows: 2, maxlength: 5000, "aria-label": t("Caption") });
  text.value = captionOf(image) ?? "";
  const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) => make("button", { type: "button", class: "plain", text: label, onclick });
  const form = make(
    "form",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        save(place, given, text.value.trim() || null);
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        event.stopPropagation(); // the viewer's arrow keys
        if (event.key !== "Escape") return;
        event.preventDefault();
        back();
      },
    },
    text,
    make("p", { class: "hint", text: t("What people write is shown in every language, and no model replaces it.") }),
    make("button", { class: "main", text: t("Save") }),
    isByPeople(image) ? button(t("Remove"), () => save(place, given, null)) : null,
    button(t("Cancel"), back),
  );
  place.replaceChildren(form);
  text.focus();
}

/**
 * @param {HTMLElement} place
 * @param {Captioned} given
 * @param {string | null} caption null: what a model wrote is shown again
 */
async function save(place, given, caption) {
  const { collection, image, onChange } = given;
  try {
    take(image, await change(pathOf(collection, image.image_id), { caption }));
    onChange();
    say(caption === null ? t("The caption was removed.") : t("The caption was saved."));
    if (place.dataset.image !== image.image_id) return;
    show(place, given);
    place.querySelector("button")?.focus();
  } catch (error) {
    place.append(make("p", { class: "wrong", role: "alert", text: /** @type {Error} */ (error).message }));
  }
}

/** What a search by words looks at: pictures, captions or both; and why an image is among the results. */

import { byId } from "./dom.js";
import { t } from "./language.js";

/**
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Term} Term
 */

export const MODES = ["vector", "words", "hybrid"];

/** @type {Record<string, () => string>} */
const SIDES = { vector: () => t("the picture itself"), words: () => t("words of the caption"), caption: () => t("meaning of the caption") };

/**
 * Show the choice where it makes a difference: once an image with a caption was seen, or another mode was chosen.
 * @param {State} state
 * @param {Image[]} [images] that are shown
 */
export function showModes(state, images = []) {
  const select = byId("mode");
  for (const option of select.options) option.textContent = modeName(option.value);
  select.setAttribute("aria-label", t("What words are compared with"));
  select.value = state.mode;
  const seen = select.dataset.captioned === state.collection || images.some(({ caption }) => caption !== null);
  if (seen) select.dataset.captioned = state.collection;
  /** @type {HTMLElement} */ (select.parentElement).hidden = !seen && state.mode === "vector";
}

/** @param {(changed: Partial<State>) => void} onChange */
export function listenToModes(onChange) {
  const select = byId("mode");
  select.addEventListener("change", () => onChange({ mode: select.value, all: false }));
}

/** @param {string} mode @returns {string} */
export const modeName = (mode) => ({ words: t("By captions"), hybrid: t("By both") })[mode] ?? t("By pictures");

/**
 * @param {string} mode
 * @param {Term[]} terms
 * @returns {string} the mode in which these terms can be searched
 */
export function modeOf(mode, terms) {
  const hasWords = terms.some(({ kind, less }) => kind === "text" && !less);
  if (mode === "hybrid" && hasWords) return "hybrid";
  return mode === "words" && hasWords && terms.every(({ kind }) => kind === "text") ? "words" : "vector";
}

/** @param {Term[]} terms texts, as one search for words */
export const wordsOf = (terms) => terms.map(({ value, less }) => (less ? `-"${value.replaceAll('"', " ")}"` : value)).join(" ");

/** @param {Image} image @returns {string} the sides that found it; an empty text if only one was asked */
export const foundBy = ({ found_by: sides }) => (sides ?? []).map((side) => SIDES[side]?.() ?? side).join(" + ");

/** @param {Image} image @returns {string} the score that each side gives it; an empty text if only one was asked */
export const scoredBy = ({ scores }) =>
  Object.entries(scores ?? {}).map(([side, score]) => `${SIDES[side]?.() ?? side} ${score.toFixed(2)}`).join(", ");

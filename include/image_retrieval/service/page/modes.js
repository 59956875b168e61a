/** What a search by words looks at: pictures, captions or all of it; and why an image is among the results. */

import { byId, make } from "./dom.js";
import { t } from "./language.js";

/**
 * @typedef {import("./api.js").Collection} Collection
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Term} Term
 */

export const MODES = ["vector", "caption", "words", "hybrid"];

/** @type {Record<string, () => string>} */
const NAMES = { vector: () => t("By look"), caption: () => t("By caption meaning"), words: () => t("By caption words"), hybrid: () => t("By everything") };

/** @type {Record<string, () => string>} */
const SIDES = { vector: () => t("look"), words: () => t("caption words"), caption: () => t("caption meaning") };

/** @type {Map<string, Set<string>>} by collection: the modes in which its texts can be searched */
const known = new Map();

/** @param {Collection[]} collections */
export function knowModes(collections) {
  for (const { name, modes } of collections) known.set(name, new Set(modes));
}

/** @param {string} collection @param {Image[]} images of it; a caption among them can be searched for words */
export function learnModes(collection, images) {
  if (images.some(({ caption }) => caption !== null)) for (const mode of ["words", "hybrid"]) known.get(collection)?.add(mode);
}

/** @param {string} collection @returns {string[]} the modes in which its texts can be searched */
export const modesOf = (collection) => MODES.filter((mode) => known.get(collection)?.has(mode));

/**
 * Show the choice where there is one: not where pictures alone are asked for.
 * @param {State} state
 */
export function showModes({ collection, mode, terms }) {
  const select = byId("mode");
  const modes = modesOf(collection);
  const options = modes.map((value) => make("option", { value, text: modeName(value) }));
  const texts = (/** @type {Iterable<HTMLOptionElement>} */ some) => [...some].map(({ text }) => text).join("\n");
  if (texts(options) !== texts(select.options)) select.replaceChildren(...options); // an open list would close
  select.setAttribute("aria-label", t("What texts are compared with"));
  select.value = textMode(collection, mode) ?? "";
  /** @type {HTMLElement} */ (select.parentElement).hidden = modes.length < 2 || (terms.length > 0 && !terms.some(isWanted));
}

/** @param {(changed: Partial<State>) => void} onChange */
export function listenToModes(onChange) {
  const select = byId("mode");
  select.addEventListener("change", () => onChange({ mode: select.value, all: false }));
}

/** @param {string} mode @returns {string} */
export const modeName = (mode) => NAMES[mode]?.() ?? mode;

/**
 * @param {string} collection
 * @param {string} mode that is asked for
 * @returns {string | undefined} the mode of its texts: this one, or the last one that is possible
 */
function textMode(collection, mode) {
  const modes = modesOf(collection);
  return modes.includes(mode) ? mode : modes.includes("vector") ? "vector" : modes.at(-1);
}

/**
 * @param {Pick<State, "collection" | "mode" | "terms">} state
 * @returns {string} the mode in which these terms can be searched
 */
export function modeOf({ collection, mode, terms }) {
  if (!terms.some(isWanted)) return "vector";
  const [modes, usual] = [modesOf(collection), textMode(collection, mode) ?? "vector"];
  if (usual === "hybrid" || terms.every(({ kind }) => kind === "text")) return usual;
  return modes.includes("vector") || !modes.includes("hybrid") ? "vector" : "hybrid"; // pictures are among the terms
}

/** @param {Term} term @returns {boolean} whether it is a text that results should fit */
const isWanted = ({ kind, less }) => kind === "text" && !less;

/** @param {Term[]} terms texts, as one search for words */
export const wordsOf = (terms) => terms.map(({ value, less }) => (less ? `-"${value.replaceAll('"', " ")}"` : value)).join(" ");

/** @param {Image} image @returns {string} the sides that found it; an empty text if only one was asked */
export const foundBy = ({ found_by: sides }) => (sides ?? []).map((side) => SIDES[side]?.() ?? side).join(" + ");

/** @param {Image} image @returns {string} the score that each side gives it; an empty text if only one was asked */
export const scoredBy = ({ scores }) =>
  Object.entries(scores ?? {}).map(([side, score]) => `${SIDES[side]?.() ?? side} ${score.toFixed(2)}`).join(", ");

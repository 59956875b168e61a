/** The images to show, page by page: the results of a search, or the whole collection. */

import { ask, collectionPath } from "./api.js";
import { modeOf, wordsOf } from "./modes.js";
import { givenPicture } from "./terms.js";

/**
 * @typedef {import("./api.js").Image} Image
 * @typedef {import("./api.js").Images} Images
 * @typedef {import("./api.js").Results} Results
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Term} Term
 * @typedef {{images: Image[], more: boolean, calibrated: boolean, cutoff: number | null}} Page
 *   `more`: whether another page follows; `cutoff`: images under this score are not shown
 */

const PAGE = 40;
const FURTHEST = 500; // where the service's pages end

/**
 * @param {State} state
 * @param {string} mode
 * @returns {[string, any]} the path and the form of its search, without a page
 */
export function requestOf(state, mode = modeOf(state)) {
  const { collection, terms, filter, grouped } = state;
  const common = { collection, filter, grouped, ...(state.all ? { min_score: -1 } : {}) };
  const [first, ...others] = terms;
  if (!others.length && first.kind === "image" && !first.region) return ["api/similar", { ...common, image_id: first.value }];
  const placed = !others.length && first.region && first.place ? { at_place: true } : {};
  const asked = mode === "words" ? { texts: [{ text: wordsOf(terms) }] } : weighed(terms);
  return ["api/search", { ...common, ...placed, mode, ...asked }];
}

/**
 * @param {State} state
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Page, void>} the pages of a search, best first
 */
export async function* found(state, signal) {
  const [path, form] = requestOf(state);
  /** @type {Set<string>} */
  const seen = new Set(); // a hybrid search looks deeper for further pages, and may move an image to a later one
  for (let offset = 0; offset <= FURTHEST; offset += PAGE) {
    /** @type {Results} */
    const answer = await ask(path, { ...form, k: PAGE, offset, captions: true }, signal);
    const last = offset + PAGE > FURTHEST;
    const images = answer.results.filter(({ image_id: id }) => !seen.has(id));
    for (const { image_id: id } of images) seen.add(id);
    yield { images, more: answer.more && !last, calibrated: answer.calibration !== null, cutoff: answer.min_score };
    if (!answer.more) return;
  }
}

/** @param {Term[]} terms as the service takes them */
function weighed(terms) {
  const weight = (/** @type {Term} */ { less }) => (less ? -0.5 : 1);
  const texts = terms.filter(({ kind }) => kind === "text").map((term) => ({ text: term.value, weight: weight(term) }));
  const images = terms
    .filter(({ kind }) => kind !== "text")
    .map((term) => ({
      weight: weight(term),
      ...(term.kind === "file" ? { base64: givenPicture(term.value)?.base64 } : { image_id: term.value }),
      ...(term.region ? { region: term.region } : {}),
    }));
  return { texts, images };
}

/**
 * @param {State} state
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Page, void>} the pages of the images that match the filter, by id
 */
export async function* browsed(state, signal) {
  const asked = new URLSearchParams({ limit: String(PAGE) });
  if (Object.keys(state.filter).length) asked.set("filter", JSON.stringify(state.filter));
  const path = `${collectionPath(state.collection)}/images?`;
  let after = null;
  do {
    if (after !== null) asked.set("after", after);
    /** @type {Images} */
    const answer = await ask(path + asked, undefined, signal);
    after = answer.after;
    yield { images: answer.images, more: after !== null, calibrated: false, cutoff: null };
  } while (after !== null);
}

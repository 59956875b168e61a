/** One search done in two ways, side by side: under another model, or by another mode. */

import { ask, showPicture } from "./api.js";
import { byId, make, say, visible } from "./dom.js";
import { count, t } from "./language.js";
import { modeName, modeOf, modesOf } from "./modes.js";
import { requestOf } from "./results.js";

/**
 * @typedef {import("./api.js").Collection} Collection
 * @typedef {import("./api.js").Image} Image
 * @typedef {import("./api.js").Results} Results
 * @typedef {import("./state.js").State} State
 */

const SHOWN = 20; // images of each side

/**
 * @param {Collection | undefined} collection
 * @param {State} state
 * @returns {string[]} what the search can be compared with: `model:…` or `mode:…`
 */
export function alternatives(collection, state) {
  if (!collection || !state.terms.some(({ less }) => !less)) return [];
  const usual = modeOf(state);
  const models = usual === "words" || usual === "caption" ? [] : collection.models.slice(1);
  const modes = modesOf(state.collection).filter((mode) => mode !== usual && modeOf({ ...state, mode }) === mode);
  return [...models.map((model) => `model:${model}`), ...modes.map((other) => `mode:${other}`)];
}

/**
 * Show what there is to compare with, if there is anything.
 * @param {string[]} ways
 * @param {State} state
 * @param {(changed: Pick<State, "compare">) => void} onChange
 */
export function showCompare(ways, { compare }, onChange) {
  const label = byId("compare");
  const select = /** @type {HTMLSelectElement} */ (label.querySelector("select"));
  label.hidden = !ways.length;
  select.replaceChildren(make("option", { value: "", text: t("nothing") }), ...ways.map((way) => make("option", { value: way, text: nameOf(way) })));
  select.value = ways.includes(compare) ? compare : "";
  select.onchange = () => onChange({ compare: select.value });
}

/** @param {string} way */
function nameOf(way) {
  const [kind, name] = way.split(":");
  return kind === "model" ? t("model {name}", { name }) : modeName(name);
}

/**
 * @param {Collection} collection
 * @param {State} state
 * @param {AbortSignal} signal
 * @param {(id: string) => void} onSearch
 * @returns {Promise<HTMLElement>}
 */
export async function comparison(collection, state, signal, onSearch) {
  const [kind, name] = state.compare.split(":");
  const [path, form] = requestOf(state);
  const ranked = kind === "model" ? { min_score: -1 } : {}; // each model has a cutoff of its own, or none
  const asked = { ...form, ...ranked, k: SHOWN };
  const [, changed] = kind === "mode" ? requestOf(state, name) : [path, { ...asked, model: name }];
  /** @type {[Results, Results]} */
  const [usual, other] = await Promise.all([ask(path, asked, signal), ask(path, { ...changed, k: SHOWN }, signal)]);
  const both = usual.results.filter(({ image_id: id }) => rankOf(other, id) >= 0).length;
  say(t("In both: {both} of the first {shown} images", { both: count(both), shown: count(Math.max(usual.results.length, other.results.length)) }));
  const column = (/** @type {string} */ title, /** @type {Results} */ these, /** @type {Results} */ those, /** @type {boolean} */ second) =>
    make(
      "section",
      { "aria-label": title },
      make("h2", { text: title }),
      these.results.length
        ? make("ol", { class: "ranked" }, ...these.results.map((image, at) => row(state.collection, image, at, rankOf(those, image.image_id), second, onSearch)))
        : make("p", { class: "hint", text: t("Nothing relevant was found.") }),
    );
  return make(
    "div",
    { class: "compared" },
    column(kind === "model" ? t("model {name}", { name: collection.models[0] }) : modeName(modeOf(state)), usual, other, false),
    column(nameOf(state.compare), other, usual, true),
  );
}

/** @param {Results} results @param {string} id @returns {number} -1 where it is not among them */
const rankOf = ({ results }, id) => results.findIndex((image) => image.image_id === id);

/**
 * @param {string} collection
 * @param {Image} image
 * @param {number} at its place here
 * @param {number} there its place on the other side
 * @param {boolean} second whether this is the second side, whose moves are told
 * @param {(id: string) => void} onSearch
 */
function row(collection, image, at, there, second, onSearch) {
  const { image_id: id, score } = image;
  const picture = make("img", { alt: "", loading: "lazy" });
  showPicture(picture, collection, id, "preview");
  const [sign, meaning, kind] = moveOf(at, there, second);
  return make(
    "li",
    {},
    make("span", { class: "number", text: count(at + 1) }),
    make("button", { type: "button", class: "twin", title: t("Search from this image"), onclick: () => onSearch(id) }, picture, make("span", { text: visible(id) })),
    make("span", { class: "number", text: (score ?? 0).toFixed(3) }),
    make("span", { class: `move ${kind}`, title: meaning }, make("span", { "aria-hidden": "true", text: sign }), make("span", { class: "unseen", text: meaning })),
  );
}

/**
 * @param {number} at
 * @param {number} there
 * @param {boolean} second
 * @returns {[string, string, string]} sign, meaning and class of a move
 */
function moveOf(at, there, second) {
  if (there < 0) return second ? ["＋", t("only here"), "up"] : ["−", t("only here"), "down"];
  if (!second) return ["", "", ""];
  if (there === at) return ["=", t("at the same place"), ""];
  const places = count(Math.abs(there - at));
  return there > at ? [`↑ ${places}`, t("{places} up", { places }), "up"] : [`↓ ${places}`, t("{places} down", { places }), "down"];
}

/** Facets: what the images have in common, counted beside the results; a click narrows the results, another one undoes it. */

import { ask } from "./api.js";
import { byId, make, visible } from "./dom.js";
import { count, named, t } from "./language.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {(changed: Pick<State, "filter">) => void} Change
 */

const FACETS = /** @type {const} */ (["colour", "orientation", "format", "group_id"]); // in this order
const MOST = 12; // values of each
const KEY = "image-retrieval-facets";
const OPEN = "open";

/** @param {string} facet */
function titleOf(facet) {
  if (facet === "colour") return t("Colour");
  if (facet === "orientation") return t("Orientation");
  return facet === "format" ? t("Format") : t("Group");
}

/** @param {string} facet @param {string} value */
const labelOf = (facet, value) => (facet === "colour" || facet === "orientation" ? named(value) : visible(value));

let open = kept() === OPEN;

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser that keeps nothing
  }
}

/** @param {() => void} onChange shows them anew */
export function listenToFacets(onChange) {
  byId("facets-button").addEventListener("click", () => {
    open = !open;
    try {
      localStorage.setItem(KEY, open ? OPEN : "");
    } catch {
      // it lasts until the page is closed
    }
    onChange();
  });
}

/** @param {State["filter"]} filter @param {string} facet @param {string | null} value null: any */
function changed(filter, facet, value) {
  const { [facet]: _, ...others } = filter;
  return value === null ? others : { ...others, [facet]: value };
}

/**
 * Count the values of the images that match the filter. The values of a chosen facet are counted without it, so that one
 * can change to another.
 * @param {State} state
 * @param {AbortSignal} signal
 * @param {Change} onChange
 */
export async function showFacets({ collection, tab, filter }, signal, onChange) {
  const [place, shown] = [byId("facets"), open && tab === "images"];
  byId("facets-button").setAttribute("aria-expanded", String(open));
  place.hidden = !shown;
  showChosen(filter, onChange);
  if (!shown) return;
  const filters = new Set(FACETS.map((facet) => JSON.stringify(changed(filter, facet, null))));
  /** @type {Map<string, Record<string, Record<string, number>>>} */
  const counted = new Map();
  await Promise.all([...filters].map(async (text) => {
    const form = { collection, filter: JSON.parse(text), most: MOST };
    counted.set(text, (await ask("api/facets", form, signal)).facets);
  }));
  if (signal.aborted) return;
  const focused = /** @type {HTMLElement | null} */ (place.contains(document.activeElement) ? document.activeElement : null)?.dataset.value;
  place.replaceChildren(...FACETS.map((facet) => {
    const values = counted.get(JSON.stringify(changed(filter, facet, null)))?.[facet] ?? {};
    return part(facet, values, filter, onChange);
  }).filter((one) => one !== null));
  if (!place.childElementCount) place.append(make("p", { class: "hint", text: t("Nothing to count.") }));
  if (focused) /** @type {HTMLElement | null} */ (place.querySelector(`[data-value="${CSS.escape(focused)}"]`))?.focus();
}

/**
 * @param {string} facet
 * @param {Record<string, number>} values how many images have each
 * @param {State["filter"]} filter
 * @param {Change} onChange
 */
function part(facet, values, filter, onChange) {
  const chosen = filter[facet];
  const all = typeof chosen === "string" && !(chosen in values) ? { [chosen]: 0, ...values } : values;
  if (!Object.keys(all).length) return null;
  const buttons = Object.entries(all).map(([value, images]) =>
    make("li", {}, make(
      "button",
      {
        type: "button",
        "aria-pressed": String(value === chosen),
        "data-value": `${facet}:${value}`,
        onclick: () => onChange({ filter: changed(filter, facet, value === chosen ? null : value) }),
      },
      facet === "colour" ? make("span", { class: `swatch ${value}`, "aria-hidden": "true" }) : null,
      make("span", { class: "name", text: labelOf(facet, value) }),
      make("span", { class: "number", text: count(images) }),
    )));
  return make("section", {}, make("h2", { text: titleOf(facet) }), make("ul", { "aria-label": titleOf(facet) }, ...buttons));
}

/** @param {State["filter"]} filter @param {Change} onChange */
function showChosen(filter, onChange) {
  const chosen = FACETS.filter((facet) => typeof filter[facet] === "string");
  byId("chosen").replaceChildren(...chosen.map((facet) => {
    const name = labelOf(facet, filter[facet]);
    return make(
      "li",
      { class: "chip" },
      make("span", { class: "name", text: t("{facet}: {value}", { facet: titleOf(facet), value: name }) }),
      make("button", {
        type: "button",
        class: "remove",
        text: "✕",
        "aria-label": t("Remove {name}", { name: `${titleOf(facet)} ${name}` }),
        onclick: () => onChange({ filter: changed(filter, facet, null) }),
      }),
    );
  }));
}

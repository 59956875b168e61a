/** The search and the view. They are in the address after #, which can be shared and which no server logs. */

import { embedded } from "./api.js";
import { MODES } from "./modes.js";

/**
 * @typedef {{kind: "text" | "image" | "file", value: string, less: boolean, region?: [number, number, number, number],
 *   place?: boolean}} Term
 *   `value`: the words, the image's id, or the number of a picture that this page was given; `region`: the part of the
 *   picture that counts; `place`: results should show the same there
 * @typedef {{collection: string, tab: string, mode: string, terms: Term[], filter: Record<string, any>, grouped: boolean,
 *   all: boolean, compare: string}} State
 *   `mode`: one of MODES; `all`: also show results under the cutoff; `compare`: the model or mode to compare
 *   the search with, or nothing
 */

const TERMS = /^(less-)?(text|image|file)$/;

/** @returns {State} */
export function readState() {
  /** @type {State} */
  const state = { collection: "", tab: "images", mode: "vector", terms: [], filter: {}, grouped: false, all: false, compare: "" };
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    const term = TERMS.exec(key);
    const last = state.terms.at(-1);
    if (term) state.terms.push({ kind: /** @type {any} */ (term[2]), value, less: Boolean(term[1]) });
    else if (key === "region" && last && last.kind !== "text") last.region = regionOf(value);
    else if (key === "place" && last?.region) last.place = value === "1";
    else if (key === "collection" || key === "tab" || key === "compare") state[key] = value;
    else if (key === "mode" && MODES.includes(value)) state.mode = value;
    else if (key === "grouped" || key === "all") state[key] = value === "1";
    else if (key === "filter") state.filter = parsed(value);
  }
  return state;
}

/**
 * @param {string} text left, top, width and height
 * @returns {[number, number, number, number] | undefined} undefined where it says something else
 */
function regionOf(text) {
  const [left, top, width, height, ...rest] = text.split(",").map(Number);
  const inside = left >= 0 && top >= 0 && width > 0 && height > 0 && left + width <= 1.000001 && top + height <= 1.000001;
  return inside && !rest.length ? [left, top, width, height] : undefined;
}

/**
 * @param {string} text
 * @returns {Record<string, any>} the object that this JSON says; an empty one where it says something else
 */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

/**
 * @param {State} state becomes the address
 * @param {boolean} [silently] in place of the present one
 */
export function writeState(state, silently = false) {
  const pairs = new URLSearchParams({ collection: state.collection });
  if (state.tab !== "images") pairs.set("tab", state.tab);
  if (state.mode !== "vector") pairs.set("mode", state.mode);
  for (const { kind, value, less, region, place } of state.terms) {
    pairs.append(less ? `less-${kind}` : kind, value);
    if (region) pairs.append("region", region.join(","));
    if (region && place) pairs.append("place", "1");
  }
  if (Object.keys(state.filter).length) pairs.set("filter", JSON.stringify(state.filter));
  if (state.grouped) pairs.set("grouped", "1");
  if (state.all) pairs.set("all", "1");
  if (state.compare) pairs.set("compare", state.compare);
  const hash = `#${pairs}`;
  if (hash !== location.hash) history[silently ? "replaceState" : "pushState"](null, "", hash);
  tellAirflow();
}

/** Airflow's own address follows, which is the one that people see and share. */
export function tellAirflow() {
  if (!embedded) return;
  try {
    const { history, location: airflow } = window.parent;
    history.replaceState(history.state, "", airflow.pathname + airflow.search + location.hash);
  } catch {
    // another site's frame: its address is its own
  }
}

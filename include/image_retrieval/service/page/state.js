/** The search and the view. They are in the address after #, which can be shared and which no server logs. */

import { embedded } from "./api.js";
import { MODES } from "./modes.js";

/**
 * @typedef {{kind: "text" | "image" | "file", value: string, less: boolean}} Term
 *   `value`: the words, the image's id, or the number of a picture that this page was given
 * @typedef {{collection: string, tab: string, mode: string, terms: Term[], filter: Record<string, any>, grouped: boolean, all: boolean}} State
 *   `mode`: vector, words or hybrid; `all`: also show results under the cutoff
 */

const TERMS = /^(less-)?(text|image|file)$/;

/** @returns {State} */
export function readState() {
  /** @type {State} */
  const state = { collection: "", tab: "images", mode: "vector", terms: [], filter: {}, grouped: false, all: false };
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    const term = TERMS.exec(key);
    if (term) state.terms.push({ kind: /** @type {any} */ (term[2]), value, less: Boolean(term[1]) });
    else if (key === "collection" || key === "tab") state[key] = value;
    else if (key === "mode" && MODES.includes(value)) state.mode = value;
    else if (key === "grouped" || key === "all") state[key] = value === "1";
    else if (key === "filter") state.filter = parsed(value);
  }
  return state;
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
  for (const { kind, value, less } of state.terms) pairs.append(less ? `less-${kind}` : kind, value);
  if (Object.keys(state.filter).length) pairs.set("filter", JSON.stringify(state.filter));
  if (state.grouped) pairs.set("grouped", "1");
  if (state.all) pairs.set("all", "1");
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

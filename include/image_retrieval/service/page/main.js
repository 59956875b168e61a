/** The page: it shows the search that is in the address; every action of the user changes the address. */

import { ask, mayWrite } from "./api.js";
import { alternatives, comparison, showCompare } from "./compare.js";
import { byId, make, say, showError } from "./dom.js";
import { listenToFacets, showFacets } from "./facets.js";
import { listenToFilters, showFilters } from "./filters.js";
import { makeGallery, watchEnd } from "./gallery.js";
import { count, counted, listenToLanguage, t } from "./language.js";
import { showMapOf } from "./map.js";
import { knowModes, learnModes, listenToModes, modesOf, showModes } from "./modes.js";
import { cutOut } from "./region.js";
import { countRejected, duplicatesReport, rejectedReport, runsReport } from "./reports.js";
import { browsed, found } from "./results.js";
import { chooseIn } from "./selection.js";
import { serviceReport } from "./service.js";
import { readState, tellAirflow, writeState } from "./state.js";
import { givenPicture, listenToSearchBar, showChips } from "./terms.js";
import { showTimeline } from "./timeline.js";
import { trainingsReport } from "./trainings.js";
import { listenToViewer, view } from "./viewer.js";
import "./theme.js";

/**
 * @typedef {import("./api.js").Collection} Collection
 * @typedef {import("./results.js").Page} Page
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Term} Term
 */

const SLOW = 1500; // milliseconds until the page says that a model is being loaded
const WATCHED = 5000; // milliseconds after which the page asks again how far a run is

/** @type {Collection[]} */
let collections = [];
let state = readState();
let writing = false;
let stop = new AbortController();
/** @type {(() => Promise<void>) | null} */
let more = null;
const isMore = () => more !== null;
/** @type {AbortSignal | null} */
let loading = null; // of the search whose next page is under way

/** @param {Partial<State>} changed */
function change(changed) {
  state = { ...state, ...changed };
  writeState(state);
  show();
}

/** @param {Term[]} terms */
const search = (terms) => change({ terms, tab: "images", all: false });
const searchFrom = (/** @type {string} */ id) => search([{ kind: "image", value: id, less: false }]);

const searchByPart = (/** @type {string} */ id) =>
  cutOut(state.collection, { kind: "image", value: id, less: false }, (term) => search([term]));

/** Show the state. */
function show() {
  stop.abort();
  stop = new AbortController();
  more = null;
  showError(null);
  byId("collection").value = state.collection;
  byId("search").hidden = state.tab !== "images";
  showWords();
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = /** @type {HTMLElement} */ (tab).dataset.tab === state.tab;
    tab.setAttribute("aria-selected", String(chosen));
    /** @type {HTMLElement} */ (tab).tabIndex = chosen ? 0 : -1;
    if (chosen) byId("panel").setAttribute("aria-labelledby", tab.id);
  }
  showTab();
  chooseIn(state.collection, state.tab === "images");
  showTimeline(state, stop.signal, change).catch(() => {}); // the search tells what is wrong
  showChips(state.collection, state.terms, search);
  const ways = alternatives(shownCollection(), state);
  showCompare(ways, state, change);
  showFilters(state);
  showFacets(state, stop.signal, change).catch(failed);
  const images = ways.includes(state.compare) ? showComparison : showImages;
  /** @type {Record<string, (signal: AbortSignal) => Promise<void>>} */
  const tabs = { images, duplicates: showDuplicates, rejected: showRejected, map: showMap, runs: showRuns, trainings: showTrainings, service: showService };
  (tabs[state.tab] ?? showImages)(stop.signal).catch(failed);
}

/** Bring the chosen tab to where it is seen: a phone shows a part of the row. */
function showTab() {
  const [row, tab] = [byId("tabs"), byId(`tab-${state.tab}`).getBoundingClientRect()];
  row.scrollLeft += tab.left + tab.width / 2 - row.getBoundingClientRect().left - row.clientWidth / 2;
}

/** Show whether words can be searched for, and how. */
function showWords() {
  const possible = modesOf(state.collection).length > 0;
  byId("text").placeholder = t(possible ? "Describe what you are looking for, in English or Chinese" : "This collection is searched by pictures: drop or choose one");
  byId("text").disabled = !possible;
  showModes(state);
}

const shownCollection = () => collections.find(({ name }) => name === state.collection);

/** @param {AbortSignal} signal */
async function showComparison(signal) {
  const collection = shownCollection();
  if (!collection) return;
  byId("results").classList.add("waiting");
  say(t("Searching …"));
  const clear = () => !signal.aborted && byId("results").classList.remove("waiting");
  const element = await comparison(collection, state, signal, searchFrom).finally(clear);
  if (!signal.aborted) byId("results").replaceChildren(element);
}

/** @param {unknown} error */
function failed(error) {
  if (/** @type {any} */ (error).name === "AbortError") return;
  say("");
  showError(error);
}

/** @param {AbortSignal} signal */
async function showImages(signal) {
  const gallery = makeGallery(state.collection, {
    search: searchFrom,
    refine: (id, less) => search([...state.terms, { kind: "image", value: id, less }]),
    view: (at) => view(state.collection, gallery.images, at, writing, { search: searchFrom, part: searchByPart, caption: gallery.renew }),
    group: (group_id) => change({ filter: { ...state.filter, group_id } }),
  });
  const pages = state.terms.some(({ less }) => !less) ? found(state, signal) : browsed(state, signal);
  byId("results").classList.add("waiting");
  const late = setTimeout(() => say(t("Loading the model, which takes a moment the first time …")), SLOW);
  say(t("Searching …"));
  let first = true;
  more = async () => {
    const { value } = await pages.next();
    clearTimeout(late);
    if (signal.aborted) return;
    if (first) byId("results").replaceChildren(gallery.element);
    first = false;
    byId("results").classList.remove("waiting");
    if (!value) {
      more = null;
      return;
    }
    gallery.add(value.images, value.calibrated);
    learnModes(state.collection, value.images);
    showWords();
    tellFound(gallery.images.length, value);
    if (!value.more) more = null;
  };
  try {
    await next(signal);
  } catch (error) {
    clearTimeout(late);
    if (!signal.aborted) {
      byId("results").replaceChildren();
      byId("results").classList.remove("waiting");
    }
    throw error;
  }
}

/** @param {AbortSignal} signal */
async function next(signal) {
  if (more === null || loading === signal) return;
  loading = signal;
  try {
    await more();
  } finally {
    if (loading === signal) loading = null;
  }
  const end = byId("end").getBoundingClientRect();
  if (isMore() && !signal.aborted && end.top < innerHeight + 400) await next(signal);
}

/**
 * @param {number} shown
 * @param {Page} page
 */
function tellFound(shown, page) {
  const searched = state.terms.some(({ less }) => !less);
  const under = page.cutoff !== null && !state.all;
  const showAll = (/** @type {string} */ text, kind = "plain") =>
    make("button", { type: "button", class: kind, text, onclick: () => change({ all: true }) });
  if (shown) {
    const images = counted(shown, "image");
    if (searched) say(t(page.more ? "{images}, best first, more below" : "{images}, best first", { images }));
    else say(t(page.more ? "{images} of the collection, more below" : "{images} of the collection", { images }));
    if (under && !page.more) byId("results").append(make("p", { class: "weaker" }, showAll(t("Show weaker results"))));
    return;
  }
  const narrowed = Object.keys(state.filter).length > 0;
  if (narrowed && !searched) say(t("No image matches the filters."));
  else say(t(searched ? "Nothing relevant was found." : "The collection has no images."));
  byId("results").replaceChildren(
    make(
      "div",
      { class: "empty" },
      make("p", { class: "big", text: searched ? t("Nothing relevant") : t(narrowed ? "No matching images" : "No images yet") }),
      make("p", { class: "hint", text: searched ? t("No image fits well enough. Try another search, or change the filters.") : t(narrowed ? "Remove one of the filters." : "The collection's next run adds the images in its bucket.") }),
      under ? showAll(t("Show the nearest images anyway"), "main") : null,
    ),
  );
}

/** @param {AbortSignal} signal */
async function showDuplicates(signal) {
  say(t("Comparing …"));
  byId("results").replaceChildren();
  const { element, found: number } = await duplicatesReport(state.collection, writing, signal, searchFrom);
  byId("results").replaceChildren(element);
  setCount("duplicates", number);
}

/** @param {AbortSignal} signal */
async function showRejected(signal) {
  const again = async () => {
    if (state.tab === "rejected") await showRejected(stop.signal).catch(failed);
  };
  byId("results").replaceChildren(await rejectedReport(state.collection, writing, signal, again));
}

/** @param {AbortSignal} signal */
const showMap = (signal) => showMapOf(state, signal, {
  search: searchFrom,
  view: (images, at) => view(state.collection, images, at, writing, { search: searchFrom, part: searchByPart, caption: () => {} }),
  all: () => change({ filter: {} }),
});

/** @param {AbortSignal} signal */
async function showRuns(signal) {
  const { running, element } = await runsReport(state.collection, signal);
  const shown = byId("results").firstElementChild;
  if (!shown?.isEqualNode(element)) byId("results").replaceChildren(element);
  const again = () => {
    if (!signal.aborted && state.tab === "runs") showRuns(signal).catch(failed);
  };
  if (running) setTimeout(again, WATCHED);
}

/** @param {AbortSignal} signal */
async function showTrainings(signal) {
  const again = () => {
    if (!signal.aborted && state.tab === "trainings") showTrainings(signal).catch(failed);
  };
  const { running, element } = await trainingsReport(signal, again);
  if (signal.aborted) return;
  if (!byId("results").firstElementChild?.isEqualNode(element)) replaceResults(element);
  if (running) setTimeout(again, WATCHED);
}

/** @param {AbortSignal} signal */
async function showService(signal) {
  const again = () => {
    if (!signal.aborted && state.tab === "service") showService(signal).catch(failed);
  };
  const element = await serviceReport(signal, again);
  if (signal.aborted) return;
  replaceResults(element);
  setTimeout(again, WATCHED);
}

/** @param {HTMLElement} element shown in place of the results; the button that has the focus keeps it */
function replaceResults(element) {
  const focused = byId("results").contains(document.activeElement) && document.activeElement?.textContent;
  byId("results").replaceChildren(element);
  if (focused) [...element.querySelectorAll("button")].find(({ textContent }) => textContent === focused)?.focus();
}

/**
 * @param {string} tab
 * @param {number | null} number
 */
function setCount(tab, number) {
  const badge = /** @type {HTMLElement} */ (byId(`tab-${tab}`).querySelector(".count"));
  badge.textContent = number === null ? "" : count(number);
  if (number !== null) showTab(); // the row has moved
}

/** The numbers on the tabs. */
async function showCounts() {
  const { collection } = state;
  setCount("duplicates", null);
  const [stats, rejected] = await Promise.all([ask("api/stats"), countRejected(collection)]);
  if (collection !== state.collection) return;
  setCount("images", stats[collection]?.images ?? null);
  setCount("rejected", rejected);
}

function listen() {
  byId("collection").addEventListener("change", () => {
    change({ collection: byId("collection").value, terms: state.terms.filter(({ kind }) => kind !== "image") });
    showCounts().catch(failed);
  });
  const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[role=tab]")]);
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => change({ tab: tab.dataset.tab }));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const other = tabs[(at + step + tabs.length) % tabs.length];
      other.focus();
      other.click();
    });
  });
  listenToSearchBar({
    onSearch: (terms, also) => search(also ? [...state.terms, ...terms] : terms),
    onClear: () => search([]),
  });
  listenToFilters(change);
  listenToFacets(() => showFacets(state, stop.signal, change).catch(failed));
  listenToModes(change);
  listenToViewer();
  listenToLanguage(() => {
    show();
    showCounts().catch(failed);
  });
  watchEnd(() => next(stop.signal).catch(failed));
  addEventListener("popstate", () => {
    if (!location.hash) return;
    take();
    tellAirflow();
    show();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || /** @type {HTMLElement} */ (event.target).matches("input, select")) return;
    event.preventDefault();
    byId("text").focus();
  });
  for (const control of document.querySelectorAll("header :disabled, #search :disabled")) {  // a click before now would be lost
    /** @type {HTMLButtonElement} */ (control).disabled = false;
  }
}

/** Read the state from the address, without unknown collections and pictures of another tab. */
function take() {
  state = readState();
  if (!collections.some(({ name }) => name === state.collection)) state.collection = collections[0].name;
  state.terms = state.terms.filter(({ kind, value }) => kind !== "file" || givenPicture(value));
  if (!document.querySelector(`[data-tab="${CSS.escape(state.tab)}"]`)) state.tab = "images";
}

async function start() {
  collections = await ask("api/collections");
  if (!collections.length) {
    say(t("No collection can be searched yet: run a DAG first."));
    return;
  }
  knowModes(collections);
  byId("collection").replaceChildren(...collections.map(({ name }) => make("option", { text: name, value: name })));
  take();
  writeState(state, true);
  listen();
  show();
  writing = await mayWrite();
  if (state.tab === "rejected" || state.tab === "duplicates") show();
  await showCounts();
}

start().catch(failed);

/** The reports of a collection: duplicates, rejected images, runs. */

import { ask, collectionPath, showPicture } from "./api.js";
import { make, say, showError, visible } from "./dom.js";
import { count, counted, formatted, moment, named, t } from "./language.js";
import { verdictsOn } from "./verdicts.js";

/**
 * @typedef {import("./api.js").Pair} Pair
 * @typedef {import("./api.js").Pairs} Pairs
 * @typedef {import("./api.js").ReasonCount} ReasonCount
 * @typedef {import("./api.js").Rejected} Rejected
 * @typedef {import("./api.js").Run} Run
 */

const MOST = 500; // rows that the service returns at once

/**
 * @param {string} collection
 * @returns {Promise<number>}
 */
export async function countRejected(collection) {
  const { by_reason: reasons } = await ask(`${collectionPath(collection)}/rejected?limit=1`);
  return total(reasons);
}

/** @param {ReasonCount[]} reasons */
const total = (reasons) => reasons.reduce((sum, { final, not_final: open }) => sum + final + open, 0);

/**
 * @param {string} collection
 * @param {boolean} writing whether this user may change something
 * @param {AbortSignal} signal
 * @param {() => Promise<void>} onChange
 */
export async function rejectedReport(collection, writing, signal, onChange) {
  /** @type {{rejected: Rejected[], by_reason: ReasonCount[]}} */
  const { rejected, by_reason: reasons } = await ask(`${collectionPath(collection)}/rejected?limit=${MOST}`, undefined, signal);
  const all = total(reasons);
  say(all ? t("{images} could not be used.", { images: counted(all, "image") }) : t("Every image could be used."));
  if (!all) return make("div", { class: "empty" }, make("p", { class: "big", text: t("Nothing was rejected.") }));
  const again = (/** @type {object} */ which, /** @type {string} */ what) =>
    make("button", {
      type: "button",
      class: "plain",
      text: t("Re-queue"),
      "aria-label": t("Re-queue {what}", { what }),
      disabled: !writing,
      title: t(writing ? "The next run tries again" : "You need the right to edit DAGs"),
      onclick: () => requeue(collection, which, onChange),
    });
  const summary = reasons.map(({ reason, final, not_final: open }) =>
    make(
      "li",
      { class: "reason" },
      make("strong", { text: count(final + open) }),
      make("span", { text: named(reason) }),
      again({ reason }, t("all images rejected as {reason}", { reason: named(reason) })),
    ));
  const rows = rejected.map((row) => [
    make("span", { class: "key", text: visible(keyOf(row.uri)), title: row.uri }),
    make("span", { class: "tag", text: named(row.reason), title: row.reason }),
    row.detail ?? "",
    row.final ? t("final") : t("{attempts} so far", { attempts: counted(row.attempts, "attempt") }),
    moment(row.updated_at),
    again({ uri: row.uri }, keyOf(row.uri)),
  ]);
  return make(
    "div",
    { class: "report" },
    make("ul", { class: "reasons", "aria-label": t("Reasons") }, ...summary),
    table([t("Image"), t("Reason"), t("Detail"), t("State"), t("Last tried"), t("Try again")], rows),
    all > rejected.length ? make("p", { class: "hint", text: t("Only the first {n} are shown.", { n: count(rejected.length) }) }) : null,
  );
}

/**
 * @param {string} collection
 * @param {object} which
 * @param {() => Promise<void>} onChange
 */
async function requeue(collection, which, onChange) {
  try {
    const { requeued } = await ask(`${collectionPath(collection)}/rejected/requeue`, which);
    await onChange(); // which says how many there are
    say(t("The next run tries {images} again.", { images: counted(requeued, "image") }));
  } catch (error) {
    showError(error);
  }
}

/**
 * @param {string} collection
 * @param {boolean} writing whether this user may change something
 * @param {AbortSignal} signal
 * @param {(id: string) => void} onSearch
 */
export async function duplicatesReport(collection, writing, signal, onSearch) {
  const path = `${collectionPath(collection)}/duplicates?limit=200`;
  /** @type {[{groups: {image_ids: string[]}[]}, Pairs, Pairs]} */
  const [{ groups }, pictures, scenes] = await Promise.all([
    ask(`${path}&tier=bytes`, undefined, signal),
    ask(`${path}&tier=picture`, undefined, signal),
    ask(`${path}&tier=scene`, undefined, signal),
  ]);
  say(t("{groups} of the same file, {pictures} of the same picture, {scenes} of the same scene.", {
    groups: counted(groups.length, "group"),
    pictures: counted(pictures.pairs.length, "pair"),
    scenes: counted(scenes.pairs.length, "pair"),
  }));
  const figure = (/** @type {string} */ id) => {
    const image = make("img", { alt: "", loading: "lazy" });
    showPicture(image, collection, id, "preview");
    return make("button", { type: "button", class: "twin", title: t("Search from this image"), onclick: () => onSearch(id) }, image, make("span", { text: visible(id) }));
  };
  const verdicts = verdictsOn(collection, writing);
  const twins = (/** @type {Pair} */ pair) =>
    make(
      "li",
      {},
      figure(pair.a),
      figure(pair.b),
      make("p", { class: "hint", text: likeness(pair) }),
      verdicts.of(pair),
    );
  const part = (/** @type {string} */ title, /** @type {string} */ none, /** @type {Node[]} */ items) =>
    make("section", {}, make("h2", { text: title }), items.length ? make("ul", { class: "twins" }, ...items) : make("p", { class: "hint", text: none }));
  const pairs = [pictures.pairs.map(twins), scenes.pairs.map(twins)];
  const open = [...pictures.pairs, ...scenes.pairs].filter(({ verdict }) => verdict === null);
  return {
    found: groups.length + open.length,
    element: make(
      "div",
      { class: "report" },
      pictures.waiting ? make("p", { class: "hint", text: t("{images} will be compared by the next upkeep.", { images: counted(pictures.waiting, "image") }) }) : null,
      verdicts.bar(),
      part(t("The same file"), t("No duplicate files."), groups.map(({ image_ids: ids }) => make("li", {}, ...ids.slice(0, 12).map(figure)))),
      part(t("The same picture in another size, quality or format"), t("No duplicate pictures."), pairs[0]),
      part(t("The same scene"), t("No duplicate scenes."), pairs[1]),
    ),
  };
}

/** @param {Pair} pair */
function likeness({ similarity, bits }) {
  const told = t("similarity {similarity}", { similarity: similarity.toFixed(3) });
  return bits === null ? told : `${told} · ${t("{bits} of 64 differ", { bits: counted(bits, "bit") })}`;
}

/**
 * @param {string} collection
 * @param {AbortSignal} signal
 */
export async function runsReport(collection, signal) {
  /** @type {{runs: Run[]}} */
  const { runs } = await ask(`${collectionPath(collection)}/runs?limit=20`, undefined, signal);
  if (!runs.length) {
    say(t("Nothing has run yet."));
    return { running: false, element: make("div", { class: "empty" }, make("p", { class: "big", text: t("No runs yet") })) };
  }
  say(runs.length === 1 ? t("The last run.") : t("The last {runs}.", { runs: counted(runs.length, "run") }));
  const priced = runs.some(({ cost }) => cost !== null);
  const captioned = runs.some(({ captions }) => captions !== null);
  const rows = runs.map((run) => [
    make("span", { class: "key", text: run.run_id, title: run.run_id }),
    make("span", { class: `tag ${run.state}`, text: named(run.state) }),
    moment(run.started_at),
    run.finished_at ? lasting((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000) : "",
    make("span", { text: progressOf(run), title: t("{images} left over for the next run", { images: counted(run.left_over, "image") }) }),
    ...(priced ? [costOf(run)] : []),
    ...[run.listed, run.new, run.changed, run.gone, run.embedded, run.rejected].map((value) => make("span", { class: "number", text: count(value ?? 0) })),
    ...(captioned ? [captionsOf(run)] : []),
  ]);
  const titles = [t("Run"), t("State"), t("Started"), t("Took"), t("Progress"), ...(priced ? [t("Cost")] : [])];
  titles.push(t("Listed"), t("New"), t("Changed"), t("Gone"), t("Embedded"), t("Rejected"), ...(captioned ? [t("Captions")] : []));
  return { running: runs.some(({ state }) => state === "running"), element: make("div", { class: "report" }, table(titles, rows)) };
}

/**
 * How many of its shards are done, and how long the rest takes, with the images that the next runs take.
 * @param {Run} run
 */
function progressOf({ state, shards, shards_done: done, left_over: over, seconds_left: left }) {
  if (!over && done === shards && state !== "running") return shards ? t("all") : "";
  const part = t("{done} of {shards}", { done: count(done), shards: counted(shards, "shard") });
  return left ? t("{part}, {time} left", { part, time: lasting(left) }) : part;
}

/** @param {Run} run */
function captionsOf({ captions, captions_due: due }) {
  const parts = captions === null ? [] : [count(captions), ...(due ? [t("{n} left", { n: count(due) })] : [])];
  return make("span", { class: "number", text: parts.join(" · ") });
}

/** @param {Run} run */
const costOf = ({ cost, cost_left: left }) => (left ? t("{cost}, {left} left", { cost: price(cost), left: price(left) }) : price(cost));
/** @param {number | null} amount */
const price = (amount) => formatted(amount ?? 0, { maximumSignificantDigits: 3 });

/** @param {number} seconds */
function lasting(seconds) {
  if (seconds < 100) return t("{n} s", { n: count(Math.round(seconds)) });
  return seconds < 6000 ? t("{n} min", { n: count(Math.round(seconds / 60)) }) : t("{n} h", { n: count(Math.round(seconds / 3600)) });
}

/**
 * @param {string[]} titles
 * @param {(Node | string)[][]} rows
 */
export function table(titles, rows) {
  return make(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": t("Table") },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...titles.map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) => make("td", { "data-title": titles[at] }, cell))))),
    ),
  );
}

/** @param {string} uri */
const keyOf = (uri) => uri.split("/").slice(3).join("/") || uri;

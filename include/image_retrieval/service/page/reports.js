/** The reports of a collection: duplicates, rejected images, runs. */

import { ask, collectionPath, showPicture } from "./api.js";
import { count, counted, make, say, showError, visible } from "./dom.js";

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
  say(all ? `${counted(all, "image")} could not be used.` : "Every image could be used.");
  if (!all) return make("div", { class: "empty" }, make("p", { class: "big", text: "Nothing was rejected." }));
  const again = (/** @type {object} */ which, /** @type {string} */ what) =>
    make("button", {
      type: "button",
      class: "plain",
      text: "Re-queue",
      "aria-label": `Re-queue ${what}`,
      disabled: !writing,
      title: writing ? "The next run tries again" : "You need the right to edit DAGs",
      onclick: () => requeue(collection, which, onChange),
    });
  const summary = reasons.map(({ reason, final, not_final: open }) =>
    make(
      "li",
      { class: "reason" },
      make("strong", { text: count(final + open) }),
      make("span", { text: words(reason) }),
      again({ reason }, `all images rejected as ${words(reason)}`),
    ));
  const rows = rejected.map((row) => [
    make("span", { class: "key", text: visible(keyOf(row.uri)), title: row.uri }),
    make("span", { class: "tag", text: words(row.reason), title: row.reason }),
    row.detail ?? "",
    row.final ? "final" : `${counted(row.attempts, "attempt")} so far`,
    moment(row.updated_at),
    again({ uri: row.uri }, keyOf(row.uri)),
  ]);
  return make(
    "div",
    { class: "report" },
    make("ul", { class: "reasons", "aria-label": "Reasons" }, ...summary),
    table(["Image", "Reason", "Detail", "State", "Last tried", "Try again"], rows),
    all > rejected.length ? make("p", { class: "hint", text: `Only the first ${count(rejected.length)} are shown.` }) : null,
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
    say(`The next run tries ${counted(requeued, "image")} again.`);
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
  say(`${counted(groups.length, "group")} of the same file, ${counted(pictures.pairs.length, "pair")} of the same picture, ${count(scenes.pairs.length)} of the same scene.`);
  const figure = (/** @type {string} */ id) => {
    const image = make("img", { alt: "", loading: "lazy" });
    showPicture(image, collection, id, "preview");
    return make("button", { type: "button", class: "twin", title: "Search from this image", onclick: () => onSearch(id) }, image, make("span", { text: visible(id) }));
  };
  const twins = (/** @type {Pair} */ pair) =>
    make(
      "li",
      {},
      figure(pair.a),
      figure(pair.b),
      make("p", { class: "hint", text: `similarity ${pair.similarity.toFixed(3)}${pair.bits === null ? "" : `, ${counted(pair.bits, "bit")} of 64 differ`}` }),
      verdictButtons(collection, pair, writing),
    );
  const part = (/** @type {string} */ title, /** @type {string} */ none, /** @type {Node[]} */ items) =>
    make("section", {}, make("h2", { text: title }), items.length ? make("ul", { class: "twins" }, ...items) : make("p", { class: "hint", text: none }));
  const open = [...pictures.pairs, ...scenes.pairs].filter(({ verdict }) => verdict === null);
  return {
    found: groups.length + open.length,
    element: make(
      "div",
      { class: "report" },
      pictures.waiting ? make("p", { class: "hint", text: `${counted(pictures.waiting, "image")} will be compared by the next upkeep.` }) : null,
      part("The same file", "No duplicate files.", groups.map(({ image_ids: ids }) => make("li", {}, ...ids.slice(0, 12).map(figure)))),
      part("The same picture in another size, quality or format", "No duplicate pictures.", pictures.pairs.map(twins)),
      part("The same scene", "No duplicate scenes.", scenes.pairs.map(twins)),
    ),
  };
}

/**
 * Two buttons; that of the decision is pressed. Pressing it again removes the decision.
 * @param {string} collection
 * @param {Pair} pair
 * @param {boolean} writing
 */
function verdictButtons(collection, pair, writing) {
  const told = make("span", { class: "hint" });
  const buttons = /** @type {const} */ (["duplicate", "different"]).map((verdict) =>
    make("button", {
      type: "button",
      class: "plain",
      text: verdict === "duplicate" ? "Duplicate" : "Different",
      "aria-label": `${verdict}: ${pair.a} and ${pair.b}`,
      "data-verdict": verdict,
      disabled: !writing,
      title: writing ? "The decision stays until one of the images changes" : "You need the right to edit DAGs",
      onclick: async () => {
        const { a, b } = pair;
        const chosen = pair.verdict === verdict ? null : verdict;
        try {
          await ask(`${collectionPath(collection)}/duplicates/verdict`, { a, b, verdict: chosen });
          pair.verdict = chosen;
          pair.decided_by = null;
          show();
          say(chosen ? `${a} and ${b}: ${chosen}.` : `${a} and ${b}: not decided.`);
        } catch (error) {
          showError(error);
        }
      },
    }));
  const show = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.verdict === pair.verdict));
    told.textContent = pair.verdict && pair.decided_by ? `by ${pair.decided_by}` : "";
  };
  show();
  return make("p", { class: "verdict" }, ...buttons, told);
}

/**
 * @param {string} collection
 * @param {AbortSignal} signal
 */
export async function runsReport(collection, signal) {
  /** @type {{runs: Run[]}} */
  const { runs } = await ask(`${collectionPath(collection)}/runs?limit=20`, undefined, signal);
  say(`The last ${counted(runs.length, "run")}.`);
  const priced = runs.some(({ cost }) => cost !== null);
  const rows = runs.map((run) => [
    make("span", { class: "key", text: run.run_id, title: run.run_id }),
    make("span", { class: `tag ${run.state}`, text: run.state }),
    moment(run.started_at),
    run.finished_at ? lasting((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000) : "",
    make("span", { text: progressOf(run), title: `${counted(run.left_over, "image")} left over for the next run` }),
    ...(priced ? [costOf(run)] : []),
    ...[run.listed, run.new, run.changed, run.gone, run.embedded, run.rejected].map((value) => make("span", { class: "number", text: count(value ?? 0) })),
  ]);
  const element = make("div", { class: "report" }, table(["Run", "State", "Started", "Took", "Progress", ...(priced ? ["Cost"] : []), "Listed", "New", "Changed", "Gone", "Embedded", "Rejected"], rows));
  return { running: runs.some(({ state }) => state === "running"), element };
}

/**
 * How many of its shards are done, and how long the rest takes, with the images that the next runs take.
 * @param {Run} run
 */
function progressOf({ state, shards, shards_done: done, left_over: over, seconds_left: left }) {
  if (!over && done === shards && state !== "running") return shards ? "all" : "";
  const part = `${count(done)} of ${counted(shards, "shard")}`;
  return left ? `${part}, ${lasting(left)} left` : part;
}

/** @param {Run} run */
const costOf = ({ cost, cost_left: left }) => (left ? `${PRICE.format(cost ?? 0)}, ${PRICE.format(left)} left` : PRICE.format(cost ?? 0));
const PRICE = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** @param {number} seconds */
function lasting(seconds) {
  if (seconds < 100) return `${count(Math.round(seconds))} s`;
  return seconds < 6000 ? `${count(Math.round(seconds / 60))} min` : `${count(Math.round(seconds / 3600))} h`;
}

/**
 * @param {string[]} titles
 * @param {(Node | string)[][]} rows
 */
export function table(titles, rows) {
  return make(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...titles.map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) => make("td", { "data-title": titles[at] }, cell))))),
    ),
  );
}

/** @param {string} reason */
const words = (reason) => reason.replaceAll("_", " ");
/** @param {string} uri */
const keyOf = (uri) => uri.split("/").slice(3).join("/") || uri;
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
/** @param {string} text */
export const moment = (text) => MOMENT.format(new Date(text));

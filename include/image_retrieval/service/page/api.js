/** The service's API, with the cookie of Airflow's login or, where the service runs alone, with its token. */

import { byId, make } from "./dom.js";
import { t } from "./language.js";

const KEY = "image-retrieval-token";
export const embedded = window.parent !== window;

/** An error of the service: `message` says what is wrong, `hint` what to do. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {any} told problem details
   */
  constructor(status, told) {
    super(told?.detail ?? t("the service answered with {status}", { status }));
    this.status = status;
    this.code = told?.code;
    this.hint = told?.hint;
  }
}

/**
 * The service's answers.
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {{name: string, models: string[], modes: string[]}} Collection
 *   `models`: the shown one first; `modes`: those in which its texts can be searched
 * @typedef {{results: Image[], more: boolean, calibration: string | null, min_score: number | null}} Results
 * @typedef {{images: Image[], after: string | null}} Images `after`: where the next page begins
 * @typedef {{reason: string, final: number, not_final: number}} ReasonCount
 * @typedef {{uri: string, reason: string, detail: string | null, final: boolean, attempts: number, updated_at: string}} Rejected
 * @typedef {{a: string, b: string, similarity: number, bits: number | null,
 *   verdict: "duplicate" | "different" | null, decided_by: string | null}} Pair
 * @typedef {{pairs: Pair[], waiting: number}} Pairs `waiting`: images that were not compared yet
 * @typedef {{run_id: string, state: string, started_at: string, finished_at: string | null, listed: number | null,
 *   new: number | null, changed: number | null, gone: number | null, embedded: number | null, rejected: number | null,
 *   shards: number, shards_done: number, left_over: number, seconds_left: number | null,
 *   cost: number | null, cost_left: number | null, captions: number | null, captions_due: number | null}} Run the costs are in the currency of the setting's price
 * @typedef {{name: string, source: string, method: string, start: string, against: string, state: string,
 *   reason: string | null, gated: string | null, decision: string | null, started_at: string,
 *   figures: Figures | null}} Training
 * @typedef {{steps: number, steps_in_all: number, epochs: number, loss_first: number | null, loss_last: number | null,
 *   images_per_second?: number}} Figures
 * @typedef {{recall_at_1: Record<string, number>, mean_average_precision: number, groups: number | null}} Judged
 * @typedef {Training & {
 *   folder: {state: string | null, figures: Figures | null, losses: {step: number, epoch: number, loss: number}[]},
 *   gate: PictureGate | RecallGate | null
 * }} TrainingInFull
 * @typedef {{decision: string, reason: string, held_out: number, queries: number, figures: Record<string, Judged>}} PictureGate
 * @typedef {{found: Record<string, number>, chance: Record<string, number>}} Recall
 * @typedef {Record<string, Record<string, Record<string, Recall>>>} Recalls by set of pictures, language and direction
 * @typedef {{decision: string, reason: string, held_out: number, before?: Recalls, after: Recalls}} RecallGate of a training on texts
 */

/**
 * @param {string} path below the page's folder
 * @param {any} [form] is posted as JSON, if given
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} what was answered
 */
export async function ask(path, form, signal) {
  const answer = await request(path, form, signal);
  return answer.status === 204 ? null : answer.json();
}

/**
 * Save what is answered as a file.
 * @param {string} path
 * @param {any} form
 * @param {string} name
 */
export async function download(path, form, name) {
  const address = URL.createObjectURL(await (await request(path, form)).blob());
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/**
 * Change some fields of what lies at a path.
 * @param {string} path below the page's folder
 * @param {any} form
 * @returns {Promise<any>} what it is then
 */
export const change = async (path, form) => (await request(path, form, undefined, "PATCH")).json();

/**
 * @param {string} path below the page's folder
 * @param {AbortSignal} [signal]
 * @returns {Promise<ArrayBuffer>} the bytes that were answered
 */
export const askBytes = async (path, signal) => (await request(path, undefined, signal)).arrayBuffer();

/**
 * @param {string} path
 * @param {any} [form]
 * @param {AbortSignal} [signal]
 * @param {string} [method]
 * @returns {Promise<Response>}
 */
async function request(path, form, signal, method = form === undefined ? "GET" : "POST") {
  const token = sessionStorage.getItem(KEY);
  /** @type {Record<string, string>} */
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (form !== undefined) headers["Content-Type"] = "application/json";
  const body = form === undefined ? undefined : JSON.stringify(form);
  let answer;
  try {
    answer = await fetch(path, { method, headers, body, signal });
  } catch (error) {
    if (/** @type {any} */ (error).name === "AbortError") throw error;
    throw new Problem(0, { detail: t("the service cannot be reached"), hint: t("try again in a moment") });
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  if (answer.status !== 401) throw new Problem(answer.status, told);
  if (embedded) throw new Problem(401, { detail: t("you are no longer logged in"), hint: t("reload Airflow's page") });
  await newToken(token);
  return request(path, form, signal, method);
}

/** @type {Promise<void> | null} */
let asking = null;

/** @param {string | null} refused ask for a token other than this one, once for all waiting requests */
function newToken(refused) {
  if (sessionStorage.getItem(KEY) !== refused) return Promise.resolve();
  asking ??= new Promise((resolve) => {
    const dialog = byId("token");
    const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
    const input = /** @type {HTMLInputElement} */ (form.querySelector("input"));
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, input.value.trim());
      form.reset();
      dialog.close();
      asking = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return asking;
}

/** @returns {Promise<boolean>} whether this user may change something */
export const mayWrite = () => ask("api/rights/write").then(() => true, () => false);

/**
 * @param {string} collection
 * @param {string} id
 * @param {"preview" | "original"} kind
 */
const picturePath = (collection, id, kind) =>
  `${collectionPath(collection)}/picture?${new URLSearchParams({ image_id: id, [kind]: "true" })}`; // no path holds every id

/** @param {string} name */
export const collectionPath = (name) => `api/collections/${encodeURIComponent(name)}`;

/**
 * Show a picture of the collection in an <img>, or link to it.
 * @param {HTMLImageElement | HTMLAnchorElement} element
 * @param {string} collection
 * @param {string} id
 * @param {"preview" | "original"} kind
 */
export const showPicture = (element, collection, id, kind) => showAt(element, picturePath(collection, id, kind));

/**
 * The same for the picture at a path. With a token it is fetched: an address holds none.
 * @param {HTMLImageElement | HTMLAnchorElement} element
 * @param {string} path
 */
export async function showAt(element, path) {
  const attribute = element instanceof HTMLAnchorElement ? "href" : "src";
  if (!sessionStorage.getItem(KEY)) {
    element.setAttribute(attribute, path);
    return;
  }
  try {
    const answer = await request(path);
    element.setAttribute(attribute, URL.createObjectURL(await answer.blob()));
  } catch {
    element.dispatchEvent(new Event("error"));
  }
}

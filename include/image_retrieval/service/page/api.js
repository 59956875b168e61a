/** The service's API, with the cookie of Airflow's login or, where the service runs alone, with its token. */

import { byId } from "./dom.js";

const KEY = "image-retrieval-token";
export const embedded = window.parent !== window;

/** What the service refused: `message` tells what is wrong, `hint` what to do. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {any} told problem details
   */
  constructor(status, told) {
    super(told?.detail ?? `the service answered with ${status}`);
    this.status = status;
    this.code = told?.code;
    this.hint = told?.hint;
  }
}

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
 * @param {string} path
 * @param {any} [form]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function request(path, form, signal) {
  const token = sessionStorage.getItem(KEY);
  /** @type {Record<string, string>} */
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (form !== undefined) headers["Content-Type"] = "application/json";
  const body = form === undefined ? undefined : JSON.stringify(form);
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal });
  } catch (error) {
    if (/** @type {any} */ (error).name === "AbortError") throw error;
    throw new Problem(0, { detail: "the service cannot be reached", hint: "try again in a moment" });
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  if (answer.status !== 401) throw new Problem(answer.status, told);
  if (embedded) throw new Problem(401, { detail: "you are no longer logged in", hint: "reload Airflow's page" });
  await newToken(token);
  return request(path, form, signal);
}

/** @type {Promise<void> | null} */
let asking = null;

/** @param {string | null} refused ask for another token than this one, once for all requests that wait */
function newToken(refused) {
  if (sessionStorage.getItem(KEY) !== refused) return Promise.resolve();
  asking ??= new Promise((resolve) => {
    const dialog = byId("token");
    const form = dialog.querySelector("form");
    form.onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, form.querySelector("input").value.trim());
      form.reset();
      dialog.close();
      asking = null;
      resolve();
    };
    dialog.oncancel = (/** @type {Event} */ event) => event.preventDefault();
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
 * Show a picture of the collection in an <img>, or link to it: an address takes no token, so there it is fetched.
 * @param {any} element <img> or <a>
 * @param {string} collection
 * @param {string} id
 * @param {"preview" | "original"} kind
 */
export async function showPicture(element, collection, id, kind) {
  const attribute = element instanceof HTMLAnchorElement ? "href" : "src";
  const path = picturePath(collection, id, kind);
  if (!sessionStorage.getItem(KEY)) {
    element[attribute] = path;
    return;
  }
  try {
    const answer = await request(path);
    element[attribute] = URL.createObjectURL(await answer.blob());
  } catch {
    element.dispatchEvent(new Event("error"));
  }
}

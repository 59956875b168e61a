/** Elements, made without any markup: texts are set as texts, so nothing that a bucket or a user names is read as HTML. */

/**
 * @typedef {{
 *   alert: HTMLElement, chips: HTMLElement, clear: HTMLButtonElement, collection: HTMLSelectElement, end: HTMLElement,
 *   chosen: HTMLElement, compare: HTMLElement, facets: HTMLElement, "facets-button": HTMLButtonElement,
 *   file: HTMLInputElement, filters: HTMLFormElement, "filters-button": HTMLButtonElement, less: HTMLButtonElement,
 *   mode: HTMLSelectElement, more: HTMLButtonElement, panel: HTMLElement, pick: HTMLButtonElement, refine: HTMLElement,
 *   results: HTMLElement, search: HTMLElement, status: HTMLElement, tabs: HTMLElement, text: HTMLInputElement, timeline: HTMLElement, token: HTMLDialogElement,
 *   viewer: HTMLDialogElement, words: HTMLFormElement
 * } & Record<`tab-${string}`, HTMLElement>} Elements those of index.html, by id
 */

/**
 * @template {keyof Elements} Id
 * @param {Id} id
 * @returns {Elements[Id]} the element of the document that has this id
 */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name of the element
 * @param {Record<string, any>} [given] `class`, `text`, handlers `onclick` …, `data-…`, `aria-…` and other attributes;
 *   what is null, undefined or false is left out
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * @param {string} name of an element of a drawing
 * @param {Record<string, string | number>} given its attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function draw(name, given, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(given)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g; // controls, and what turns the direction

/**
 * @param {string} name of an image or a group
 * @returns {string} the same in one line, every character of it to be seen
 */
export const visible = (name) =>
  name.replace(UNSEEN, (letter) => {
    const code = letter.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : `\\u${code.toString(16).padStart(4, "0")}`;
  });

/** @param {string} text is told to everybody, screen readers among them */
export function say(text) {
  byId("status").textContent = text;
}

/** @param {unknown} error is shown, or nothing any more where it is null */
export function showError(error) {
  const place = byId("alert");
  place.replaceChildren();
  if (error === null || /** @type {any} */ (error)?.name === "AbortError") return;
  const { message, hint } = /** @type {any} */ (error);
  place.append(make("p", { text: message }), hint ? make("p", { class: "hint", text: hint }) : "");
}

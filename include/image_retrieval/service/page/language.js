/** The language of the page: English or Chinese, as the reader chose, else as the browser prefers. */

import { CHINESE, TERMS } from "./chinese.js";

const KEY = "image-retrieval-language";
const WRITTEN = ["title", "aria-label", "placeholder", "alt"]; // attributes that people read or hear

/** @typedef {"en" | "zh"} Language */

/** @param {string} code such as zh-Hans-CN @returns {Language | null} null for a language that the page does not speak */
const spoken = (code) => (/^zh\b/i.test(code) ? "zh" : /^en\b/i.test(code) ? "en" : null);

/** @returns {Language} */
function preferred() {
  return [stored(), ...navigator.languages].map(spoken).find((one) => one !== null) ?? "en";
}

function stored() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

let language = preferred();

/** @returns {string} the locale of numbers and times: the browser's own one of this language */
export const locale = () => navigator.languages.find((code) => spoken(code) === language) ?? { en: "en", zh: "zh-CN" }[language];

/**
 * A text of the page in the reader's language; `{name}` stands for a value. Call it when the text is shown, not when a
 * module is loaded: the reader may change the language.
 * @param {string} english
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(english, values = {}) {
  const text = (language === "zh" && CHINESE[english]) || english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * @param {string} value a fixed word of the service, such as a state, a reason or a colour
 * @returns {string} the same for readers
 */
export const named = (value) => (language === "zh" && TERMS[value]) || value.replaceAll("_", " ");

/**
 * @param {number} value
 * @param {string} one `{n} image` is the text's key
 * @param {string} [many]
 */
export function counted(value, one, many = `${one}s`) {
  const text = language === "zh" ? CHINESE[`{n} ${one}`] : `{n} ${value === 1 ? one : many}`;
  return text.replace("{n}", count(value));
}

/** @param {number} value */
export const count = (value) => formatted(value, {});

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} options
 */
export const formatted = (value, options) => new Intl.NumberFormat(locale(), options).format(value);

/** @param {string} time as the service writes it */
export const moment = (time) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));

/** @type {{put: (text: string) => void, english: string}[]} the texts of index.html */
let texts = [];

/** @param {Text} node */
function textOf(node) {
  const [, before, english, after] = /** @type {string[]} */ (/^(\s*)(.*?)(\s*)$/s.exec(node.data));
  return { english: english.replace(/\s+/g, " "), put: (/** @type {string} */ text) => { node.data = before + text + after; } };
}

function textsOfDocument() {
  const written = (/** @type {Element} */ element) =>
    WRITTEN.filter((name) => element.hasAttribute(name)).map((name) => ({
      english: element.getAttribute(name) ?? "",
      put: (/** @type {string} */ text) => element.setAttribute(name, text),
    }));
  return [...document.querySelectorAll("*")]
    .filter((element) => !element.closest("[translate=no]"))
    .flatMap((element) => [
      ...written(element),
      ...[...element.childNodes].filter((node) => node instanceof Text && node.data.trim()).map((node) => textOf(/** @type {Text} */ (node))),
    ]);
}

function translate() {
  document.documentElement.lang = { en: "en", zh: "zh-CN" }[language];
  for (const { put, english } of texts) put(t(english));
  const other = document.getElementById("language");
  if (!other) return;
  other.textContent = { en: "中文", zh: "English" }[language];
  other.lang = { en: "zh-CN", zh: "en" }[language];
}

/** @param {() => void} onChange shows everything anew that is not written in index.html */
export function listenToLanguage(onChange) {
  document.getElementById("language")?.addEventListener("click", () => {
    language = language === "en" ? "zh" : "en";
    try {
      localStorage.setItem(KEY, language);
    } catch {
      // it lasts until the page is closed
    }
    translate();
    onChange();
  });
}

texts = textsOfDocument();
translate();

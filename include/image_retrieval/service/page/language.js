/** The language of the page: English, or Chinese where the browser prefers it. */

import { CHINESE } from "./chinese.js";

const isChinese = navigator.language.toLowerCase().startsWith("zh");

/**
 * A text of the page in the reader's language; `{name}` stands for a value.
 * @param {string} english
 * @param {Record<string, string | number>} values
 * @returns {string}
 */
export function t(english, values = {}) {
  const text = (isChinese && CHINESE[english]) || english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** The form of filters: some fields, and JSON for all other filters. */

import { byId, showError } from "./dom.js";
import { t } from "./language.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {{format: HTMLSelectElement, from: HTMLInputElement, to: HTMLInputElement, group: HTMLInputElement,
 *   grouped: HTMLInputElement, json: HTMLInputElement}} Fields
 */

/** @returns {Fields} */
const fieldsOf = () => /** @type {any} */ (byId("filters").elements);

/** @param {(changed: Pick<State, "filter" | "grouped">) => void} onChange */
export function listenToFilters(onChange) {
  const form = byId("filters");
  byId("filters-button").addEventListener("click", () => open(Boolean(form.hidden)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const filter = read(fieldsOf());
    if (filter) onChange({ filter, grouped: fieldsOf().grouped.checked });
  });
  form.addEventListener("reset", () => onChange({ filter: {}, grouped: false }));
}

/** @param {boolean} shown */
function open(shown) {
  byId("filters").hidden = !shown;
  byId("filters-button").setAttribute("aria-expanded", String(shown));
}

/**
 * @param {Fields} fields
 * @returns {Record<string, any> | null} null where it is told what is wrong
 */
function read(fields) {
  /** @type {Record<string, any>} */
  const filter = {};
  if (fields.format.value) filter.format = fields.format.value;
  if (fields.from.value) filter.width = { gte: Number(fields.from.value) };
  if (fields.to.value) filter.width = { ...filter.width, lte: Number(fields.to.value) };
  if (fields.group.value) filter.group_id = fields.group.value;
  const rest = fields.json.value.trim();
  try {
    return { ...filter, ...(rest ? JSON.parse(rest) : {}) };
  } catch (error) {
    const problem = /** @type {Error} */ (error).message;
    showError({ message: t("the JSON of the filter: {problem}", { problem }), hint: t('such as {"height": {"lt": 500}}') });
    fields.json.focus();
    return null;
  }
}

/** @param {State} state is shown in the form */
export function showFilters({ filter, grouped }) {
  const fields = fieldsOf();
  const { format, width, group_id: group, ...rest } = filter;
  const choices = [...fields.format.options].map((option) => option.value);
  const plain = choices.includes(format) ? format : undefined;
  const range = typeof width === "object" && width !== null && !Array.isArray(width) &&
    Object.entries(width).every(([key, value]) => ["gte", "lte"].includes(key) && Number.isInteger(value) && value >= 0);
  const line = typeof group === "string" && group !== "" && !/[\n\r]/.test(group); // a field holds nothing else
  fields.format.value = plain ?? "";
  fields.from.value = (range && width.gte) ?? "";
  fields.to.value = (range && width.lte) ?? "";
  if (!range) fields.from.value = fields.to.value = "";
  fields.group.value = line ? group : "";
  fields.grouped.checked = grouped;
  const others = {
    ...(format !== undefined && plain === undefined ? { format } : {}),
    ...(width !== undefined && !range ? { width } : {}),
    ...(group !== undefined && !line ? { group_id: group } : {}),
    ...rest,
  };
  fields.json.value = Object.keys(others).length ? JSON.stringify(others) : "";
  const used = Object.keys(filter).length + Number(grouped);
  byId("filters-button").textContent = used ? t("Filters ({n})", { n: used }) : t("Filters");
  byId("filters-button").classList.toggle("used", used > 0);
}

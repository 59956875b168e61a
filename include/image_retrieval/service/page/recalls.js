/** What a training on texts was judged by: how often texts find their pictures, and pictures their texts. */

import { make } from "./dom.js";
import { count, formatted, t } from "./language.js";
import { table } from "./reports.js";

/**
 * @typedef {import("./api.js").Recall} Recall
 * @typedef {import("./api.js").RecallGate} RecallGate
 */

const AT = ["R@1", "R@5", "R@10"];

/** @param {RecallGate} gate */
export function recalls({ before, after, held_out: pictures }) {
  const rows = Object.entries(after).flatMap(([set, languages]) =>
    Object.entries(languages).flatMap(([language, ways]) =>
      Object.entries(ways).map(([way, found]) => [
        titleOf(set),
        asked(way, language),
        ...AT.map((name) => make("span", { class: "number", text: told(found, before?.[set]?.[language]?.[way], name) })),
      ]),
    ),
  );
  const how = before ? t("Before → trained.") : t("In brackets: by chance.");
  return make(
    "div",
    { class: "judged" },
    make("p", { class: "hint", text: `${t("Pictures that the training has not seen: {n}.", { n: count(pictures) })} ${how}` }),
    table([t("Searched among"), t("Direction"), ...AT], rows),
  );
}

/**
 * @param {Recall} found
 * @param {Recall | undefined} former
 * @param {string} name
 */
const told = (found, former, name) =>
  former ? `${percent(former.found[name])} → ${percent(found.found[name])}` : `${percent(found.found[name])} (${percent(found.chance[name])})`;
/** @param {number} value */
const percent = (value) => formatted(value, { style: "percent", maximumFractionDigits: 1 });

/** @param {string} set */
function titleOf(set) {
  if (set === "held_out") return t("held-out pictures");
  return set === "general" ? t("the general set") : t("all pictures");
}

/**
 * @param {string} way
 * @param {string} language
 */
const asked = (way, language) =>
  way === "text_to_image" ? t("texts find pictures ({language})", { language }) : t("pictures find texts ({language})", { language });

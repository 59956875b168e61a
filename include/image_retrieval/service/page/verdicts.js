/** Verdicts on pairs of images: two buttons a pair, and a bar for all pairs that are chosen. */

import { ask, collectionPath } from "./api.js";
import { make, say, showError } from "./dom.js";
import { counted, named, t } from "./language.js";

/**
 * @typedef {import("./api.js").Pair} Pair
 * @typedef {"duplicate" | "different"} Verdict
 * @typedef {{pair: Pair, box: HTMLInputElement, show: () => void}} Row
 */

/** @type {Verdict[]} */
const VERDICTS = ["duplicate", "different"];
const MOST = 500; // pairs in one request

const textOf = (/** @type {Verdict} */ verdict) => (verdict === "duplicate" ? t("Duplicate") : t("Different"));
const right = (/** @type {boolean} */ writing) => t(writing ? "The decision stays until one of the images changes" : "You need the right to edit DAGs");

/**
 * @param {string} collection
 * @param {boolean} writing whether this user may change something
 */
export function verdictsOn(collection, writing) {
  /** @type {Row[]} */
  const rows = [];
  let last = -1; // the box that was used last: where a range begins
  const chosen = () => rows.filter(({ box }) => box.checked);
  const number = make("span", { class: "hint" });
  const all = make("input", { type: "checkbox", onclick: () => mark(rows, all.checked) });
  const deciding = VERDICTS.map((verdict) =>
    make("button", { type: "button", class: "plain", text: textOf(verdict), "data-all": verdict, title: right(writing), onclick: () => decide(verdict).catch(showError) }));

  /** @param {Row[]} some @param {boolean} on */
  function mark(some, on) {
    for (const { box } of some) box.checked = on;
    show();
  }

  function show() {
    const many = chosen().length;
    number.textContent = t("{pairs} chosen", { pairs: counted(many, "pair") });
    for (const button of deciding) button.disabled = !writing || !many;
    all.checked = many > 0 && many === rows.length;
    all.indeterminate = many > 0 && many < rows.length;
  }

  /** @param {Verdict} verdict on all chosen pairs */
  async function decide(verdict) {
    const some = chosen();
    for (let at = 0; at < some.length; at += MOST) {
      const part = some.slice(at, at + MOST);
      await ask(`${collectionPath(collection)}/duplicates/verdicts`, { pairs: part.map(({ pair: { a, b } }) => ({ a, b })), verdict });
      for (const row of part) {
        row.pair.verdict = verdict;
        row.pair.decided_by = null;
        row.show();
      }
    }
    mark(some, false);
    say(t("{pairs}: {verdict}.", { pairs: counted(some.length, "pair"), verdict: named(verdict) }));
  }

  return {
    /** @returns {HTMLElement | null} the bar; nothing where there is no pair */
    bar() {
      show();
      return rows.length ? make("p", { class: "verdict all" }, make("label", { class: "check" }, all, t("All pairs")), number, ...deciding) : null;
    },
    /** @param {Pair} pair @returns {HTMLElement} its box and its buttons */
    of(pair) {
      const at = rows.length;
      const box = make("input", {
        type: "checkbox",
        disabled: !writing,
        "aria-label": t("Choose {a} and {b}", { a: pair.a, b: pair.b }),
        onclick: (/** @type {MouseEvent} */ event) => {
          const from = event.shiftKey && last >= 0 ? last : at;
          mark(rows.slice(Math.min(from, at), Math.max(from, at) + 1), box.checked);
          last = at;
        },
      });
      const buttons = verdictButtons(collection, pair, writing);
      rows.push({ pair, box, show: buttons.show });
      return make("p", { class: "verdict" }, make("label", { class: "check" }, box), ...buttons.elements);
    },
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
  const { a, b } = pair;
  const buttons = VERDICTS.map((verdict) =>
    make("button", {
      type: "button",
      class: "plain",
      text: textOf(verdict),
      "aria-label": t("{verdict}: {a} and {b}", { verdict: named(verdict), a, b }),
      "data-verdict": verdict,
      disabled: !writing,
      title: right(writing),
      onclick: async () => {
        const chosen = pair.verdict === verdict ? null : verdict;
        try {
          await ask(`${collectionPath(collection)}/duplicates/verdict`, { a, b, verdict: chosen });
          pair.verdict = chosen;
          pair.decided_by = null;
          show();
          say(chosen ? t("{a} and {b}: {verdict}.", { a, b, verdict: named(chosen) }) : t("{a} and {b}: not decided.", { a, b }));
        } catch (error) {
          showError(error);
        }
      },
    }));
  const show = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.verdict === pair.verdict));
    told.textContent = pair.verdict && pair.decided_by ? t("by {person}", { person: pair.decided_by }) : "";
  };
  show();
  return { elements: [...buttons, told], show };
}

/** When pictures were taken: bars that filter by a span of time. */

import { ask } from "./api.js";
import { byId, make } from "./dom.js";
import { counted, locale, t } from "./language.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {{since: string, until: string, images: number}} Bar
 * @typedef {{unit: string | null, bars: Bar[]}} Timeline
 */

const MOST = 60;
/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const FORMS = {
  hour: { dateStyle: "medium", timeStyle: "short" },
  day: { dateStyle: "medium" },
  week: { dateStyle: "medium" },
  month: { year: "numeric", month: "long" },
  quarter: { year: "numeric", month: "long" },
};

/**
 * Show the bars of the images that match the filter but for its times; nothing where there are no two bars.
 * @param {State} state
 * @param {AbortSignal} signal
 * @param {(changed: Pick<State, "filter">) => void} onChange
 */
export async function showTimeline({ collection, filter, tab }, signal, onChange) {
  const place = byId("timeline");
  if (tab !== "images" || place.dataset.collection !== collection) place.hidden = true;
  if (tab !== "images") return;
  place.dataset.collection = collection;
  const { captured_at: span, ...others } = filter;
  /** @type {Timeline} */
  const { unit, bars } = await ask("api/timeline", { collection, filter: others, most: MOST }, signal);
  place.hidden = bars.length < 2;
  place.replaceChildren();
  if (bars.length < 2 || !unit) return;
  const choose = (/** @type {number} */ first, /** @type {number} */ last) => {
    const [from, to] = [Math.min(first, last), Math.max(first, last)];
    onChange({ filter: { ...others, captured_at: { gte: bars[from].since, lt: bars[to].until } } });
  };
  const most = Math.max(...bars.map(({ images }) => images));
  const list = make("div", { class: "bars", role: "group", "aria-label": t("Time of capture") });
  const buttons = bars.map((bar, at) => {
    const told = `${nameOf(bar, unit)}: ${counted(bar.images, "image")}`;
    const chosen = Boolean(span) && bar.since >= (span.gte ?? "") && bar.until <= (span.lt ?? "9");
    const button = make("button", { type: "button", title: told, "aria-label": told, "aria-pressed": String(chosen), tabindex: at ? -1 : 0, "data-at": at }, make("i"));
    button.style.setProperty("--share", String(bar.images / most));
    return button;
  });
  const start = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
  if (start) [buttons[0].tabIndex, start.tabIndex] = [-1, 0];
  list.append(...buttons);
  listenToBars(list, buttons, choose);
  place.append(
    list,
    make(
      "p",
      { class: "ends" },
      make("span", { text: nameOf(bars[0], unit) }),
      span ? make("button", { type: "button", class: "plain", text: t("Any time"), onclick: () => onChange({ filter: others }) }) : null,
      make("span", { text: nameOf(bars[bars.length - 1], unit) }),
    ),
  );
}

/**
 * A press chooses a bar, a drag all from one to another; keys do the same: Enter, and with Shift from the last one.
 * @param {HTMLElement} list
 * @param {HTMLButtonElement[]} buttons
 * @param {(first: number, last: number) => void} choose
 */
function listenToBars(list, buttons, choose) {
  /** @type {number | null} */
  let from = null; // where the drag began
  const marked = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
  const under = (/** @type {PointerEvent} */ { clientX }) => {
    const { left, width } = list.getBoundingClientRect();
    return Math.min(buttons.length - 1, Math.max(0, Math.floor(((clientX - left) / width) * buttons.length)));
  };
  const mark = (/** @type {number} */ to) =>
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at >= Math.min(from ?? to, to) && at <= Math.max(from ?? to, to))));
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    from = event.shiftKey && marked >= 0 ? marked : under(event);
    list.setPointerCapture(event.pointerId);
    mark(under(event));
  });
  list.addEventListener("pointermove", (event) => from !== null && mark(under(event)));
  list.addEventListener("pointerup", (event) => {
    if (from !== null) choose(from, under(event));
    from = null;
  });
  list.addEventListener("pointercancel", () => { from = null; });
  list.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") choose(event.shiftKey && marked >= 0 ? marked : at, at);
    else if (to !== undefined && buttons[to]) {
      [buttons[at].tabIndex, buttons[to].tabIndex] = [-1, 0];
      buttons[to].focus();
    } else return;
    event.preventDefault();
  });
}

/**
 * @param {Bar} bar
 * @param {string} unit
 */
function nameOf({ since, until }, unit) {
  const year = Number(since.slice(0, 4));
  if (unit === "year") return String(year);
  if (["decade", "century", "millennium"].includes(unit)) return `${year}–${Number(until.slice(0, 4)) - 1}`;
  return new Intl.DateTimeFormat(locale(), FORMS[unit]).format(new Date(since));
}

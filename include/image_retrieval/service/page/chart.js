/** A small chart: lines over time, with the largest value and both ends of the time written beside them. */

import { draw, make } from "./dom.js";
import { locale, t } from "./language.js";

const WIDTH = 360, HEIGHT = 120, TOP = 18, LOWER = 18;

/**
 * @param {string} title
 * @param {number[]} times milliseconds, in order
 * @param {{name: string, values: (number | null)[]}[]} lines null: nothing is known at that time
 * @param {(value: number) => string} told a value for readers
 * @param {number} [whole] the top of the chart; otherwise the largest value
 */
export function chart(title, times, lines, told, whole) {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null));
  const most = Math.max(0, ...values);
  const top = whole ?? (most || 1);
  const first = times[0], last = times[times.length - 1];
  const across = (/** @type {number} */ at) => (times.length > 1 ? ((times[at] - first) / (last - first)) * WIDTH : WIDTH);
  const down = (/** @type {number} */ value) => HEIGHT - LOWER - (Math.min(value, top) / top) * (HEIGHT - LOWER - TOP);
  const parts = lines.flatMap(({ values: own }, number) =>
    runs(own).map((run) => {
      const points = run.map((at) => `${across(at).toFixed(1)},${down(/** @type {number} */ (own[at])).toFixed(1)}`);
      if (points.length > 1) return draw("polyline", { class: `line${number}`, points: points.join(" ") });
      const [x, y] = points[0].split(",");
      return draw("circle", { class: `line${number}`, cx: x, cy: y, r: 2 });
    }));
  const time = new Intl.DateTimeFormat(locale(), { timeStyle: "short" });
  const summary = values.length ? t("{title}: at most {value}", { title, value: told(most) }) : t("{title}: nothing yet", { title });
  return make(
    "figure",
    { class: "chart" },
    make("figcaption", {}, make("strong", { text: title }), ...lines.filter(({ name }) => name).map(({ name }, number) => make("span", { class: `line${number}`, text: name }))),
    draw(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary },
      draw("path", { class: "axis", d: `M0 ${HEIGHT - LOWER}H${WIDTH}` }),
      draw("path", { class: "axis", d: `M0 ${TOP}H${WIDTH}` }),
      ...parts,
      draw("text", { x: 0, y: TOP - 5 }, told(top)),
      draw("text", { x: 0, y: HEIGHT - 4 }, time.format(first)),
      draw("text", { x: WIDTH, y: HEIGHT - 4, "text-anchor": "end" }, time.format(last)),
    ),
  );
}

/**
 * @param {(number | null)[]} values
 * @returns {number[][]} the places of values that follow one another without a gap
 */
function runs(values) {
  /** @type {number[][]} */
  const found = [];
  values.forEach((value, at) => {
    if (value === null) return;
    if (at > 0 && values[at - 1] !== null) found[found.length - 1].push(at);
    else found.push([at]);
  });
  return found;
}

/** Trainings: a table, and for one that is chosen its progress, the curve of its loss, and what the gate said. */

import { ask, showAt } from "./api.js";
import { draw, make, say, visible } from "./dom.js";
import { count, counted, formatted, moment, named, t } from "./language.js";
import { recalls } from "./recalls.js";
import { table } from "./reports.js";

/**
 * @typedef {import("./api.js").Figures} Figures
 * @typedef {import("./api.js").Training} Training
 * @typedef {import("./api.js").TrainingInFull} TrainingInFull
 */

const UNDER_WAY = ["packing", "training", "gating"];
const WIDTH = 720, HEIGHT = 180, LEFT = 52, LOWER = 22; // of the curve; the margins hold the numbers

/** @type {string | null} */
let chosen = null;
/** @type {Promise<HTMLImageElement> | null} */
let examples = null; // the picture of the chosen one, which is fetched once

/**
 * @param {AbortSignal} signal
 * @param {() => void} again shows the report anew
 */
export async function trainingsReport(signal, again) {
  /** @type {{trainings: Training[]}} */
  const { trainings } = await ask("api/trainings", undefined, signal);
  say(trainings.length ? t("{trainings}, the latest first.", { trainings: counted(trainings.length, "training") }) : t("No model was trained yet."));
  if (!trainings.length) {
    const hint = make("p", { class: "hint", text: t("The DAG model_training trains a model on your own images, and judges it.") });
    return { running: false, element: make("div", { class: "empty" }, make("p", { class: "big", text: t("No trainings yet") }), hint) };
  }
  if (!trainings.some(({ name }) => name === chosen)) choose(trainings[0].name);
  const rows = trainings.map((training) => [
    make("button", {
      type: "button",
      class: "plain",
      text: training.name,
      "aria-pressed": String(training.name === chosen),
      onclick: () => {
        choose(training.name);
        again();
      },
    }),
    make("span", { class: `tag ${tone(training.state)}`, text: named(training.state) }),
    training.decision ? named(training.decision) : "",
    named(training.method),
    make("span", { class: "key", text: visible(training.source), title: training.source }),
    make("span", { class: "key", text: last(training.start), title: training.start }),
    make("span", { class: "key", text: last(training.against), title: training.against }),
    moment(training.started_at),
  ]);
  const element = make(
    "div",
    { class: "report" },
    table([t("Model"), t("State"), t("Approval"), t("Method"), t("Learns from"), t("Start"), t("Judged against"), t("Begun")], rows),
    await details(await ask(`api/trainings/${encodeURIComponent(chosen ?? "")}`, undefined, signal)),
  );
  return { running: trainings.some(({ state }) => UNDER_WAY.includes(state)), element };
}

/** @param {string} name */
function choose(name) {
  if (name !== chosen) examples = null;
  chosen = name;
}

/** @param {TrainingInFull} training */
async function details(training) {
  const figures = training.folder.figures ?? training.figures;
  const { losses } = training.folder;
  return make(
    "section",
    { class: "training", "aria-label": t("Training {name}", { name: training.name }) },
    make("h2", { text: training.name }),
    training.reason ? make("p", { lang: "en", text: sentence(training.reason) }) : null,
    figures ? make("p", { class: "hint", text: progress(figures) }) : null,
    losses.length > 1 ? curve(losses) : null,
    training.gate ? ("after" in training.gate ? recalls(training.gate) : await judged(training.name, training.gate, training.against)) : null,
  );
}

/** @param {Figures} figures */
function progress({ steps, steps_in_all: all, epochs, images_per_second: speed }) {
  const done = steps === all ? counted(steps, "step") : t("{done} of {steps}", { done: count(steps), steps: counted(all, "step") });
  const passes = counted(Math.round(epochs * 10) / 10, "epoch");
  return [done, passes, ...(speed ? [t("{n} images/s", { n: count(Math.round(speed)) })] : [])].join(" · ");
}

/** @param {{epoch: number, loss: number}[]} losses */
function curve(losses) {
  const values = losses.map(({ loss }) => loss);
  const low = Math.min(...values), high = Math.max(...values), end = losses[losses.length - 1];
  const across = (/** @type {number} */ epoch) => LEFT + (epoch / end.epoch) * (WIDTH - LEFT - 8);
  const down = (/** @type {number} */ loss) => 8 + ((high - loss) / (high - low || 1)) * (HEIGHT - LOWER - 16);
  const line = losses.map(({ epoch, loss }) => `${across(epoch).toFixed(1)},${down(loss).toFixed(1)}`).join(" ");
  const told = t("Loss from {first} to {last} over {epochs}", { first: short(values[0]), last: short(end.loss), epochs: counted(Math.round(end.epoch * 10) / 10, "epoch") });
  const base = HEIGHT - LOWER;
  return draw(
    "svg",
    { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told },
    draw("path", { class: "axis", d: `M${LEFT} 4V${base}H${WIDTH - 4}` }),
    draw("polyline", { points: line }),
    draw("text", { x: LEFT - 6, y: down(high) + 4, "text-anchor": "end" }, short(high)),
    draw("text", { x: LEFT - 6, y: down(low) + 4, "text-anchor": "end" }, short(low)),
    draw("text", { x: LEFT, y: HEIGHT - 5 }, t("loss by epoch")),
    draw("text", { x: WIDTH - 6, y: HEIGHT - 5, "text-anchor": "end" }, count(Math.round(end.epoch * 10) / 10)),
  );
}

/**
 * @param {string} name
 * @param {import("./api.js").PictureGate} gate
 * @param {string} against
 */
async function judged(name, { figures: { trained, before }, queries, held_out: pictures }, against) {
  const row = (/** @type {string} */ what, /** @type {number | null} */ own, /** @type {number | null} */ other) =>
    [what, ...[own, other].map((value) => make("span", { class: "number", text: value === null ? "" : percent(value) }))];
  const rows = Object.entries(trained.recall_at_1).map(([kind, share]) => row(asked(kind), share, before.recall_at_1[kind]));
  rows.push(row(t("mean average precision"), trained.mean_average_precision, before.mean_average_precision));
  if (trained.groups !== null) rows.push(row(t("nearest ten of the same group"), trained.groups, before.groups));
  examples ??= examplesOf(name);
  return make(
    "div",
    { class: "judged" },
    make("p", { class: "hint", text: t("On {pictures} that the training has not seen, by {queries} queries.", { pictures: counted(pictures, "picture"), queries: count(queries) }) }),
    table([t("The original"), t("Trained"), last(against)], rows),
    (await examples).cloneNode(),
  );
}

/** @param {string} name of a training */
async function examplesOf(name) {
  const image = make("img", { class: "examples", alt: t("Queries, and the nearest pictures under the trained model and under the one before") });
  await showAt(image, `api/trainings/${encodeURIComponent(name)}/examples`);
  return image;
}

/** @param {string} state */
const tone = (state) => (state === "passed" ? "success" : ["refused", "collapsed", "failed"].includes(state) ? "failed" : "");
/** @param {string} source */
const last = (source) => visible(source.replace(/\/+$/, "").split("/").pop() || source);
/** @param {string} text */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
/** @param {number} value */
const short = (value) => formatted(value, { maximumSignificantDigits: 3 });
/** @param {number} value */
const percent = (value) => formatted(value, { style: "percent", maximumFractionDigits: 1 });
/** @param {string} kind of query */
function asked(kind) {
  if (kind === "crop") return t("found by a part");
  if (kind === "re_encoding") return t("found by a small copy of low quality");
  return kind === "colour_shift" ? t("found in other colours") : kind;
}

/** What the service did in the last hour or day: requests, their times, processors, memory, and the models it holds. */

import { ask } from "./api.js";
import { chart } from "./chart.js";
import { make, say, visible } from "./dom.js";
import { count, counted, formatted, moment, t } from "./language.js";
import { table } from "./reports.js";

/**
 * @typedef {{requests: number, refused: number, failed: number, p50: number | null, p95: number | null, p99: number | null}} Told
 * @typedef {{name: string, used: number | null, memory: number | null, memory_total: number | null}} Gpu
 * @typedef {Told & {at: string, seconds: number, per_second: number, cores: number, memory: number, models_memory: number, gpus: Gpu[]}} Step
 * @typedef {{name: string, source: string, device: string, memory: number, waiting: number, idle_seconds: number}} Model
 * @typedef {Told & {started: string, since: string, seconds: number, per_second: number, machine: {cores: number, memory: number},
 *   models: Model[], routes: (Told & {route: string})[], steps: Step[]}} Usage
 */

/** @type {"hour" | "day"} */
let span = "hour";

/**
 * @param {AbortSignal} signal
 * @param {() => void} again shows the report anew
 */
export async function serviceReport(signal, again) {
  /** @type {Usage} */
  const usage = await ask(`api/service?window=${span}`, undefined, signal);
  say(t("{requests} since {time}.", { requests: counted(usage.requests, "request"), time: moment(usage.since) }));
  return make(
    "div",
    { class: "report service" },
    spans(again),
    make("dl", { class: "figures" }, ...figures(usage)),
    make("div", { class: "charts" }, ...charts(usage)),
    make("h2", { text: t("Models in memory") }),
    models(usage.models),
    make("h2", { text: t("Routes") }),
    routes(usage.routes),
  );
}

/** @param {() => void} again */
function spans(again) {
  const button = (/** @type {"hour" | "day"} */ value, /** @type {string} */ text) =>
    make("button", {
      type: "button",
      class: "plain",
      text,
      "aria-pressed": String(value === span),
      onclick: () => {
        span = value;
        again();
      },
    });
  return make("div", { class: "spans", role: "group", "aria-label": t("Time") }, button("hour", t("Last hour")), button("day", t("Last day")));
}

/** @param {Usage} usage */
function figures({ per_second, p95, requests, failed, steps, models, machine }) {
  const { cores, memory } = steps[steps.length - 1];
  const figure = (/** @type {string} */ name, /** @type {string} */ value, bad = false) =>
    make("div", { class: bad ? "bad" : "" }, make("dt", { text: name }), make("dd", { text: value }));
  return [
    figure(t("Requests a second"), short(per_second)),
    figure(t("95 % answered within"), p95 === null ? "–" : seconds(p95)),
    figure(t("Failed"), percent(requests ? failed / requests : 0), failed > 0),
    figure(t("Processors in use"), t("{used} of {all}", { used: short(cores), all: count(machine.cores) })),
    figure(t("Memory"), t("{used} of {all}", { used: bytes(memory), all: bytes(machine.memory) })),
    figure(t("Models in memory"), count(models.length)),
  ];
}

/** @param {Usage} usage */
function charts({ steps, machine }) {
  const times = steps.map(({ at }) => Date.parse(at));
  const line = (/** @type {string} */ name, /** @type {(step: Step) => number | null} */ value) => ({ name, values: steps.map(value) });
  const all = [
    chart(t("Requests a second"), times, [line("", (step) => step.per_second)], short),
    chart(t("Response time"), times, [
      line("50 %", ({ p50 }) => p50),
      line("95 %", ({ p95 }) => p95),
      line("99 %", ({ p99 }) => p99),
    ], seconds),
    chart(t("Refused and failed"), times, [line(t("refused"), ({ refused }) => refused), line(t("failed"), ({ failed }) => failed)], count),
    chart(t("Processors in use"), times, [line("", ({ cores }) => cores)], short, machine.cores),
    chart(t("Memory"), times, [line(t("all"), ({ memory }) => memory), line(t("models"), ({ models_memory }) => models_memory)], bytes),
  ];
  const gpus = steps[steps.length - 1].gpus;
  if (!gpus.length) return all;
  const own = (/** @type {(gpu: Gpu) => number | null} */ value) =>
    gpus.map(({ name }, at) => line(`${at} ${visible(name)}`, (step) => (step.gpus[at] ? value(step.gpus[at]) : null)));
  return [
    ...all,
    chart(t("GPUs in use"), times, own(({ used }) => used), percent, 1),
    chart(t("Memory of the GPUs"), times, own(({ memory }) => memory), bytes),
  ];
}

/** @param {Model[]} models */
function models(models) {
  if (!models.length) return make("p", { class: "hint", text: t("None: the first search loads one.") });
  const rows = models.map(({ name, source, device, memory, waiting, idle_seconds: idle }) => [
    make("span", { class: "key", text: visible(name), title: source }),
    device,
    bytes(memory),
    count(waiting),
    idle < 60 ? t("just now") : t("{n} min ago", { n: count(Math.floor(idle / 60)) }),
  ]);
  return table([t("Model"), t("Device"), t("Memory"), t("Waiting"), t("Last used")], rows);
}

/** @param {(Told & {route: string})[]} routes */
function routes(routes) {
  if (!routes.length) return make("p", { class: "hint", text: t("No requests yet.") });
  const rows = routes.map(({ route, requests, refused, failed, p50, p95 }) => [
    make("span", { class: "key", text: visible(route) }),
    ...[count(requests), count(refused), count(failed), p50 === null ? "" : seconds(p50), p95 === null ? "" : seconds(p95)].map((text) =>
      make("span", { class: "number", text })),
  ]);
  return table([t("Route"), t("Requests"), t("Refused"), t("Failed"), t("50 % within"), t("95 % within")], rows);
}

/** @param {number} value */
const short = (value) => formatted(value, { maximumSignificantDigits: 3 });
/** @param {number} value */
const percent = (value) => formatted(value, { style: "percent", maximumFractionDigits: 1 });
/** @param {number} value */
function seconds(value) {
  const small = value < 1;
  return formatted(small ? value * 1000 : value, { style: "unit", unit: small ? "millisecond" : "second", unitDisplay: "short", maximumSignificantDigits: 3 });
}
/** @param {number} value */
function bytes(value) {
  const large = value >= 2 ** 30;
  return formatted(value / 2 ** (large ? 30 : 20), { style: "unit", unit: large ? "gigabyte" : "megabyte", maximumSignificantDigits: 3 });
}

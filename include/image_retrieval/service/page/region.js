/** A dialog that cuts a part out of a picture to search by: a box, drawn with a pointer or moved by arrow keys. */

import { showPicture } from "./api.js";
import { make, visible } from "./dom.js";
import { formatted, t } from "./language.js";

/**
 * @typedef {import("./state.js").Term} Term
 * @typedef {[number, number, number, number]} Region left, top, width, height, as shares of the upright picture
 * @typedef {[number, number]} Point
 */

/** @type {Region} */
const MIDDLE = [0.25, 0.25, 0.5, 0.5];
const LEAST = 0.02; // of a side
const STEP = 0.02; // of a key
const CORNERS = ["left", "right"].flatMap((across) => ["top", "bottom"].map((down) => `${across} ${down}`));
/** @type {Record<string, Point>} */
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
const clamped = (/** @type {number} */ value, least = 0, most = 1) => Math.min(most, Math.max(least, value));

/**
 * @param {string} collection
 * @param {Term} term a picture, of the collection or given
 * @param {(term: Term) => void} onSearch gets the same term with a region
 * @param {string} [given] address of a picture that this page was given
 */
export function cutOut(collection, term, onSearch, given) {
  let region = term.region ?? MIDDLE;
  const place = make("input", { type: "checkbox" });
  place.checked = term.place ?? false;
  const box = make("div", { class: "box", tabindex: 0, role: "application" }, ...CORNERS.map((corner) => make("i", { class: corner, "data-corner": corner })));
  const image = make("img", { alt: "", draggable: "false" });
  const stage = make("div", { class: "stage" }, image, box);
  const search = () => {
    dialog.close();
    onSearch({ ...term, region: /** @type {Region} */ (region.map((share) => Math.round(share * 1e4) / 1e4)), place: place.checked });
  };
  const dialog = make(
    "dialog",
    { class: "cut", "aria-labelledby": "cut-title", onclose: () => dialog.remove() },
    make(
      "div",
      { class: "bar" },
      make("h2", { id: "cut-title", text: t("Search by a part") }),
      make("label", { class: "check", title: t("Prefer pictures that show the same at this place") }, place, t("at this place")),
      make("button", { type: "button", class: "main", text: t("Search"), onclick: search }),
      make("button", { type: "button", class: "plain", text: "✕", "aria-label": t("Close"), onclick: () => dialog.close() }),
    ),
    stage,
    make("p", { class: "hint", text: t("Draw a box. Arrow keys move it, with Shift they change its size, Enter searches.") }),
  );
  const show = (/** @type {Region} */ changed) => {
    region = changed;
    ["--left", "--top", "--width", "--height"].forEach((name, at) => box.style.setProperty(name, String(region[at])));
    const [left, top, width, height] = region.map((share) => formatted(share, { style: "percent" }));
    box.setAttribute("aria-label", t("Part: {width} × {height} of the picture, {left} from the left, {top} from the top", { left, top, width, height }));
  };
  box.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (event.key === "Enter") search();
    else if (step) show(event.shiftKey ? resized(region, step) : moved(region, step));
    else return;
    event.preventDefault();
  });
  listenToPointer(stage, box, () => region, show);
  if (given) image.src = given;
  else showWhole(image, collection, term.value);
  show(region);
  document.body.append(dialog);
  dialog.showModal();
  box.focus();
}

/**
 * @param {HTMLImageElement} image
 * @param {string} collection
 * @param {string} id
 */
function showWhole(image, collection, id) {
  image.alt = visible(id);
  image.onerror = () => {
    image.onerror = null; // no browser shows TIFF and some others: the preview is a JPEG
    showPicture(image, collection, id, "preview");
  };
  showPicture(image, collection, id, "original");
}

/** @param {Region} region @param {Point} step @returns {Region} */
function moved([left, top, width, height], [across, down]) {
  return [clamped(left + across, 0, 1 - width), clamped(top + down, 0, 1 - height), width, height];
}

/** @param {Region} region @param {Point} step @returns {Region} */
function resized([left, top, width, height], [across, down]) {
  return [left, top, clamped(width + across, LEAST, 1 - left), clamped(height + down, LEAST, 1 - top)];
}

/** @param {Point} from @param {Point} to @returns {Region} the box between two points */
function between(from, to) {
  const [left, top] = [0, 1].map((axis) => clamped(Math.min(from[axis], to[axis]), 0, 1 - LEAST));
  const [right, bottom] = [0, 1].map((axis) => clamped(Math.max(from[axis], to[axis])));
  return [left, top, Math.max(LEAST, right - left), Math.max(LEAST, bottom - top)];
}

/**
 * A press inside the box moves it, one on a corner changes its size, and one elsewhere begins another box.
 * @param {HTMLElement} stage
 * @param {HTMLElement} box
 * @param {() => Region} now
 * @param {(region: Region) => void} show
 */
function listenToPointer(stage, box, now, show) {
  const pointOf = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = stage.getBoundingClientRect();
    return /** @type {Point} */ ([clamped((event.clientX - left) / width), clamped((event.clientY - top) / height)]);
  };
  stage.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    box.focus();
    const [start, before] = [pointOf(event), now()];
    const { corner } = /** @type {HTMLElement} */ (event.target).dataset;
    const inside = event.target === box;
    const fixed = corner ? opposite(before, corner) : start;
    const drag = (/** @type {PointerEvent} */ moving) => {
      const point = pointOf(moving);
      show(inside ? moved(before, [point[0] - start[0], point[1] - start[1]]) : between(fixed, point));
    };
    stage.setPointerCapture(event.pointerId);
    stage.addEventListener("pointermove", drag);
    const end = () => stage.removeEventListener("pointermove", drag);
    stage.addEventListener("pointerup", end, { once: true });
    stage.addEventListener("pointercancel", end, { once: true });
  });
}

/** @param {Region} region @param {string} corner @returns {Point} the corner that stays */
function opposite([left, top, width, height], corner) {
  return [corner.includes("left") ? left + width : left, corner.includes("top") ? top + height : top];
}

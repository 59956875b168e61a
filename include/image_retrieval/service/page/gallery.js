/** Shows images in rows, in their own proportions; scrolling loads more, and arrow keys move among them. */

import { showPicture } from "./api.js";
import { captionOf } from "./captions.js";
import { byId, make, visible } from "./dom.js";
import { t } from "./language.js";
import { foundBy, scoredBy } from "./modes.js";
import { choiceBox, choose } from "./selection.js";

/**
 * @typedef {{image_id: string, score?: number, group_id: string | null, caption: string | null,
 *   captions?: Record<string, string> | null, width: number | null, height: number | null,
 *   found_by?: string[] | null, scores?: Record<string, number> | null}} Image
 *   `found_by`, `scores`: of a search that asked several sides
 * @typedef {object} Doing what a user may do with an image
 * @property {(id: string) => void} search
 * @property {(id: string, less: boolean) => void} refine
 * @property {(at: number) => void} view
 * @property {(group: string) => void} group
 */

/**
 * @param {string} collection
 * @param {Doing} doing
 */
export function makeGallery(collection, doing) {
  const list = make("ul", { class: "gallery", "aria-label": t("Images") });
  list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => move(list, event));
  /** @type {Image[]} */
  const images = [];
  return {
    element: list,
    images,
    /**
     * @param {Image[]} more
     * @param {boolean} calibrated whether scores are 0 to 1
     */
    add(more, calibrated) {
      const shown = images.length;
      images.push(...more);
      list.append(...more.map((_, at) => card(collection, images, shown + at, calibrated, doing)));
    },
    /** @param {number} at where an image is whose caption has changed */
    renew(at) {
      tellCaption(list.children[at], images[at]);
    },
  };
}

/**
 * @param {string} collection
 * @param {Image[]} images
 * @param {number} at which of them
 * @param {boolean} calibrated
 * @param {Doing} doing
 */
function card(collection, images, at, calibrated, doing) {
  const image = images[at];
  const { image_id: id, group_id: group, width, height } = image;
  const picture = make("img", { loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => item.classList.add("broken"));
  picture.addEventListener("load", () => item.classList.add("there"));
  const score = image.score === undefined ? null : scored(image.score, calibrated);
  const action = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
    make("button", { type: "button", text, title: label, "aria-label": `${label}: ${id}`, onclick });
  const item = make(
    "li",
    { class: "card" },
    make(
      "div",
      { class: "frame" },
      make("button", {
        type: "button",
        class: "picture",
        tabindex: at === 0 ? 0 : -1,
        title: t("Search from this image"),
        "aria-keyshortcuts": "o + - x",
        onclick: () => doing.search(id),
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "o") doing.view(at);
          else if (event.key === "+") doing.refine(id, false);
          else if (event.key === "-") doing.refine(id, true);
          else if (event.key === "x" || event.key === "X") choose(images, at, event.shiftKey);
          else return;
          event.preventDefault();
        },
      }, picture),
      choiceBox(images, at),
      make(
        "div",
        { class: "actions" },
        action("+", t("More like this"), () => doing.refine(id, false)),
        action("−", t("Less like this"), () => doing.refine(id, true)),
        action("⤢", t("Original"), () => doing.view(at)),
      ),
    ),
    make(
      "div",
      { class: "facts" },
      make("span", { class: "id", text: visible(id), title: id }),
      score,
      image.found_by ? make("span", { class: "by", text: foundBy(image), title: scoredBy(image) }) : null,
      make("span", { class: "size", text: width && height ? `${width} × ${height}` : "" }),
      group === null
        ? null
        : make("button", { type: "button", class: "group", text: visible(group), title: t("Only the group {group}", { group }), onclick: () => doing.group(group) }),
    ),
    make("p", { class: "caption" }),
  );
  tellCaption(item, image);
  const ratio = width && height ? Math.min(3, Math.max(0.4, width / height)) : 1;
  item.style.setProperty("--ratio", String(ratio));
  showPicture(picture, collection, id, "preview");
  return item;
}

/**
 * @param {Element} item
 * @param {Image} image
 */
function tellCaption(item, image) {
  const [caption, id] = [captionOf(image), image.image_id];
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (item.querySelector(selector));
  part("img").setAttribute("alt", caption ?? id);
  part(".picture").setAttribute("aria-label", t("Search from {name}", { name: caption ? `${id}: ${caption}` : id }));
  part(".caption").textContent = caption;
}

/**
 * @param {number} score
 * @param {boolean} calibrated
 */
function scored(score, calibrated) {
  const text = calibrated ? `${Math.floor(score * 100)} %` : score.toFixed(2);
  const meaning = calibrated ? t("score {score} of 1", { score: score.toFixed(3) }) : t("similarity {similarity}", { similarity: score.toFixed(3) });
  const element = make("span", { class: "score", text, title: meaning });
  element.style.setProperty("--score", String(Math.max(0, Math.min(1, score))));
  return element;
}

/**
 * @param {HTMLElement} list
 * @param {KeyboardEvent} event
 */
function move(list, event) {
  const pictures = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(".picture")]);
  const from = pictures.indexOf(/** @type {HTMLElement} */ (event.target));
  if (from < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: pictures.length - 1 }[event.key]
    ?? (event.key === "ArrowDown" ? across(pictures, from, 1) : event.key === "ArrowUp" ? across(pictures, from, -1) : -1);
  const next = pictures[to];
  if (!next) return;
  event.preventDefault();
  pictures[from].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

/**
 * @param {HTMLElement[]} pictures
 * @param {number} from
 * @param {number} step 1: down, -1: up
 * @returns {number} which is nearest in the row below or above; -1 where there is none
 */
function across(pictures, from, step) {
  const middle = (/** @type {DOMRect} */ box) => box.left + box.width / 2;
  const start = pictures[from].getBoundingClientRect();
  let row = null;
  let best = -1;
  let least = Infinity;
  for (let at = from + step; at >= 0 && at < pictures.length; at += step) {
    const box = pictures[at].getBoundingClientRect();
    if (Math.abs(box.top - start.top) < 4) continue;
    row ??= box.top;
    if (Math.abs(box.top - row) > 4) break;
    const distance = Math.abs(middle(box) - middle(start));
    if (distance < least) [least, best] = [distance, at];
  }
  return best;
}

/** @param {() => void} onEnd is called when the end of the page comes near */
export function watchEnd(onEnd) {
  new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && onEnd(), { rootMargin: "800px" }).observe(byId("end"));
}

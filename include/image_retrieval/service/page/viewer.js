/** Shows one image as large as the window: its original, and its metadata. */

import { showPicture } from "./api.js";
import { captionOf, showCaptions } from "./captions.js";
import { byId, visible } from "./dom.js";
import { t } from "./language.js";
import { foundBy, scoredBy } from "./modes.js";

/** @typedef {import("./gallery.js").Image} Image */

/**
 * @typedef {{search: (id: string) => void, part: (id: string) => void, caption: (at: number) => void}} Doing
 *   `search`: from an image; `part`: cut a part out of it; `caption`: the caption of one has changed
 */

/** @type {{collection: string, images: Image[], at: number, writing: boolean, doing: Doing}} */
let shown;

/**
 * @param {string} collection
 * @param {Image[]} images
 * @param {number} at which of them
 * @param {boolean} writing whether this user may change something
 * @param {Doing} doing
 */
export function view(collection, images, at, writing, doing) {
  shown = { collection, images, at, writing, doing };
  show();
  byId("viewer").showModal();
}

function show() {
  const { collection, images, at, writing, doing } = shown;
  const { image_id: id, width, height, group_id: group } = images[at];
  const dialog = byId("viewer");
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (dialog.querySelector(selector));
  const [picture, link] = [/** @type {HTMLImageElement} */ (part("img")), /** @type {HTMLAnchorElement} */ (part("a"))];
  part("h2").textContent = visible(id);
  const why = images[at].scores ? t("Found by {sides} ({scores})", { sides: foundBy(images[at]), scores: scoredBy(images[at]) }) : null;
  part(".facts").textContent = [width && `${width} × ${height}`, group, why].filter(Boolean).join(" · ");
  picture.alt = captionOf(images[at]) ?? id;
  const onChange = () => {
    picture.alt = captionOf(images[at]) ?? id;
    doing.caption(at);
  };
  showCaptions(part(".captions"), { collection, image: images[at], writing, onChange });
  picture.removeAttribute("src");
  picture.onerror = () => {
    picture.onerror = null; // no browser shows TIFF and some others: the preview is a JPEG
    showPicture(picture, collection, id, "preview");
  };
  showPicture(picture, collection, id, "original");
  link.download = id.split("/").at(-1) ?? id;
  showPicture(link, collection, id, "original");
  const steps = /** @type {NodeListOf<HTMLButtonElement>} */ (dialog.querySelectorAll("[data-step]"));
  for (const button of steps) button.disabled = !images[at + Number(button.dataset.step)];
}

/** @param {number} step */
function go(step) {
  if (!shown.images[shown.at + step]) return;
  shown.at += step;
  show();
}

export function listenToViewer() {
  const dialog = byId("viewer");
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  });
  dialog.addEventListener("click", (/** @type {any} */ event) => {
    const { step, do: what } = event.target.dataset;
    if (step) go(Number(step));
    if (what === "close" || what === "search" || what === "part" || event.target === dialog) dialog.close();
    if (what === "part" || what === "search") shown.doing[/** @type {"part" | "search"} */ (what)](shown.images[shown.at].image_id);
  });
}

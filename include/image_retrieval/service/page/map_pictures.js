/** The images behind points, and their pictures, as the map comes to need them. */

import { ask, collectionPath, showPicture } from "./api.js";

/**
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {import("./map_points.js").Points} Points
 */

const AT_ONCE = 60; // images that are asked for together
const LOADING = 12; // pictures that are loaded at the same time
const KEPT = 800;
const WAIT = 60; // milliseconds in which further points join a question

/**
 * @param {string} collection
 * @param {Points} points
 * @param {AbortSignal} signal
 * @param {() => void} onLoad
 */
export function makePictures(collection, points, signal, onLoad) {
  /** @type {Map<number, Image | null>} null: asked for, or gone */
  const images = new Map();
  /** @type {Map<string, HTMLImageElement>} */
  const pictures = new Map();
  /** @type {Set<number>} */
  const wanted = new Set();
  let loading = 0;
  let timer = 0;

  async function fetchImages() {
    timer = 0;
    const asked = [...wanted].slice(0, AT_ONCE);
    wanted.clear();
    for (const at of asked) images.set(at, null);
    const places = new Map(asked.map((at) => [Number(points.ids[at]), at]));
    const query = new URLSearchParams([...places.keys()].map((id) => ["id", String(id)]));
    try {
      /** @type {{images: (Image & {id: number})[]}} */
      const found = await ask(`${collectionPath(collection)}/map/images?${query}`, undefined, signal);
      for (const image of found.images) images.set(/** @type {number} */ (places.get(image.id)), image);
      onLoad();
    } catch {
      for (const at of asked) images.delete(at); // asked for again when it is seen again
    }
  }

  return {
    /**
     * @param {number} at which point
     * @returns {Image | null} null until it is known
     */
    imageOf(at) {
      if (!images.has(at) && !signal.aborted) {
        wanted.add(at);
        timer ||= setTimeout(fetchImages, WAIT);
      }
      return images.get(at) ?? null;
    },
    /**
     * @param {string | null} id of an image
     * @returns {HTMLImageElement | null} null until it is loaded
     */
    pictureOf(id) {
      if (id === null) return null;
      const known = pictures.get(id);
      if (known) return known.complete && known.naturalWidth ? known : null;
      if (loading >= LOADING || signal.aborted) return null;
      if (pictures.size >= KEPT) pictures.delete(/** @type {string} */ (pictures.keys().next().value));
      const picture = new Image();
      const done = () => {
        loading -= 1;
        onLoad();
      };
      picture.addEventListener("load", done, { once: true });
      picture.addEventListener("error", done, { once: true });
      loading += 1;
      pictures.set(id, picture);
      showPicture(picture, collection, id, "preview");
      return null;
    },
  };
}

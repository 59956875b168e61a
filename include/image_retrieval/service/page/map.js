/** The map of a collection: its images in the plane, and a list of its clusters beside it. */

import { ask, askBytes, collectionPath } from "./api.js";
import { byId, make, say } from "./dom.js";
import { count, t } from "./language.js";
import { facing, makeCamera, moveCamera } from "./map_camera.js";
import { makeClusterList, numberClusters } from "./map_clusters.js";
import { makeLabels } from "./map_labels.js";
import { clusterColours, makePainter, packed } from "./map_paint.js";
import { makePictures } from "./map_pictures.js";
import { clusterBoxes, unpack, wholeBox } from "./map_points.js";

/**
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {import("./map_points.js").Box} Box
 * @typedef {import("./map_points.js").Cluster} Cluster
 * @typedef {import("./map_points.js").Points} Points
 * @typedef {import("./state.js").State} State
 * @typedef {object} Doing what a user may do with what is on the map
 * @property {(id: string) => void} search
 * @property {(images: Image[], at: number) => void} view
 * @property {() => void} all show the images that the filter leaves out, too
 */

const MARGIN = 110; // pixels for the pictures at the edges of the map
const LEAST = 0.02; // what is seen of the map at least

/**
 * @param {State} state
 * @param {AbortSignal} signal
 * @param {Doing} doing
 */
export async function showMapOf({ collection, filter }, signal, doing) {
  say(t("Loading the map …"));
  byId("results").replaceChildren();
  const path = `${collectionPath(collection)}/map`;
  const filtered = Object.keys(filter).length > 0;
  const query = filtered ? `?${new URLSearchParams({ filter: JSON.stringify(filter) })}` : "";
  try {
    /** @type {[{clusters: Cluster[]}, ArrayBuffer]} */
    const [{ clusters }, data] = await Promise.all([ask(path, undefined, signal), askBytes(`${path}/points${query}`, signal)]);
    if (signal.aborted) return;
    const points = unpack(data);
    numberClusters(clusters);
    const images = count(points.count);
    if (filtered) say(points.count === 1 ? t("1 image matches the filter.") : t("{images} images match the filter.", { images }));
    else say(t("{images} images; those that look alike lie side by side.", { images }));
    if (filtered) byId("status").append(" ", make("button", { type: "button", class: "plain", text: t("Show all"), onclick: doing.all }));
    if (points.count) makeMap(collection, points, clusters, signal, doing);
    else byId("results").replaceChildren(empty(t("No image matches the filter"), ""));
  } catch (error) {
    if (/** @type {any} */ (error).code !== "no_map") throw error;
    say("");
    const how = t("The upkeep makes it once a day from the collection's vectors, and `image-retrieval map {collection}` makes it at once.", { collection });
    byId("results").replaceChildren(empty(t("No map yet"), how));
  }
}

/**
 * @param {string} what
 * @param {string} how
 */
const empty = (what, how) => make("div", { class: "empty" }, make("p", { class: "big", text: what }), make("p", { class: "hint", text: how }));

/**
 * @param {string} collection
 * @param {Points} points
 * @param {Cluster[]} clusters
 * @param {AbortSignal} signal
 * @param {Doing} doing
 */
function makeMap(collection, points, clusters, signal, doing) {
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-label": t("Map of the images"), "aria-describedby": "map-help" });
  const [camera, whole, boxes] = [makeCamera(), wholeBox(points), clusterBoxes(points, clusters)];
  const painter = makePainter(canvas, points);
  const pictures = makePictures(collection, points, signal, () => draw());
  const labels = makeLabels(points, clusters, boxes, pictures);
  let [frame, theme, ground] = [0, "", 0];
  /** @type {Uint32Array} */
  let colours = new Uint32Array();

  function paint() {
    frame = 0;
    const { backgroundColor, color, fontFamily } = getComputedStyle(canvas);
    if (theme !== backgroundColor) {
      theme = backgroundColor;
      ground = packed(backgroundColor);
      colours = clusterColours(clusters, (ground & 255) < 128);
    }
    const seen = painter.paint(camera, colours, ground);
    const style = { colours, ground: backgroundColor, text: color, font: fontFamily };
    labels.draw(painter.context, camera, painter.seen.subarray(0, seen), style);
  }
  const draw = () => {
    frame ||= requestAnimationFrame(paint);
  };
  const moving = moveCamera(canvas, camera, {
    changed: draw,
    picked(x, y) {
      const found = labels.at(x, y);
      if (found?.cluster) show(found.cluster);
      else if (found?.images) doing.view(found.images, found.place);
    },
    pointed(x, y) {
      canvas.classList.toggle("on", labels.point(x, y));
      draw();
    },
  });
  const everything = () => moving.fly(facing(camera, whole));
  const list = makeClusterList(collection, clusters, doing.search, (cluster) => (cluster ? fly(cluster) : everything()));
  const fly = (/** @type {Cluster} */ cluster) => moving.fly(facing(camera, boxes.get(cluster.number) ?? whole));
  const show = (/** @type {Cluster} */ cluster) => {
    list.show(cluster);
    fly(cluster);
  };
  canvas.addEventListener("keydown", ({ key }) => key === "0" && everything());
  const tool = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
    make("button", { type: "button", text, title: label, "aria-label": label, onclick });
  const tools = make(
    "div",
    { class: "map-tools" },
    tool("+", t("Zoom in"), () => moving.zoom(1.8)),
    tool("−", t("Zoom out"), () => moving.zoom(1 / 1.8)),
    tool("⤢", t("Show everything"), everything),
  );
  const help = t("Drag to move, scroll or pinch to zoom, click an image to open it. Keys: arrows, + and −, 0 for everything, Enter for what is in the middle.");
  byId("results").replaceChildren(
    make("div", { class: "map" }, make("div", { class: "map-stage" }, canvas, tools), list.element),
    make("p", { class: "hint", id: "map-help", text: help }),
  );
  follow(canvas, camera, whole, signal, draw);
}

/**
 * Keep the canvas as large as its place, and draw it again when the theme changes.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./map_camera.js").Camera} camera
 * @param {Box} whole
 * @param {AbortSignal} signal
 * @param {() => void} draw
 */
function follow(canvas, camera, whole, signal, draw) {
  let first = true;
  const sized = new ResizeObserver(() => {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const ratio = Math.min(2, devicePixelRatio);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const nearer = camera.scale / camera.least;
    Object.assign(camera, { width, height });
    const margin = Math.min(MARGIN, width * 0.22);
    camera.least = Math.min((width - margin) / Math.max(whole.width, LEAST), (height - margin) / Math.max(whole.height, LEAST));
    camera.scale = camera.least * (first ? 1 : nearer);
    if (first) Object.assign(camera, { x: whole.x, y: whole.y });
    first = false;
    draw();
  });
  const themed = new MutationObserver(draw);
  sized.observe(canvas);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    themed.disconnect();
  });
}

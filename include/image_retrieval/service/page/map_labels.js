/** What lies on the points of a map: pictures of clusters, or of the images themselves where there is room. */

import { seenAt } from "./map_camera.js";
import { nameOf } from "./map_clusters.js";
import { radiusOf, styled } from "./map_paint.js";
import { spreadOut } from "./map_points.js";

/**
 * @typedef {import("./gallery.js").Image} Image
 * @typedef {import("./map_camera.js").Camera} Camera
 * @typedef {import("./map_points.js").Box} Box
 * @typedef {import("./map_points.js").Cluster} Cluster
 * @typedef {import("./map_points.js").Points} Points
 * @typedef {{colours: Uint32Array, ground: string, text: string, font: string}} Style
 * @typedef {{left: number, top: number, side: number, cluster: Cluster | null, point: number}} Label `point`: -1 for a cluster
 */

const FEW = 1500; // points, of which images are shown
const SIDE = 66; // of an image
const NARROW = 500; // width of a canvas from which on images are larger
const [SMALLEST, LARGEST] = [58, 92]; // sides of a cluster's picture
const LEVELS = [1, 2.6, 6.5]; // times as near as at first, from which clusters of each level are shown
const FINEST = 4096; // squares of the net from which one image each is shown
const NEAR = 12; // pixels around a point that belong to it

/**
 * @param {Points} points
 * @param {Cluster[]} clusters
 * @param {Map<number, Box>} boxes
 * @param {ReturnType<import("./map_pictures.js").makePictures>} pictures
 */
export function makeLabels(points, clusters, boxes, pictures) {
  /** @type {Map<number, Uint32Array>} */
  const nets = new Map();
  /** @type {Label[]} */
  let labels = [];
  /** @type {Uint32Array} */
  let seen = new Uint32Array();
  /** @type {Camera} */
  let from;
  let pointed = -1;
  let pointedAt = { x: -1, y: -1 };
  const most = Math.max(1, ...clusters.map(({ images }) => images));
  const deepest = Math.max(1, ...clusters.map(({ level }) => level));

  /** @param {Camera} camera @returns {Label[]} */
  function ofImages(camera) {
    const side = camera.width < NARROW ? SIDE * 0.75 : SIDE;
    const squares = Math.min(FINEST, 2 ** Math.max(0, Math.ceil(Math.log2(camera.scale / side))));
    if (!nets.has(squares)) nets.set(squares, spreadOut(points, squares));
    const found = [];
    for (const point of /** @type {Uint32Array} */ (nets.get(squares))) {
      const [x, y] = seenAt(camera, points.x[point], points.y[point]);
      if (x > -side && y > -side && x < camera.width + side && y < camera.height + side) {
        found.push({ left: x - side / 2, top: y - side / 2, side, cluster: null, point });
      }
    }
    return apart(found, 1.03);
  }

  /** @param {Camera} camera @returns {Label[]} */
  function ofClusters(camera) {
    const nearer = camera.scale / camera.least;
    const level = Math.min(deepest, Math.max(1, LEVELS.filter((least) => nearer >= least).length));
    const found = [];
    for (const cluster of clusters) {
      const box = boxes.get(cluster.number);
      if (cluster.level !== level || !box) continue;
      const side = SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(cluster.images / most);
      const [x, y] = seenAt(camera, box.x, box.y);
      found.push({ left: x - side / 2, top: y - side / 2, side, cluster, point: -1 });
    }
    return apart(found, 1.25);
  }

  return {
    /**
     * @param {CanvasRenderingContext2D} context
     * @param {Camera} camera
     * @param {Uint32Array} visible points
     * @param {Style} style
     */
    draw(context, camera, visible, style) {
      const ratio = context.canvas.width / camera.width;
      seen = visible;
      from = camera;
      labels = seen.length <= FEW ? ofImages(camera) : ofClusters(camera);
      context.save();
      context.scale(ratio, ratio);
      for (const label of labels) {
        const id = label.cluster ? label.cluster.image_id : pictures.imageOf(label.point)?.image_id ?? null;
        const number = label.cluster ? label.cluster.number : points.clusters[label.point];
        drawPicture(context, label, pictures.pictureOf(id), styled(style.colours[number]), style);
      }
      const { x, y } = pointedAt;
      pointed = labelAt(labels, x, y) ? -1 : pointAt(points, seen, from, x, y, NEAR);
      if (pointed >= 0) drawPointed(context, camera, style);
      context.restore();
    },
    /** @param {number} x @param {number} y @returns {boolean} whether something can be picked at these pixels */
    point(x, y) {
      pointedAt = { x, y };
      return labelAt(labels, x, y) !== undefined || (x >= 0 && Boolean(from) && pointAt(points, seen, from, x, y, NEAR) >= 0);
    },
    /**
     * @param {number} x
     * @param {number} y
     * @returns {{cluster?: Cluster, images?: Image[], place: number} | null} what is picked there
     */
    at(x, y) {
      const label = labelAt(labels, x, y);
      if (label?.cluster) return { cluster: label.cluster, place: 0 };
      const point = label ? label.point : pointAt(points, seen, from, x, y, NEAR);
      const image = point < 0 ? null : pictures.imageOf(point);
      if (!image) return null;
      const shown = label ? labels.map((one) => pictures.imageOf(one.point)).filter((one) => one !== null) : [image];
      return { images: shown, place: Math.max(0, shown.indexOf(image)) };
    },
  };

  /** @param {CanvasRenderingContext2D} context @param {Camera} camera @param {Style} style */
  function drawPointed(context, camera, style) {
    const [x, y] = seenAt(camera, points.x[pointed], points.y[pointed]);
    const colour = styled(style.colours[points.clusters[pointed]]);
    context.beginPath();
    context.arc(x, y, radiusOf(camera, points.count) + 3, 0, 7);
    context.strokeStyle = style.text;
    context.lineWidth = 2;
    context.stroke();
    const picture = pictures.pictureOf(pictures.imageOf(pointed)?.image_id ?? null);
    if (!picture) return;
    const side = LARGEST;
    const left = Math.min(camera.width - side - 6, Math.max(6, x - side / 2));
    const top = y > side + 24 ? y - side - 14 : y + 14;
    drawPicture(context, { left, top, side, cluster: null, point: pointed }, picture, colour, style);
  }
}

/**
 * @param {Label[]} labels
 * @param {number} room times its side that each one has for itself
 * @returns {Label[]} those that the ones before leave room for
 */
function apart(labels, room) {
  /** @type {Label[]} */
  const kept = [];
  const middle = (/** @type {Label} */ { left, top, side }) => [left + side / 2, top + side / 2];
  for (const label of labels) {
    const [x, y] = middle(label);
    const free = kept.every((other) => {
      const [across, down] = middle(other);
      const least = ((label.side + other.side) / 2) * room;
      return Math.abs(across - x) >= least || Math.abs(down - y) >= least;
    });
    if (free) kept.push(label);
  }
  return kept;
}

/** @param {Label[]} labels @param {number} x @param {number} y @returns {Label | undefined} the one on top */
const labelAt = (labels, x, y) =>
  [...labels].reverse().find(({ left, top, side }) => x >= left && y >= top && x < left + side && y < top + side);

/**
 * @param {Points} points
 * @param {Uint32Array} seen
 * @param {Camera} camera
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 * @returns {number} the nearest point within reach of these pixels, or -1
 */
function pointAt(points, seen, camera, x, y, reach) {
  let [best, least] = [-1, reach ** 2];
  for (const point of x < 0 ? [] : seen) {
    const [across, down] = seenAt(camera, points.x[point], points.y[point]);
    const away = (across - x) ** 2 + (down - y) ** 2;
    if (away < least) [best, least] = [point, away];
  }
  return best;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Label} label
 * @param {HTMLImageElement | null} picture
 * @param {string} colour
 * @param {Style} style
 */
function drawPicture(context, { left, top, side, cluster }, picture, colour, style) {
  context.save();
  context.shadowColor = "rgb(0 0 0 / 0.28)";
  context.shadowBlur = cluster ? 10 : 5;
  context.shadowOffsetY = 2;
  context.beginPath();
  context.roundRect(left, top, side, side, cluster ? 14 : 9);
  context.fillStyle = style.ground;
  context.fill();
  context.shadowColor = "transparent";
  context.clip();
  if (picture) {
    const part = Math.min(picture.naturalWidth, picture.naturalHeight);
    context.drawImage(picture, (picture.naturalWidth - part) / 2, (picture.naturalHeight - part) / 2, part, part, left, top, side, side);
  } else {
    context.globalAlpha = 0.35;
    context.fillStyle = colour;
    context.fillRect(left, top, side, side);
  }
  context.restore();
  context.beginPath();
  context.roundRect(left, top, side, side, cluster ? 14 : 9);
  context.strokeStyle = colour;
  context.lineWidth = cluster ? 3.5 : 2;
  context.stroke();
  if (cluster) drawName(context, nameOf(cluster), left + side / 2, top + side + 15, style);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} name
 * @param {number} x
 * @param {number} y
 * @param {Style} style
 */
function drawName(context, name, x, y, style) {
  context.font = `600 12.5px ${style.font}`;
  context.textAlign = "center";
  context.lineJoin = "round";
  context.strokeStyle = style.ground;
  context.lineWidth = 4;
  context.strokeText(name, x, y);
  context.fillStyle = style.text;
  context.fillText(name, x, y);
}

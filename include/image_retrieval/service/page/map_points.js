/** The points of a map, as the service packs them, and where its clusters lie. */

/**
 * @typedef {object} Points each list has one entry for each point; positions are from 0 to 1
 * @property {number} count
 * @property {BigInt64Array} ids of images
 * @property {Float32Array} x
 * @property {Float32Array} y
 * @property {Uint16Array} clusters the number of the smallest cluster
 * @typedef {{number: number, level: number, parent: number | null, x: number, y: number, images: number,
 *   image_id: string | null, words: string[], place: number}} Cluster `place`: among the parts of the same one
 * @typedef {{x: number, y: number, width: number, height: number}} Box its middle, and its size
 */

const HEAD = 8;
const STEPS = 65535;
const SPREAD = 4.4; // standard deviations that a cluster's box is wide

/**
 * @param {ArrayBuffer} data `map1`, the number of points, then their ids, x, y and clusters, in little-endian order
 * @returns {Points}
 */
export function unpack(data) {
  const count = new DataView(data).getUint32(4, true);
  const shorts = (/** @type {number} */ at) => new Uint16Array(data, HEAD + (8 + 2 * at) * count, count);
  const place = (/** @type {number} */ at) => Float32Array.from(shorts(at), (value) => value / STEPS);
  return { count, ids: new BigInt64Array(data, HEAD, count), x: place(0), y: place(1), clusters: shorts(2) };
}

/**
 * @param {Points} points
 * @returns {Box} that holds all points
 */
export function wholeBox({ count, x, y }) {
  let [left, right, top, bottom] = count ? [1, 0, 1, 0] : [0, 1, 0, 1];
  for (let at = 0; at < count; at += 1) {
    left = Math.min(left, x[at]);
    right = Math.max(right, x[at]);
    top = Math.min(top, y[at]);
    bottom = Math.max(bottom, y[at]);
  }
  return { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top };
}

/**
 * @param {Points} points
 * @param {Cluster[]} clusters
 * @returns {Map<number, Box>} where each cluster that has a point lies
 */
export function clusterBoxes(points, clusters) {
  const parents = new Map(clusters.map(({ number, parent }) => [number, parent]));
  /** @type {Map<number, {n: number, x: number, y: number, xx: number, yy: number}>} */
  const sums = new Map(clusters.map(({ number }) => [number, { n: 0, x: 0, y: 0, xx: 0, yy: 0 }]));
  for (let at = 0; at < points.count; at += 1) {
    const sum = sums.get(points.clusters[at]);
    if (sum) add(sum, { n: 1, x: points.x[at], y: points.y[at], xx: points.x[at] ** 2, yy: points.y[at] ** 2 });
  }
  for (const { number } of [...clusters].sort((a, b) => b.level - a.level)) { // the smallest first
    const above = sums.get(parents.get(number) ?? -1);
    if (above) add(above, /** @type {any} */ (sums.get(number)));
  }
  const spread = (/** @type {number} */ n, /** @type {number} */ sum, /** @type {number} */ squares) =>
    SPREAD * Math.sqrt(Math.max(0, squares / n - (sum / n) ** 2));
  return new Map([...sums].filter(([, { n }]) => n).map(([number, { n, x, y, xx, yy }]) =>
    [number, { x: x / n, y: y / n, width: spread(n, x, xx), height: spread(n, y, yy) }]));
}

/**
 * @param {Record<string, number>} sum
 * @param {Record<string, number>} more
 */
function add(sum, more) {
  for (const key in more) sum[key] += more[key];
}

/**
 * One point for each square of a net over the map, the first one that lies there.
 * @param {Points} points
 * @param {number} squares along each side
 * @returns {Uint32Array}
 */
export function spreadOut({ count, x, y }, squares) {
  const taken = new Set();
  const found = [];
  for (let at = 0; at < count; at += 1) {
    const square = Math.floor(y[at] * squares) * (squares + 1) + Math.floor(x[at] * squares);
    if (taken.has(square)) continue;
    taken.add(square);
    found.push(at);
  }
  return Uint32Array.from(found);
}

/** Paints the points of a map, pixel by pixel: a hundred thousand of them in a few milliseconds. */

/**
 * @typedef {import("./map_points.js").Points} Points
 * @typedef {import("./map_points.js").Cluster} Cluster
 * @typedef {import("./map_camera.js").Camera} Camera
 */

const STRENGTH = 216; // of 256: points that lie on each other are stronger

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Points} points
 */
export function makePainter(canvas, points) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  let image = new ImageData(1, 1);
  let pixels = new Uint32Array(image.data.buffer);
  const seen = new Uint32Array(points.count);
  return {
    context,
    seen,
    /**
     * Paint all points that the camera sees.
     * @param {Camera} camera
     * @param {Uint32Array} colours of clusters
     * @param {number} ground
     * @returns {number} how many it sees; `seen` has them
     */
    paint(camera, colours, ground) {
      const { width, height } = canvas;
      if (image.width !== width || image.height !== height) {
        image = new ImageData(width, height);
        pixels = new Uint32Array(image.data.buffer);
      }
      pixels.fill(ground);
      const ratio = width / camera.width;
      const radius = ratio * radiusOf(camera, points.count);
      const { offsets, strengths } = stamp(radius, width);
      const [scale, margin] = [camera.scale * ratio, Math.ceil(radius) + 1];
      const [left, top] = [width / 2 - camera.x * scale, height / 2 - camera.y * scale];
      const { x, y, clusters, count } = points;
      let found = 0;
      for (let at = 0; at < count; at += 1) {
        const across = Math.round(left + x[at] * scale);
        const down = Math.round(top + y[at] * scale);
        if (across < margin || down < margin || across >= width - margin || down >= height - margin) continue;
        seen[found] = at;
        found += 1;
        const colour = colours[clusters[at]];
        const [redBlue, green] = [colour & 0xff00ff, colour & 0x00ff00];
        const middle = down * width + across;
        for (let part = 0; part < offsets.length; part += 1) {
          const place = middle + offsets[part];
          const strength = strengths[part];
          const under = pixels[place];
          const rest = 256 - strength;
          pixels[place] = 0xff000000
            | (((Math.imul(redBlue, strength) + Math.imul(under & 0xff00ff, rest)) >>> 8) & 0xff00ff)
            | (((Math.imul(green, strength) + Math.imul(under & 0x00ff00, rest)) >>> 8) & 0x00ff00);
        }
      }
      context.putImageData(image, 0, 0);
      return found;
    },
  };
}

/**
 * @param {Camera} camera
 * @param {number} count of points
 * @returns {number} how large a point is shown
 */
export function radiusOf(camera, count) {
  const room = Math.sqrt((camera.width * camera.height) / Math.max(1, count));
  const nearer = Math.sqrt(camera.scale / camera.least);
  return Math.min(6, Math.max(0.75, (room / 7) * nearer));
}

/**
 * @param {number} radius in pixels
 * @param {number} width of the picture
 * @returns {{offsets: Int32Array, strengths: Int32Array}} the pixels of a round point
 */
function stamp(radius, width) {
  /** @type {number[]} */
  const offsets = [];
  /** @type {number[]} */
  const strengths = [];
  const reach = Math.ceil(radius);
  for (let down = -reach; down <= reach; down += 1) {
    for (let across = -reach; across <= reach; across += 1) {
      const covered = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(across, down)));
      if (!covered) continue;
      offsets.push(down * width + across);
      strengths.push(Math.round(covered * STRENGTH));
    }
  }
  return { offsets: Int32Array.from(offsets), strengths: Int32Array.from(strengths) };
}

/**
 * Colours of clusters: large ones next to each other have hues next to each other, and their parts are lighter or darker.
 * @param {Cluster[]} clusters
 * @param {boolean} dark
 * @returns {Uint32Array} by number
 */
export function clusterColours(clusters, dark) {
  const byNumber = new Map(clusters.map((one) => [one.number, one]));
  const large = clusters.filter(({ parent }) => parent === null);
  const angle = (/** @type {Cluster} */ { x, y }) => Math.atan2(y - 0.5, x - 0.5);
  const hues = new Map([...large].sort((a, b) => angle(a) - angle(b)).map(({ number }, at) => [number, (360 * at) / large.length + 20]));
  const found = new Uint32Array(Math.max(-1, ...clusters.map(({ number }) => number)) + 1);
  for (const cluster of clusters) {
    let top = cluster;
    let shade = 0;
    while (top.parent !== null) {
      shade = ((top.number % 3) - 1) * 0.05;
      top = byNumber.get(top.parent) ?? { ...top, parent: null };
    }
    found[cluster.number] = packed(`oklch(${(dark ? 0.75 : 0.62) + shade} ${dark ? 0.13 : 0.15} ${hues.get(top.number) ?? 0})`);
  }
  return found;
}

/** @param {string} colour of a style sheet @returns {number} as a pixel of an ImageData */
export function packed(colour) {
  const one = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (!one) return 0xff000000;
  one.fillStyle = colour;
  one.fillRect(0, 0, 1, 1);
  return new Uint32Array(one.getImageData(0, 0, 1, 1).data.buffer)[0];
}

/** @param {number} pixel @returns {string} the same for a style */
export const styled = (pixel) => `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;

/** The part of a map that is seen, and how pointers, wheel, fingers and keys move it. */

/**
 * @typedef {import("./map_points.js").Box} Box
 * @typedef {object} Camera
 * @property {number} x the middle of what is seen, from 0 to 1
 * @property {number} y
 * @property {number} scale pixels of the style sheet from 0 to 1
 * @property {number} least the scale at which everything is seen
 * @property {number} width of what is seen, in these pixels
 * @property {number} height
 *
 * @typedef {object} Hearing
 * @property {() => void} changed the camera has moved
 * @property {(x: number, y: number) => void} picked something at these pixels
 * @property {(x: number, y: number) => void} pointed at these pixels; at -1, -1: at nothing
 */

const NEAREST = 600; // times as large as the whole
const STEP = 0.18; // of what is seen, for an arrow key
const ZOOM = 1.6; // for a key or a button
const CLICK = 5; // pixels that a pointer moves at most in a click
const FLIGHT = 420; // milliseconds

/** @returns {Camera} */
export const makeCamera = () => ({ x: 0.5, y: 0.5, scale: 1, least: 1, width: 1, height: 1 });

/**
 * @param {Camera} camera
 * @param {Box} box
 * @returns {{x: number, y: number, scale: number}} from where all of the box is seen
 */
export function facing({ width, height, least }, box) {
  const scale = Math.min(width / Math.max(box.width, 1e-6), height / Math.max(box.height, 1e-6)) * 0.86;
  return { x: box.x, y: box.y, scale: Math.min(scale, least * 40) };
}

/**
 * @param {Camera} camera
 * @param {number} x pixels
 * @param {number} y
 * @returns {[number, number]} what is seen there, from 0 to 1
 */
export const under = (camera, x, y) => [
  camera.x + (x - camera.width / 2) / camera.scale,
  camera.y + (y - camera.height / 2) / camera.scale,
];

/**
 * @param {Camera} camera
 * @param {number} x from 0 to 1
 * @param {number} y
 * @returns {[number, number]} the pixels where that is seen
 */
export const seenAt = (camera, x, y) => [
  (x - camera.x) * camera.scale + camera.width / 2,
  (y - camera.y) * camera.scale + camera.height / 2,
];

/**
 * @param {Camera} camera
 * @param {number} times larger
 * @param {number} [x] the pixels that stay where they are
 * @param {number} [y]
 */
function zoom(camera, times, x = camera.width / 2, y = camera.height / 2) {
  const [across, down] = under(camera, x, y);
  camera.scale = Math.min(camera.least * NEAREST, Math.max(camera.least * 0.7, camera.scale * times));
  move(camera, across - (x - camera.width / 2) / camera.scale, down - (y - camera.height / 2) / camera.scale);
}

/**
 * @param {Camera} camera
 * @param {number} x
 * @param {number} y
 */
function move(camera, x, y) {
  camera.x = Math.min(1, Math.max(0, x));
  camera.y = Math.min(1, Math.max(0, y));
}

/**
 * Let a user move the camera over a canvas.
 * @param {HTMLElement} canvas
 * @param {Camera} camera
 * @param {Hearing} hearing
 * @returns {{fly: (to: {x: number, y: number, scale: number}) => void, zoom: (times: number) => void}}
 */
export function moveCamera(canvas, camera, hearing) {
  let flight = 0;
  const stop = () => cancelAnimationFrame(flight);
  const moved = (/** @type {() => void} */ how) => {
    stop();
    how();
    hearing.changed();
  };
  const near = (/** @type {number} */ times) => moved(() => zoom(camera, times));
  /** @param {{x: number, y: number, scale: number}} to */
  const fly = (to) => {
    stop();
    const [from, started] = [{ ...camera }, performance.now()];
    const whole = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : FLIGHT;
    const step = () => {
      const part = whole ? Math.min(1, (performance.now() - started) / whole) : 1;
      const eased = part < 0.5 ? 2 * part * part : 1 - (2 - 2 * part) ** 2 / 2;
      camera.scale = from.scale * (to.scale / from.scale) ** eased;
      const along = to.scale === from.scale ? eased : (1 / from.scale - 1 / camera.scale) / (1 / from.scale - 1 / to.scale);
      move(camera, from.x + (to.x - from.x) * along, from.y + (to.y - from.y) * along);
      hearing.changed();
      if (part < 1) flight = requestAnimationFrame(step);
    };
    step();
  };
  listenToPointers(canvas, camera, hearing, moved);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode ? 30 : 1;
    const times = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0018));
    moved(() => zoom(camera, times, event.offsetX, event.offsetY));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) moved(() => move(camera, camera.x + (step[0] * STEP * camera.width) / camera.scale, camera.y + (step[1] * STEP * camera.height) / camera.scale));
    else if (event.key === "+" || event.key === "=") near(ZOOM);
    else if (event.key === "-") near(1 / ZOOM);
    else if (event.key === "Enter") hearing.picked(camera.width / 2, camera.height / 2);
    else return;
    event.preventDefault();
  });
  return { fly, zoom: near };
}

/**
 * @param {HTMLElement} canvas
 * @param {Camera} camera
 * @param {Hearing} hearing
 * @param {(how: () => void) => void} moved
 */
function listenToPointers(canvas, camera, hearing, moved) {
  /** @type {Map<number, [number, number]>} */
  const down = new Map();
  let travelled = 0;
  const middle = () => {
    const all = [...down.values()];
    const x = all.reduce((sum, [across]) => sum + across, 0) / all.length;
    const y = all.reduce((sum, [, below]) => sum + below, 0) / all.length;
    return { x, y, apart: all.length > 1 ? Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]) : 0 };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!down.size) travelled = 0;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.offsetX, event.offsetY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) {
      hearing.pointed(event.offsetX, event.offsetY);
      return;
    }
    const before = middle();
    down.set(event.pointerId, [event.offsetX, event.offsetY]);
    const { x, y, apart } = middle();
    travelled += Math.hypot(x - before.x, y - before.y) + Math.abs(apart - before.apart);
    if (travelled < CLICK) return;
    moved(() => {
      move(camera, camera.x - (x - before.x) / camera.scale, camera.y - (y - before.y) / camera.scale);
      if (apart && before.apart) zoom(camera, apart / before.apart, x, y);
    });
  });
  const lift = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId) || down.size || event.type === "pointercancel") return;
    if (travelled < CLICK) hearing.picked(event.offsetX, event.offsetY);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => hearing.pointed(-1, -1));
}

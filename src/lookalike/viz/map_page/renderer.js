// Draws the map on a canvas: a dot for each image, thumbnails where they fit, and a polygon.

import { mapSize, nearestPoint, pointsUpTo, toMap, toScreen } from "./geometry.js";

/** Colours of groups, distinguishable on light and dark; repeated if there are more groups. */
export const GROUP_COLORS = ["#2f6fde", "#e8743b", "#2a9d58", "#c83e73", "#8a5bd1", "#c79a00", "#16a3b8", "#8c5a3c",
  "#e05252", "#6b8e23", "#d46fc1", "#5b6ee1"];
const NO_GROUP_COLOR = "#8b919a";

/** Return the colour of a group; grey for no group (-1) and for "others". */
export const groupColor = (group, names) =>
  (group < 0 || names[group] === "others" ? NO_GROUP_COLOR : GROUP_COLORS[group % GROUP_COLORS.length]);

/** How a point is drawn: not at all, faintly, or normally. */
export const HIDDEN = 0, FAINT = 1, SHOWN = 2;

const MIN_THUMBNAIL = 32, MAX_THUMBNAIL = 160, GROWTH = 0.35;   // longer side of thumbnails on the map, in CSS pixels
const MAX_LEVEL = 12;                            // of the levels of detail (embedding_map/level_of_detail.py)
const FAINT_ALPHA = 0.22;

/**
 * Create a renderer. The canvas's CSS gives the background (`background-color`) and the colour of the polygon and
 * of the highlight (`color`).
 *
 * @param {HTMLCanvasElement} canvas
 * @param {object} points         of `indexPoints`
 * @param {string[]} names        of the groups
 * @param {object} thumbnails     `get(i)` returns {image, x, y, width, height}, the part of an image that is the
 *   thumbnail of a point, or null if it is not loaded; `load(indices, loaded)` loads missing ones, most important
 *   first, and calls `loaded` whenever some have arrived
 * @param {object} view           what is drawn; change it and call `requestDraw`:
 *   viewport; visibility: Uint8Array of HIDDEN, FAINT or SHOWN, null: all shown; polygon: corners or null;
 *   highlighted: an index or -1
 */
export function createRenderer({ canvas, points, names, thumbnails, view }) {
  const context = canvas.getContext("2d", { alpha: false });
  const style = getComputedStyle(canvas);
  const packedColors = Uint32Array.from({ length: names.length + 1 }, (_, i) => packHex(groupColor(i - 1, names)));
  let buffer = null, pixels = null, ratio = 1, width = 0, height = 0, frame = 0;
  let drawn = [];   // {index, x, y, width, height} of each thumbnail in the last frame, by its centre

  function requestDraw() {
    frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!resize()) return;
    const background = packRgb(style.backgroundColor);
    pixels.fill(background);
    const zoomLevel = Math.log2(view.viewport.zoom);
    const base = points.count > 20000 ? 0.7 : points.count > 3000 ? 1.2 : 2;
    const radius = Math.max(1, Math.min(5, Math.round(ratio * (base + Math.max(0, zoomLevel) * 0.6))));
    if (view.visibility) drawPoints(Math.max(1, radius - 1), FAINT, background);
    drawPoints(radius, SHOWN, background);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.putImageData(buffer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawThumbnails();
    if (view.polygon?.length) drawPolygon(view.polygon);
    if (view.highlighted >= 0) drawHighlight(view.highlighted);
  }

  /** Match the canvas to its size on the screen; false if it is not visible. */
  function resize() {
    ({ clientWidth: width, clientHeight: height } = canvas);
    ratio = Math.min(devicePixelRatio || 1, 2);
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (!columns || !rows) return false;
    if (!buffer || canvas.width !== columns || canvas.height !== rows) {
      canvas.width = columns;
      canvas.height = rows;
      buffer = context.createImageData(columns, rows);
      pixels = new Uint32Array(buffer.data.buffer);
    }
    return true;
  }

  /** Write discs into the pixels directly: 100,000 of them are too many for canvas paths. */
  function drawPoints(radius, wanted, background) {
    const halfWidths = [];   // of each row of a disc
    for (let dy = -radius; dy <= radius; dy += 1) halfWidths.push(Math.sqrt((radius + 0.4) ** 2 - dy * dy) | 0);
    const { x: X, y: Y, groups, count } = points;
    const { visibility, viewport } = view;
    const [columns, rows] = [canvas.width, canvas.height];
    const size = mapSize(viewport, width, height) * ratio;
    const offsetX = columns / 2 - viewport.x * size, offsetY = rows / 2 - viewport.y * size;
    const faint = (background & 0xff) > 128 ? 0xffd8d5d2 : 0xff3f3a36;
    for (let i = 0; i < count; i += 1) {
      if (visibility && visibility[i] !== wanted) continue;
      const x = (X[i] * size + offsetX) | 0, y = (Y[i] * size + offsetY) | 0;
      if (x < radius || y < radius || x >= columns - radius || y >= rows - radius) continue;
      const color = wanted === SHOWN ? packedColors[groups[i] + 1] : faint;
      for (let row = 0; row < halfWidths.length; row += 1) {
        const middle = (y + row - radius) * columns + x, half = halfWidths[row];
        for (let k = middle - half; k <= middle + half; k += 1) pixels[k] = color;
      }
    }
  }

  function drawThumbnails() {
    const { visibility, viewport } = view;
    const total = mapSize(viewport, width, height);
    // Thumbnails become larger as well as more with the zoom.
    const smallest = Math.min(MAX_THUMBNAIL / 2, MIN_THUMBNAIL * Math.max(1, viewport.zoom) ** GROWTH);
    const level = Math.max(0, Math.min(MAX_LEVEL, Math.floor(Math.log2(total / smallest))));
    const size = Math.min(MAX_THUMBNAIL, (total / 2 ** level) * 0.94);
    const [left, top] = toMap(viewport, width, height, -size, -size);
    const [right, bottom] = toMap(viewport, width, height, width + size, height + size);
    const missing = [];
    drawn = [];
    context.imageSmoothingQuality = "low";
    for (const i of pointsUpTo(points, level)) {
      if (points.x[i] < left || points.x[i] > right || points.y[i] < top || points.y[i] > bottom) continue;
      if (visibility && visibility[i] === HIDDEN) continue;
      const thumbnail = thumbnails.get(i);
      if (!thumbnail) { missing.push(i); continue; }
      const [x, y] = toScreen(viewport, width, height, points.x[i], points.y[i]);
      const scale = size / Math.max(thumbnail.width, thumbnail.height);
      const rectangle = { index: i, x, y, width: thumbnail.width * scale, height: thumbnail.height * scale };
      context.globalAlpha = visibility && visibility[i] === FAINT ? FAINT_ALPHA : 1;
      drawThumbnail(thumbnail, rectangle);
      drawn.push(rectangle);
    }
    context.globalAlpha = 1;
    thumbnails.load(missing, requestDraw);
  }

  function drawThumbnail({ image, ...source }, { index, x, y, width: w, height: h }) {
    context.fillStyle = groupColor(points.groups[index], names);
    context.fillRect(x - w / 2 - 1, y - h / 2 - 1, w + 2, h + 2);
    context.drawImage(image, source.x, source.y, source.width, source.height, x - w / 2, y - h / 2, w, h);
  }

  function drawPolygon(polygon) {
    context.beginPath();
    for (let i = 0; i < polygon.length; i += 2) {
      context.lineTo(...toScreen(view.viewport, width, height, polygon[i], polygon[i + 1]));
    }
    context.closePath();
    context.lineWidth = 2.5;
    context.strokeStyle = style.color;
    context.stroke();
  }

  function drawHighlight(i) {
    const [x, y] = toScreen(view.viewport, width, height, points.x[i], points.y[i]);
    const thumbnail = drawn.find(({ index }) => index === i);
    const half = thumbnail ? Math.max(thumbnail.width, thumbnail.height) / 2 + 4 : 9;
    context.lineWidth = 3;
    context.strokeStyle = style.color;
    context.strokeRect(x - half, y - half, 2 * half, 2 * half);
  }

  /** Return the index of the topmost thumbnail under a position of the screen, else of the nearest point, or -1. */
  function pointAt(x, y, reach) {
    const hit = drawn.findLast((one) => Math.abs(one.x - x) <= one.width / 2 && Math.abs(one.y - y) <= one.height / 2);
    if (hit) return hit.index;
    const { viewport, visibility } = view;
    return nearestPoint(points, ...toMap(viewport, width, height, x, y), reach / mapSize(viewport, width, height),
      (i) => !visibility || visibility[i] !== HIDDEN);
  }

  new ResizeObserver(requestDraw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", requestDraw);
  return { draw, requestDraw, pointAt, drawnCount: () => drawn.length };
}

/** Return a colour as the 32 bits that a canvas stores on little-endian machines: alpha, blue, green, red. */
const pack = (red, green, blue) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
const packHex = (hex) => pack(...[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const packRgb = (text) => pack(...text.match(/[\d.]+/g).slice(0, 3).map(Number));

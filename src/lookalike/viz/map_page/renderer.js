// Draws the map on a canvas: a dot for each image, shading where dots overlap, thumbnails where they fit, a polygon.

import { mapSize, MAX_LEVEL, nearestPoint, pointsUpTo, toMap, toScreen } from "./geometry.js";

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
const FAINT_ALPHA = 0.22;
const CROWDED = 60;               // square pixels for each point in view below which fewer thumbnails are drawn
const CELL = 4;                   // side of the cells in which points are counted for the shading, in CSS pixels
const OVERLAP = 1.2, COVERED = 5; // points of a cell from which it is shaded, and from which its dots are covered

/**
 * Create a renderer. The canvas's CSS gives the background (`background-color`) and the colour of the polygon and
 * of the highlight (`color`).
 *
 * @param {HTMLCanvasElement} canvas
 * @param {object} points         of `indexPoints`
 * @param {string[]} names        of the groups
 * @param {object} thumbnails     `get(i)` returns {image, x, y, width, height}, the part of an image that is the
 *   thumbnail of a point, or null if it is not loaded; `load(indices, loaded, pixels)` loads missing ones, most
 *   important first, and calls `loaded` whenever some have arrived. `get(i, pixels)` may return one that is too
 *   small for so many pixels, with `isSmall`; it is then loaded again
 * @param {object} view           what is drawn; change it and call `requestDraw`:
 *   viewport; visibility: Uint8Array of HIDDEN, FAINT or SHOWN, null: all shown; selected: Uint8Array of 1 for the
 *   selected points, null: none; polygon: corners or null; highlighted: an index or -1
 * @param {() => void} [onDrawn]  called after each frame
 */
export function createRenderer({ canvas, points, names, thumbnails, view, onDrawn = () => {} }) {
  const context = canvas.getContext("2d", { alpha: false });
  const style = getComputedStyle(canvas);
  const packedColors = Uint32Array.from({ length: names.length + 1 }, (_, i) => packHex(groupColor(i - 1, names)));
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  const shading = document.createElement("canvas");
  let buffer = null, pixels = null, ratio = 1, width = 0, height = 0, frame = 0, inView = 0;
  let sums = new Float32Array(0), blurred = sums;   // of points, red, green and blue in each cell
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
    const base = points.count > 20000 ? 0.7 : points.count > 8000 ? 1.2 : 2;
    const radius = Math.max(1, Math.min(5, Math.round(ratio * (base + Math.max(0, zoomLevel) * 0.6))));
    if (view.visibility) drawPoints(Math.max(1, radius - 1), view.visibility, FAINT, (background & 0xff) > 128 ? 0xffd8d5d2 : 0xff3f3a36);
    inView = drawPoints(radius, view.visibility, SHOWN);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.putImageData(buffer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (inView * 4 * CROWDED > width * height) drawShading(background);
    if (view.selected) drawSelected(radius / ratio + 1);
    drawThumbnails();
    if (view.polygon?.length) drawPolygon(view.polygon);
    if (view.highlighted >= 0) drawHighlight(view.highlighted);
    onDrawn();
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

  /** Write discs into the pixels directly: 100,000 of them are too many for canvas paths. Returns their number. */
  function drawPoints(radius, visibility, wanted, color = 0) {
    const halfWidths = [];   // of each row of a disc
    for (let dy = -radius; dy <= radius; dy += 1) halfWidths.push(Math.sqrt((radius + 0.4) ** 2 - dy * dy) | 0);
    const { x: X, y: Y, groups, count } = points;
    const { viewport } = view;
    const [columns, rows] = [canvas.width, canvas.height];
    const size = mapSize(viewport, width, height) * ratio;
    const offsetX = columns / 2 - viewport.x * size, offsetY = rows / 2 - viewport.y * size;
    let drawnPoints = 0;
    for (let i = 0; i < count; i += 1) {
      if (visibility && visibility[i] !== wanted) continue;
      const x = (X[i] * size + offsetX) | 0, y = (Y[i] * size + offsetY) | 0;
      if (x < radius || y < radius || x >= columns - radius || y >= rows - radius) continue;
      const packed = color || packedColors[groups[i] + 1];
      drawnPoints += 1;
      for (let row = 0; row < halfWidths.length; row += 1) {
        const middle = (y + row - radius) * columns + x, half = halfWidths[row];
        for (let k = middle - half; k <= middle + half; k += 1) pixels[k] = packed;
      }
    }
    return drawnPoints;
  }

  /** Cover dots that overlap by the mean of their colours, the stronger the more they are. */
  function drawShading(background) {
    const size = mapSize(view.viewport, width, height);
    const offsetX = width / 2 - view.viewport.x * size, offsetY = height / 2 - view.viewport.y * size;
    // Cells move with the map, so that the shading does not flicker.
    const left = offsetX - Math.ceil(offsetX / CELL) * CELL - CELL, top = offsetY - Math.ceil(offsetY / CELL) * CELL - CELL;
    const columns = Math.ceil((width - left) / CELL) + 1, rows = Math.ceil((height - top) / CELL) + 1;
    if (shading.width !== columns || shading.height !== rows || !sums.length) {
      Object.assign(shading, { width: columns, height: rows });
      sums = new Float32Array(4 * columns * rows);
      blurred = sums.slice();
    }
    sums.fill(0);
    const { x: X, y: Y, groups, count } = points, { visibility } = view;
    for (let i = 0; i < count; i += 1) {
      if (visibility && visibility[i] !== SHOWN) continue;
      const column = ((X[i] * size + offsetX - left) / CELL) | 0, row = ((Y[i] * size + offsetY - top) / CELL) | 0;
      if (column < 1 || row < 1 || column >= columns - 1 || row >= rows - 1) continue;
      const k = 4 * (row * columns + column), color = packedColors[groups[i] + 1];
      sums[k] += 1;
      sums[k + 1] += color & 0xff;
      sums[k + 2] += (color >> 8) & 0xff;
      sums[k + 3] += (color >> 16) & 0xff;
    }
    blur(sums, blurred, 4);
    blur(blurred, sums, 4 * columns);
    let most = COVERED;
    for (let k = 0; k < sums.length; k += 4) if (sums[k] > most) most = sums[k];
    const shade = new ImageData(columns, rows), isLight = (background & 0xff) > 128;
    for (let k = 0; k < sums.length; k += 4) {
      const n = sums[k];
      if (n < OVERLAP) continue;
      const strength = Math.log(n / OVERLAP) / Math.log(most / OVERLAP);   // 0 to 1
      const part = isLight ? 0.62 + 0.38 * strength : 0.5 + 0.5 * strength;
      const end = isLight ? 255 * (1 - part) : 0, darker = isLight ? 1.1 - 0.45 * strength : 1 + 0.35 * strength;
      for (let c = 1; c < 4; c += 1) shade.data[k + c - 1] = (sums[k + c] / n) * part * darker + end;
      shade.data[k + 3] = 240 * Math.min(1, (n - OVERLAP) / (COVERED - OVERLAP));
    }
    shading.getContext("2d").putImageData(shade, 0, 0);
    context.imageSmoothingQuality = "low";
    context.drawImage(shading, left, top, columns * CELL, rows * CELL);
  }

  /** Ring the selected points. */
  function drawSelected(radius) {
    const { viewport, selected, visibility } = view;
    context.strokeStyle = style.color;
    context.lineWidth = 2;
    context.beginPath();
    for (let i = 0; i < points.count; i += 1) {
      if (!selected[i] || (visibility && visibility[i] === HIDDEN)) continue;
      const [x, y] = toScreen(viewport, width, height, points.x[i], points.y[i]);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    }
    context.stroke();
  }

  function drawThumbnails() {
    const { visibility, viewport } = view;
    const total = mapSize(viewport, width, height);
    // Thumbnails become larger as well as more with the zoom.
    const smallest = Math.min(MAX_THUMBNAIL / 2, MIN_THUMBNAIL * Math.max(1, viewport.zoom) ** GROWTH);
    const fitting = Math.max(0, Math.min(MAX_LEVEL, Math.floor(Math.log2(total / smallest))));
    const size = Math.min(MAX_THUMBNAIL, (total / 2 ** fitting) * 0.94);
    // In front of many points few, so that the shading is seen.
    const level = inView * CROWDED > width * height ? Math.max(0, fitting - 1) : fitting;
    const [left, top] = toMap(viewport, width, height, -size, -size);
    const [right, bottom] = toMap(viewport, width, height, width + size, height + size);
    const missing = [];
    drawn = [];
    context.imageSmoothingQuality = "low";
    for (const i of pointsUpTo(points, level)) {
      if (points.x[i] < left || points.x[i] > right || points.y[i] < top || points.y[i] > bottom) continue;
      if (visibility && visibility[i] === HIDDEN) continue;
      const thumbnail = thumbnails.get(i, size * ratio);
      if (!thumbnail || thumbnail.isSmall) missing.push(i);
      if (!thumbnail) continue;
      const [x, y] = toScreen(viewport, width, height, points.x[i], points.y[i]);
      const scale = size / Math.max(thumbnail.width, thumbnail.height);
      const rectangle = { index: i, x, y, width: thumbnail.width * scale, height: thumbnail.height * scale };
      context.globalAlpha = visibility && visibility[i] === FAINT ? FAINT_ALPHA : 1;
      drawThumbnail(thumbnail, rectangle);
      drawn.push(rectangle);
    }
    context.globalAlpha = 1;
    thumbnails.load(missing, requestDraw, size * ratio);
  }

  function drawThumbnail({ image, ...source }, { index, x, y, width: w, height: h }) {
    const isSelected = view.selected?.[index], border = isSelected ? 3 : 1;
    context.fillStyle = isSelected ? style.color : groupColor(points.groups[index], names);
    context.fillRect(x - w / 2 - border, y - h / 2 - border, w + 2 * border, h + 2 * border);
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

  /** Return half the side of what was drawn for a point, in CSS pixels. */
  function extentOf(i) {
    const thumbnail = drawn.find(({ index }) => index === i);
    return thumbnail ? Math.max(thumbnail.width, thumbnail.height) / 2 : 5;
  }

  function drawHighlight(i) {
    const [x, y] = toScreen(view.viewport, width, height, points.x[i], points.y[i]);
    const half = extentOf(i) + 4;
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

  const resizes = new ResizeObserver(requestDraw);
  resizes.observe(canvas);
  darkScheme.addEventListener("change", requestDraw);
  return {
    draw, requestDraw, pointAt, extentOf, drawnCount: () => drawn.length,
    close() {
      cancelAnimationFrame(frame);
      resizes.disconnect();
      darkScheme.removeEventListener("change", requestDraw);
    },
  };
}

/** Blur cells of four numbers along one axis with the weights 1, 2, 1; `step`: from a cell to the next one. */
function blur(from, to, step) {
  for (let k = step; k < from.length - step; k += 1) to[k] = 0.25 * from[k - step] + 0.5 * from[k] + 0.25 * from[k + step];
}

/** Return a colour as the 32 bits that a canvas stores on little-endian machines: alpha, blue, green, red. */
const pack = (red, green, blue) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
const packHex = (hex) => pack(...[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const packRgb = (text) => pack(...text.match(/[\d.]+/g).slice(0, 3).map(Number));

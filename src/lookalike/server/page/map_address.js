// @ts-check
// The viewport and the lasso of the map as parameters of the address.

import { clampViewport, simplifyPolygon, WHOLE_MAP } from "./map/geometry.js";

const MAX_CORNERS = 300;     // of a polygon
const UNIT = 100_000;        // a side of the map in the units of polygons
const DECIMALS = 2;          // of these units: a polygon that is drawn at the largest zoom is precise to a pixel

/** Parse a viewport "x,y,zoom"; the whole map if the text is empty or invalid. */
export function parseViewport(/** @type {string} */ text) {
  const [x, y, zoom] = text.split(",").map(Number);
  return [x, y, zoom].every(Number.isFinite) && text ? clampViewport({ x, y, zoom }) : { ...WHOLE_MAP };
}

/** Return a viewport as text; "" for the whole map. */
export function formatViewport(/** @type {{x: number, y: number, zoom: number}} */ { x, y, zoom }) {
  if (zoom === WHOLE_MAP.zoom && x === WHOLE_MAP.x && y === WHOLE_MAP.y) return "";
  const decimals = Math.max(4, Math.ceil(Math.log10(zoom)) + 4);
  return [x.toFixed(decimals), y.toFixed(decimals), zoom.toFixed(2)].join(",");
}

/** Parse a polygon, as x, y, x, y, … on the map; null if the text is empty or invalid. */
export function parsePolygon(/** @type {string} */ text) {
  const numbers = text.split(",").map((part) => Number(part) / UNIT);
  return text && numbers.length >= 6 && numbers.length % 2 === 0 && numbers.every(Number.isFinite) ? numbers : null;
}

/**
 * Return a polygon as text, without corners that are not seen: `pixel` is the size of a pixel on the map. What is
 * selected is what `parsePolygon` of this text encloses, so that a link and a reload select the same images.
 */
export function formatPolygon(/** @type {number[]} */ polygon, pixel = 0) {
  let shown = pixel ? simplifyPolygon(polygon, pixel / 2) : polygon;
  for (let tolerance = pixel || 1 / UNIT; shown.length > 2 * MAX_CORNERS; tolerance *= 1.5) shown = simplifyPolygon(polygon, tolerance);
  return shown.map((n) => Number((n * UNIT).toFixed(DECIMALS))).join(",");
}

// The viewport and the lasso of the map as parameters of the address.

import { clampViewport, WHOLE_MAP } from "./map/geometry.js";

const MAX_CORNERS = 160;     // of a polygon in the address
const PRECISION = 100_000;   // coordinates of polygons are as precise as those of images (a zoomed map needs it)

/** Parse a viewport "x,y,zoom"; the whole map if the text is empty or invalid. */
export function parseViewport(text) {
  const [x, y, zoom] = text.split(",").map(Number);
  return [x, y, zoom].every(Number.isFinite) && text ? clampViewport({ x, y, zoom }) : { ...WHOLE_MAP };
}

/** Return a viewport as text; "" for the whole map. */
export const formatViewport = ({ x, y, zoom }) =>
  (zoom === WHOLE_MAP.zoom && x === WHOLE_MAP.x && y === WHOLE_MAP.y ? "" : [x.toFixed(4), y.toFixed(4), zoom.toFixed(2)].join(","));

/** Parse a polygon, as x, y, x, y, … on the map; null if the text is empty or invalid. */
export function parsePolygon(text) {
  const numbers = text.split(",").map((part) => Number(part) / PRECISION);
  return text && numbers.length >= 6 && numbers.length % 2 === 0 && numbers.every(Number.isFinite) ? numbers : null;
}

/** Return a polygon as text, with every nth corner if it has many. */
export function formatPolygon(polygon) {
  const corners = polygon.length / 2;
  const step = Math.max(1, Math.ceil(corners / MAX_CORNERS));
  const numbers = [];
  for (let i = 0; i < corners; i += step) numbers.push(Math.round(polygon[2 * i] * PRECISION), Math.round(polygon[2 * i + 1] * PRECISION));
  return numbers.join(",");
}

// Geometry of the map: the viewport, polygons, and points with their indexes.
//
// Positions on the map are 0 to 1 in x and y, y down. Positions on the screen are CSS pixels from the top left
// corner of the canvas. A viewport is {x, y, zoom}: its centre on the map; zoom 1 shows the whole map.

export const WHOLE_MAP = { x: 0.5, y: 0.5, zoom: 1 };
const MIN_ZOOM = 0.5, MAX_ZOOM = 4096;
const MARGIN = 0.92;   // share of the shorter side of the canvas that the whole map takes

/** Deepest level of detail; there the map is 4,096 thumbnails wide (embedding_map/layout.py). */
export const MAX_LEVEL = 12;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Return the viewport with its zoom in range and its centre near the map. */
export const clampViewport = ({ x, y, zoom }) =>
  ({ x: clamp(x, -0.1, 1.1), y: clamp(y, -0.1, 1.1), zoom: clamp(zoom, MIN_ZOOM, MAX_ZOOM) });

/** Return the width of the map in pixels. */
export const mapSize = (viewport, width, height) => viewport.zoom * Math.min(width, height) * MARGIN;

/** Convert a position on the map to the screen. */
export function toScreen(viewport, width, height, x, y) {
  const size = mapSize(viewport, width, height);
  return [(x - viewport.x) * size + width / 2, (y - viewport.y) * size + height / 2];
}

/** Convert a position on the screen to the map. */
export function toMap(viewport, width, height, x, y) {
  const size = mapSize(viewport, width, height);
  return [(x - width / 2) / size + viewport.x, (y - height / 2) / size + viewport.y];
}

/** Return the viewport zoomed by a factor; the position (x, y) of the screen keeps its place on the map. */
export function zoomAt(viewport, width, height, x, y, factor) {
  const [beforeX, beforeY] = toMap(viewport, width, height, x, y);
  const next = clampViewport({ ...viewport, zoom: viewport.zoom * factor });
  const [afterX, afterY] = toMap(next, width, height, x, y);
  return clampViewport({ ...next, x: next.x + beforeX - afterX, y: next.y + beforeY - afterY });
}

/** Return the viewport after its content has moved by (dx, dy) pixels. */
export function panBy(viewport, width, height, dx, dy) {
  const size = mapSize(viewport, width, height);
  return clampViewport({ ...viewport, x: viewport.x - dx / size, y: viewport.y - dy / size });
}

/** Is the position inside the polygon? Its corners are x, y, x, y, …; by the even-odd rule. */
function insidePolygon(polygon, x, y) {
  let inside = false;
  for (let i = 0, previous = polygon.length - 2; i < polygon.length; previous = i, i += 2) {
    const [ax, ay, bx, by] = [polygon[i], polygon[i + 1], polygon[previous], polygon[previous + 1]];
    if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/**
 * Return a polygon without the corners that are nearer than `tolerance` to the line between their neighbours
 * (Ramer 1972; Douglas and Peucker 1973).
 */
export function simplifyPolygon(polygon, tolerance) {
  const last = polygon.length / 2 - 1, kept = new Set([0, last]), stack = [[0, last]];
  while (stack.length) {
    const [from, to] = stack.pop();
    const [ax, ay, bx, by] = [polygon[2 * from], polygon[2 * from + 1], polygon[2 * to], polygon[2 * to + 1]];
    const length = Math.hypot(bx - ax, by - ay);
    let farthest = -1, most = tolerance;
    for (let i = from + 1; i < to; i += 1) {
      const [dx, dy] = [polygon[2 * i] - ax, polygon[2 * i + 1] - ay];
      const distance = length ? Math.abs((bx - ax) * dy - (by - ay) * dx) / length : Math.hypot(dx, dy);
      if (distance > most) { farthest = i; most = distance; }
    }
    if (farthest >= 0) { kept.add(farthest); stack.push([from, farthest], [farthest, to]); }
  }
  return [...kept].sort((a, b) => a - b).flatMap((i) => [polygon[2 * i], polygon[2 * i + 1]]);
}

/** Return the indices of the points inside the polygon. */
export function enclosedPoints(points, polygon) {
  const found = [];
  for (let i = 0; i < points.x.length; i += 1) if (insidePolygon(polygon, points.x[i], points.y[i])) found.push(i);
  return found;
}

const GRID_SIZE = 256;
const GRID_LIMIT = 2 ** (MAX_LEVEL + 1);   // above the number of cells in a row at the deepest level
const cellOf = (value) => clamp((value * GRID_SIZE) | 0, 0, GRID_SIZE - 1);

/**
 * Add what drawing and pointing need to the columns of a map.
 *
 * @param {ArrayLike<number>} columns.x, columns.y  positions on the map
 * @param {ArrayLike<number>} columns.groups        group of each point; -1: none
 * @param {ArrayLike<number>} columns.levels        zoom level from which the thumbnail of each point fits:
 *   thumbnails of points of level L or less do not overlap if the map is 2^L of them wide
 * @returns {object} the columns as typed arrays, and `byLevel` (indices sorted by level), `countUpTo` (points of
 *   each level or less), `precedence` (indices; the thumbnails of earlier ones are shown first), and a grid of cells
 *   in the layout of a sparse matrix (`cellStarts`, `cellMembers`)
 */
export function indexPoints({ x, y, groups, levels }) {
  const count = x.length;
  const points = { count, x: Float64Array.from(x), y: Float64Array.from(y), groups: Int16Array.from(groups) };
  points.byLevel = Uint32Array.from({ length: count }, (_, i) => i);
  setLevels(points, levels);
  points.precedence = points.byLevel;
  const cells = Uint16Array.from({ length: count }, (_, i) => cellOf(points.y[i]) * GRID_SIZE + cellOf(points.x[i]));
  points.cellStarts = new Uint32Array(GRID_SIZE * GRID_SIZE + 1);
  for (const cell of cells) points.cellStarts[cell + 1] += 1;
  for (let cell = 0; cell < GRID_SIZE * GRID_SIZE; cell += 1) points.cellStarts[cell + 1] += points.cellStarts[cell];
  points.cellMembers = new Uint32Array(count);
  const next = points.cellStarts.slice();
  for (let i = 0; i < count; i += 1) { points.cellMembers[next[cells[i]]] = i; next[cells[i]] += 1; }
  return points;
}

/** Sort the points by these levels; those of the same level stay in their order. */
export function setLevels(points, levels) {
  const starts = new Uint32Array(MAX_LEVEL + 3);
  for (const level of levels) starts[level + 1] += 1;
  for (let level = 1; level < starts.length; level += 1) starts[level] += starts[level - 1];
  points.countUpTo = starts.slice(1);
  const order = points.precedence ?? points.byLevel;
  points.byLevel = new Uint32Array(points.count);
  for (const i of order) { points.byLevel[starts[levels[i]]] = i; starts[levels[i]] += 1; }
}

/**
 * Return the level from which the thumbnail of each point fits if only some are shown (`isShown(i)`), by the rule of
 * `zoom_levels` in embedding_map/layout.py; MAX_LEVEL + 1 for the others and for those without room.
 */
export function levelsOfShown({ count, x, y, precedence }, isShown) {
  const levels = new Uint8Array(count).fill(MAX_LEVEL + 1), placed = [];
  let waiting = precedence.filter(isShown);
  for (let level = 0; level <= MAX_LEVEL && waiting.length; level += 1) {
    const side = 1 / 2 ** level, cells = new Map(), later = [];
    const keyOf = (i) => (Math.floor(x[i] / side) + 1) * 2 * GRID_LIMIT + Math.floor(y[i] / side) + 1;
    const isFree = (i, key) => {
      if (cells.has(key)) return false;
      for (const column of [key - 2 * GRID_LIMIT, key, key + 2 * GRID_LIMIT]) {
        for (let near = column - 1; near <= column + 1; near += 1) {
          const other = cells.get(near);
          if (other !== undefined && Math.abs(x[other] - x[i]) < side && Math.abs(y[other] - y[i]) < side) return false;
        }
      }
      return true;
    };
    for (const i of placed) cells.set(keyOf(i), i);
    for (const i of waiting) {
      const key = keyOf(i);
      if (!isFree(i, key)) { later.push(i); continue; }
      cells.set(key, i);
      placed.push(i);
      levels[i] = level;
    }
    waiting = later;
  }
  return levels;
}

/** Return the indices of the points whose thumbnails fit at a level. */
export function pointsUpTo({ byLevel, countUpTo }, level) {
  return byLevel.subarray(0, countUpTo[Math.min(level, countUpTo.length - 1)] ?? 0);
}

/** Return the index of the nearest point within `reach` (in map units) that `accept` accepts, or -1. */
export function nearestPoint(points, x, y, reach, accept) {
  let best = -1, least = reach * reach;
  for (let row = cellOf(y - reach); row <= cellOf(y + reach); row += 1) {
    for (let column = cellOf(x - reach); column <= cellOf(x + reach); column += 1) {
      const cell = row * GRID_SIZE + column;
      for (let k = points.cellStarts[cell]; k < points.cellStarts[cell + 1]; k += 1) {
        const i = points.cellMembers[k];
        const distance = (points.x[i] - x) ** 2 + (points.y[i] - y) ** 2;
        if (distance < least && accept(i)) { least = distance; best = i; }
      }
    }
  }
  return best;
}

/** Return the indices of the `number` points that are nearest to a point and accepted by `accept`, the nearest first. */
export function neighboursOf(points, point, number, accept) {
  const distances = Float64Array.from(points.x, (x, i) => (accept(i) ? (x - points.x[point]) ** 2 + (points.y[i] - points.y[point]) ** 2 : Infinity));
  const farthest = distances.slice().sort()[Math.min(number, points.count) - 1];
  const found = [];
  for (let i = 0; i < points.count; i += 1) if (distances[i] <= farthest && distances[i] < Infinity) found.push(i);
  return found.sort((a, b) => distances[a] - distances[b]).slice(0, number);
}

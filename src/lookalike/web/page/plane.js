// Points on a plane: where they lie on the screen, which of them a line encloses, and which show their picture.

/** Coordinates brought into the unit square, both by the same scale: {ids, x, y} with typed arrays. */
export function spread(answer) {
  const ids = answer.ids ?? answer.points.map((point) => point.id);
  const given = answer.x ? [answer.x, answer.y] : [answer.points.map((point) => point.x), answer.points.map((point) => point.y)];
  const [x, y] = given.map((values) => Float64Array.from(values));
  const range = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [lowX, highX] = range(x), [lowY, highY] = range(y);
  const size = Math.max(highX - lowX, highY - lowY) || 1;
  for (let at = 0; at < x.length; at += 1) {
    x[at] = 0.5 + (x[at] - (lowX + highX) / 2) / size;
    y[at] = 0.5 - (y[at] - (lowY + highY) / 2) / size;
  }
  return { ids, x, y };
}

/** A look at the plane: its middle, and how many pixels one unit takes beyond what just fits. */
export const WHOLE = { x: 0.5, y: 0.5, zoom: 1 };
const FURTHEST = 0.5, CLOSEST = 400;

export function parseLook(text) {
  const [x, y, zoom] = text.split(",").map(Number);
  return [x, y, zoom].every(Number.isFinite) && text ? limited({ x, y, zoom }) : { ...WHOLE };
}

export const lookText = ({ x, y, zoom }) =>
  zoom === 1 && x === 0.5 && y === 0.5 ? "" : [x.toFixed(4), y.toFixed(4), zoom.toFixed(2)].join(",");

const within = (value, low, high) => Math.min(high, Math.max(low, value));

export const limited = ({ x, y, zoom }) =>
  ({ x: within(x, -0.1, 1.1), y: within(y, -0.1, 1.1), zoom: within(zoom, FURTHEST, CLOSEST) });

/** Pixels of one unit, for a canvas of this size. */
export const scaleOf = (look, width, height) => look.zoom * Math.min(width, height) * 0.92;

export function toScreen(look, width, height, px, py) {
  const scale = scaleOf(look, width, height);
  return [(px - look.x) * scale + width / 2, (py - look.y) * scale + height / 2];
}

export function toPlane(look, width, height, sx, sy) {
  const scale = scaleOf(look, width, height);
  return [(sx - width / 2) / scale + look.x, (sy - height / 2) / scale + look.y];
}

/** The look after zooming by a factor at a place of the screen, which stays where it is. */
export function zoomed(look, width, height, sx, sy, factor) {
  const [px, py] = toPlane(look, width, height, sx, sy);
  const next = limited({ ...look, zoom: look.zoom * factor });
  const [nx, ny] = toPlane(next, width, height, sx, sy);
  return limited({ ...next, x: next.x + px - nx, y: next.y + py - ny });
}

/** For each occupied cell of a grid with 2^level cells a side, the first point in it. */
export function first(points, level) {
  const side = 2 ** level;
  const found = new Map();
  for (let at = 0; at < points.ids.length; at += 1) {
    const key = Math.floor(points.x[at] * side) * 1e7 + Math.floor(points.y[at] * side);
    if (!found.has(key)) found.set(key, at);
  }
  return [...found.values()];
}

/** Is the point inside the line, given as x, y, x, y …? */
export function inside(line, px, py) {
  let is = false;
  for (let at = 0, before = line.length - 2; at < line.length; before = at, at += 2) {
    const [ax, ay, bx, by] = [line[at], line[at + 1], line[before], line[before + 1]];
    if ((ay > py) !== (by > py) && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) is = !is;
  }
  return is;
}

/** The places in `points` that the line encloses. */
export function enclosed(points, line) {
  const found = [];
  for (let at = 0; at < points.ids.length; at += 1) if (inside(line, points.x[at], points.y[at])) found.push(at);
  return found;
}

const MOST_CORNERS = 48;   // of a line in the address

/** A line of few corners from a drawn one, as text of the address (thousandths). */
export function lineText(line) {
  const corners = line.length / 2;
  const step = Math.max(1, Math.ceil(corners / MOST_CORNERS));
  const kept = [];
  for (let at = 0; at < corners; at += step) kept.push(Math.round(line[2 * at] * 1000), Math.round(line[2 * at + 1] * 1000));
  return kept.join(",");
}

export function parseLine(text) {
  const numbers = text.split(",").map((part) => Number(part) / 1000);
  return text && numbers.length >= 6 && numbers.length % 2 === 0 && numbers.every(Number.isFinite) ? numbers : null;
}

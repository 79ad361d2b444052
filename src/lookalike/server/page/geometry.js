// Points on a plane: where they lie on the screen, which of them a line encloses, which have room for their picture.

/** What the server laid out: {ids, x, y (0 to 1, down), groups, order}, where `order` has the places by the level
 * of zoom from which on their pictures fit, and `upTo[level]` says how many fit at a level. */
export function points(answer) {
  const { ids, groups, levels: level } = answer;
  const order = Uint32Array.from(ids.keys()).sort((a, b) => level[a] - level[b] || a - b);
  const upTo = [];
  for (const at of order) upTo[level[at]] = (upTo[level[at]] ?? 0) + 1;
  for (let each = 0, sum = 0; each < upTo.length; each += 1) { sum += upTo[each] ?? 0; upTo[each] = sum; }
  return { ids, x: Float64Array.from(answer.x), y: Float64Array.from(answer.y), groups, order, upTo };
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

/** The places whose pictures have room beside each other at a level. */
export function roomy({ order, upTo }, level) {
  return order.subarray(0, upTo[Math.min(level, upTo.length - 1)] ?? 0);
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

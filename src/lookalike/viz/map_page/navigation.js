// Mouse, touch, wheel and keyboard on the map: pan, zoom, point, and draw polygons.

import { panBy, toMap, WHOLE_MAP, zoomAt } from "./geometry.js";

const CLICK_SLOP = 5;             // pixels that the pointer may move during a click
const KEY_STEP = 80;              // pixels that an arrow key moves the map
const KEY_ZOOM = 1.4;
const WHEEL_PIXELS = [1, 16, 400];   // of one unit of `deltaY`, by `deltaMode`: pixels, lines, pages

/**
 * Listen on a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {object} map  callbacks: viewport(), setViewport(viewport); click(x, y, event) and hover(x, y, event) in
 *   pixels of the canvas; startsPolygon(event): does this drag draw instead of pan?; polygonChanged(polygon) while it is drawn,
 *   with null if it is given up; polygonFinished(polygon)
 */
export function listenForNavigation(canvas, map) {
  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const positionOf = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const zoom = (x, y, factor) => map.setViewport(zoomAt(map.viewport(), ...size(), x, y, factor));
  const pan = (dx, dy) => map.setViewport(panBy(map.viewport(), ...size(), dx, dy));
  const pressed = new Map();   // last position of each pressed pointer, by its id
  let polygon = null, distance = 0;

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, positionOf(event));
    distance = 0;
    if (polygon) map.polygonChanged(null);
    polygon = pressed.size === 1 && map.startsPolygon(event) ? [...toMap(map.viewport(), ...size(), ...positionOf(event))] : null;
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = pressed.get(event.pointerId);
    const now = positionOf(event);
    if (!before) { map.hover(...now, event); return; }
    distance += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (polygon) {
      polygon.push(...toMap(map.viewport(), ...size(), ...now));
      map.polygonChanged(polygon);
    } else if (pressed.size === 2) {
      const other = [...pressed].find(([id]) => id !== event.pointerId)[1];
      const spread = (position) => Math.hypot(position[0] - other[0], position[1] - other[1]) || 1;
      pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      zoom((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, spread(now) / spread(before));
    } else {
      pan(now[0] - before[0], now[1] - before[1]);
    }
    pressed.set(event.pointerId, now);
  });

  function release(event) {
    if (!pressed.delete(event.pointerId)) return;
    if (polygon && distance > CLICK_SLOP && event.type === "pointerup") map.polygonFinished(polygon);
    else if (polygon) map.polygonChanged(null);
    if (distance <= CLICK_SLOP && event.type === "pointerup") map.click(...positionOf(event), event);
    polygon = null;
  }
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    // Browsers report a pinch on a touchpad as a wheel with Ctrl and small deltas.
    const rate = event.ctrlKey ? 0.01 : 0.0016;
    zoom(...positionOf(event), Math.exp(-event.deltaY * WHEEL_PIXELS[event.deltaMode] * rate));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const [x, y] = size().map((side) => side / 2);
    const action = {
      ArrowLeft: () => pan(KEY_STEP, 0), ArrowRight: () => pan(-KEY_STEP, 0),
        ArrowUp: () => pan(0, KEY_STEP), ArrowDown: () => pan(0, -KEY_STEP),
      "+": () => zoom(x, y, KEY_ZOOM), "=": () => zoom(x, y, KEY_ZOOM), "-": () => zoom(x, y, 1 / KEY_ZOOM),
      0: () => map.setViewport({ ...WHOLE_MAP }), Home: () => map.setViewport({ ...WHOLE_MAP }),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

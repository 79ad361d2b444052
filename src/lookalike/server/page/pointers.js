// What fingers, a mouse and keys do on the map: move, zoom, draw a line around pictures, point at one.

import { limited, scaleOf, toPlane, toScreen, zoomed } from "./geometry.js";

const REACH = 22;   // pixels within which a click means a point
const SLIP = 5;     // pixels that a click may move

/**
 * Listen on a canvas. `map` gives and takes what is shown:
 *   look(), setLook(look), lassoing(), draw(line), drawn(line), point(place)
 */
export function listen(canvas, points, map) {
  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const place = (event) => { const { left, top } = canvas.getBoundingClientRect(); return [event.clientX - left, event.clientY - top]; };
  const fingers = new Map();
  let line = null, moved = 0;

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
    moved = 0;
    line = fingers.size === 1 && (map.lassoing() || event.shiftKey) ? [...toPlane(map.look(), ...size(), ...place(event))] : null;
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (line) {
      line.push(...toPlane(map.look(), ...size(), ...now));
      map.draw(line);
    } else if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
      map.setLook(zoomed(map.look(), ...size(), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2, far(now) / far(before)));
    } else {
      map.setLook(shifted(now[0] - before[0], now[1] - before[1]));
    }
    fingers.set(event.pointerId, now);
  });

  function end(event) {
    if (!fingers.delete(event.pointerId)) return;
    if (line && moved > SLIP) map.drawn(line);
    else if (moved <= SLIP && event.type === "pointerup") {
      const found = nearest(...place(event));
      if (found >= 0) map.point(found);
    }
    line = null;
  }
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const factor = Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016) * (event.ctrlKey ? 4 : 1));
    map.setLook(zoomed(map.look(), ...size(), ...place(event), factor));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const [width, height] = size();
    const next = {
      ArrowLeft: () => shifted(80, 0), ArrowRight: () => shifted(-80, 0), ArrowUp: () => shifted(0, 80), ArrowDown: () => shifted(0, -80),
      "+": () => zoomed(map.look(), width, height, width / 2, height / 2, 1.4), "=": () => zoomed(map.look(), width, height, width / 2, height / 2, 1.4),
      "-": () => zoomed(map.look(), width, height, width / 2, height / 2, 1 / 1.4),
    }[event.key]?.();
    if (!next) return;
    event.preventDefault();
    map.setLook(next);
  });

  function shifted(dx, dy) {
    const scale = scaleOf(map.look(), ...size());
    const { x, y, zoom } = map.look();
    return limited({ x: x - dx / scale, y: y - dy / scale, zoom });
  }

  function nearest(sx, sy) {
    let best = -1, least = REACH * REACH;
    for (let at = 0; at < points.ids.length; at += 1) {
      const [px, py] = toScreen(map.look(), ...size(), points.x[at], points.y[at]);
      const far = (px - sx) ** 2 + (py - sy) ** 2;
      if (far < least) { best = at; least = far; }
    }
    return best;
  }
}

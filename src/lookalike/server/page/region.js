// @ts-check
// The region of the query image that is searched: a box, drawn on the image with the pointer or moved with the keys.
// A box is [x, y, width, height] as fractions of the image.

import { html, useRef, useState } from "./html.js";
import { t } from "./words.js";

const MIN_SIDE = 0.04;   // of a box; smaller ones are drawn by accident
const KEY_STEP = 0.02;
const MIN_DRAG = 5;      // pixels
export const START_BOX = [0.25, 0.25, 0.5, 0.5];

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Return the box moved and resized to lie inside the image. */
export function clampBox([x, y, width, height]) {
  const w = clamp(width, MIN_SIDE, 1), h = clamp(height, MIN_SIDE, 1);
  return [clamp(x, 0, 1 - w), clamp(y, 0, 1 - h), w, h];
}

/** Return the box between two points. */
export function boxBetween(a, b) {
  return clampBox([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])]);
}

/** Return the box after a key press, or null: arrows move it, with Shift they change its size. */
export function moveByKey(box, key, shift) {
  const move = { ArrowLeft: [-KEY_STEP, 0], ArrowRight: [KEY_STEP, 0], ArrowUp: [0, -KEY_STEP], ArrowDown: [0, KEY_STEP] }[key];
  if (!move) return null;
  const [x, y, w, h] = box;
  return clampBox(shift ? [x, y, Math.min(1 - x, w + move[0]), Math.min(1 - y, h + move[1])] : [x + move[0], y + move[1], w, h]);
}

export const boxStyle = ([x, y, width, height]) => `left:${x * 100}%;top:${y * 100}%;width:${width * 100}%;height:${height * 100}%`;

/**
 * An image on which a box can be drawn.
 *
 * @param {{source: string, region: number[] | null, onChange: (region: number[] | null) => void, onMissing: () => void}} attributes
 *   `onChange` is called while the box changes, `onMissing` if there is no such image
 */
export function RegionImage({ source, region, onChange, onMissing }) {
  const frame = useRef(/** @type {any} */ (null)), boxElement = useRef(/** @type {any} */ (null));
  const [drawn, setDrawn] = useState(/** @type {number[] | null} */ (null));
  const box = drawn ?? region;
  const set = (next) => { setDrawn(next); onChange(next && next.map((n) => Number(n.toFixed(4)))); };

  /** A drag on the box moves it, on a corner resizes it, anywhere else draws a new one. */
  const start = (down) => {
    if (down.button) return;
    const positionOf = (event) => {
      const { left, top, width, height } = frame.current.getBoundingClientRect();
      return [clamp((event.clientX - left) / width, 0, 1), clamp((event.clientY - top) / height, 0, 1)];
    };
    const from = positionOf(down), before = box;
    const corner = down.target.dataset?.corner;
    const fixed = corner && before && [corner.includes("w") ? before[0] + before[2] : before[0], corner.includes("n") ? before[1] + before[3] : before[1]];
    const movesBox = !corner && before && boxElement.current?.contains(down.target);
    let isDragged = false;
    const move = (event) => {
      if (!isDragged && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < MIN_DRAG) return;
      isDragged = true;
      const to = positionOf(event);
      if (movesBox && before) set(clampBox([before[0] + to[0] - from[0], before[1] + to[1] - from[1], before[2], before[3]]));
      else set(boxBetween(fixed || from, to));
    };
    const end = () => {
      frame.current.removeEventListener("pointermove", move);
      setDrawn(null);
      boxElement.current?.focus({ preventScroll: true });
    };
    down.preventDefault();
    frame.current.setPointerCapture(down.pointerId);
    frame.current.addEventListener("pointermove", move);
    frame.current.addEventListener("pointerup", end, { once: true });
    frame.current.addEventListener("pointercancel", end, { once: true });
  };

  const handleKey = (event) => {
    if (!box) return;
    if (event.key === "Escape" || event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); event.stopPropagation(); set(null); setDrawn(null); return; }
    const next = moveByKey(box, event.key, event.shiftKey);
    if (next) { event.preventDefault(); event.stopPropagation(); onChange(next.map((n) => Number(n.toFixed(4)))); }
  };
  return html`<div class="region-image" ref=${frame} onpointerdown=${start}>
    <img src=${source} alt=${t("queryImage")} draggable=${false} onerror=${onMissing} />
    ${box && html`<div class="region-box" ref=${boxElement} tabindex="0" role="group" aria-label=${t("regionHelp")} style=${boxStyle(box)} onkeydown=${handleKey}>
      ${["nw", "ne", "sw", "se"].map((corner) => html`<i key=${corner} class=${`corner ${corner}`} data-corner=${corner} />`)}</div>`}</div>`;
}

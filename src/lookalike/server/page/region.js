// The region of the query image that is searched: a box, drawn with the pointer or moved with the keys.
// A box is [x, y, width, height] as fractions of the image.

import { ApiError, termImage } from "./api.js";
import { navigate, state } from "./address.js";
import { button, el } from "./dom.js";
import { tryOrToast } from "./toasts.js";

const MIN_SIDE = 0.04;   // of a box; smaller ones are drawn by accident
const KEY_STEP = 0.02;

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

/** Create an outline of a box, to lay over an image. */
export function regionOutline([x, y, width, height], attributes = {}) {
  const outline = el("i", { class: "region", ...attributes });
  Object.assign(outline.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
  return outline;
}

/** Let people draw a box on the image of a term, and search with it. */
export async function editRegion(term) {
  let box = state.region ?? [0.25, 0.25, 0.5, 0.5];
  const frame = el("div", { class: "region-image", tabindex: "-1" });
  const boxElement = el("div", {
    class: "region-box", tabindex: "0", role: "group",
    "aria-label": "The region to search. Arrow keys move it, with Shift they change its size, Enter searches.",
  }, ["nw", "ne", "sw", "se"].map((corner) => el("i", { class: `corner ${corner}`, "data-corner": corner })));
  const show = () => Object.assign(boxElement.style, {
    left: `${box[0] * 100}%`, top: `${box[1] * 100}%`, width: `${box[2] * 100}%`, height: `${box[3] * 100}%`,
  });
  const image = el("img", { src: termImage(term, 1024), alt: "The query image", draggable: "false" });
  frame.append(image, boxElement);
  const dialog = el("dialog", { class: "region-dialog", "aria-label": "Search a region of the image" },
    el("p", {}, "Draw a box around the region to search."), frame,
    el("p", { class: "actions" },
      button("Cancel", null, () => dialog.close()),
      state.region ? button("Search the whole image", null, () => { dialog.close(); navigate({ region: null }); }) : null,
      button("Search this region", "search", search, { class: "main" })));

  function search() {
    dialog.close();
    navigate({ page: "search", open: null, region: box.map((n) => Number(n.toFixed(4))) });
  }

  boxElement.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); search(); return; }
    const next = moveByKey(box, event.key, event.shiftKey);
    if (next) { event.preventDefault(); box = next; show(); }
  });
  listenForDrags(frame, boxElement, () => box, (next) => { box = next; show(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  show();
  // Open the dialog once the image has loaded: its size, and so the box, would change later.
  await tryOrToast(() => image.decode().catch(() => { throw new ApiError("The query image cannot be shown; add it again.", 0); }));
  if (!image.naturalWidth) { dialog.remove(); return; }
  dialog.showModal();
  boxElement.focus();
}

/** A drag on the box moves it, on a corner resizes it, anywhere else draws a new one. */
function listenForDrags(frame, boxElement, get, set) {
  const positionOf = (event) => {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return [clamp((event.clientX - left) / width, 0, 1), clamp((event.clientY - top) / height, 0, 1)];
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    const start = positionOf(event);
    const [x, y, w, h] = get();
    const corner = event.target.dataset?.corner;
    const fixed = corner && [corner.includes("w") ? x + w : x, corner.includes("n") ? y + h : y];
    const movesBox = !corner && boxElement.contains(event.target);
    const move = (next) => {
      const end = positionOf(next);
      if (movesBox) set(clampBox([x + end[0] - start[0], y + end[1] - start[1], w, h]));
      else set(boxBetween(fixed || start, end));
    };
    const finish = () => {
      frame.removeEventListener("pointermove", move);
      boxElement.focus();
    };
    frame.setPointerCapture(event.pointerId);
    frame.addEventListener("pointermove", move);
    frame.addEventListener("pointerup", finish, { once: true });
    frame.addEventListener("pointercancel", finish, { once: true });
  });
}

// A box on the query's picture, drawn with a pointer or moved with the keys; that part is searched.

import { ApiError, pictureOf } from "./api.js";
import { go, state } from "./address.js";
import { button, el } from "./dom.js";
import { trying } from "./toasts.js";

const SMALLEST = 0.04;   // of the picture's side; below it a box is a slip of the hand
const STEP = 0.02;

const within = (value, low, high) => Math.min(high, Math.max(low, value));

/** Keep a box inside the picture. */
export function fitted([x, y, width, height]) {
  const w = within(width, SMALLEST, 1), h = within(height, SMALLEST, 1);
  return [within(x, 0, 1 - w), within(y, 0, 1 - h), w, h];
}

/** The box between two points, as fractions. */
export function spanned(a, b) {
  return fitted([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])]);
}

/** What a key makes of a box: arrows move it, with Shift they change its size. */
export function keyed(box, key, shift) {
  const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[key];
  if (!move) return null;
  const [x, y, w, h] = box;
  return fitted(shift ? [x, y, Math.min(1 - x, w + move[0]), Math.min(1 - y, h + move[1])] : [x + move[0], y + move[1], w, h]);
}

/** Ask for a box on a term's picture, and search with it. The term must be the first picture of the question. */
export async function drawBox(term) {
  let box = state.region ?? [0.25, 0.25, 0.5, 0.5];
  const frame = el("div", { class: "boxed", tabindex: "-1" });
  const mark = el("div", {
    class: "mark", tabindex: "0", role: "group",
    "aria-label": "The part to search. Arrow keys move it, with Shift they change its size, Enter searches.",
  }, ["nw", "ne", "sw", "se"].map((corner) => el("i", { class: `corner ${corner}`, "data-corner": corner })));
  const show = () => Object.assign(mark.style, {
    left: `${box[0] * 100}%`, top: `${box[1] * 100}%`, width: `${box[2] * 100}%`, height: `${box[3] * 100}%`,
  });
  const image = el("img", { src: pictureOf(term, 1024), alt: "The picture of the question", draggable: "false" });
  frame.append(image, mark);
  const dialog = el("dialog", { class: "drawing", "aria-label": "Search a part of the picture" },
    el("p", {}, "Draw a box around what you mean."), frame,
    el("p", { class: "actions" },
      button("Cancel", null, () => dialog.close()),
      state.region ? button("The whole picture", null, () => { dialog.close(); go({ region: null }); }) : null,
      button("Search this part", "search", done, { class: "main" })));

  function done() {
    dialog.close();
    go({ page: "search", open: null, region: box.map((n) => Number(n.toFixed(4))) });
  }

  mark.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); done(); return; }
    const next = keyed(box, event.key, event.shiftKey);
    if (next) { event.preventDefault(); box = next; show(); }
  });
  dragging(frame, mark, () => box, (next) => { box = next; show(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  show();
  // Opened once the picture is there: a box drawn before would be torn when it comes.
  await trying(() => image.decode().catch(() => { throw new ApiError("The picture of the question cannot be shown; give it again.", 0); }));
  if (!image.naturalWidth) { dialog.remove(); return; }
  dialog.showModal();
  mark.focus();
}

/** A drag on the box moves it, on a corner resizes it, anywhere else draws a new one. */
function dragging(frame, mark, get, set) {
  const point = (event) => {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return [within((event.clientX - left) / width, 0, 1), within((event.clientY - top) / height, 0, 1)];
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    const from = point(event);
    const [x, y, w, h] = get();
    const corner = event.target.dataset?.corner;
    const fixed = corner && [corner.includes("w") ? x + w : x, corner.includes("n") ? y + h : y];
    const moves = !corner && mark.contains(event.target);
    const move = (next) => {
      const to = point(next);
      if (moves) set(fitted([x + to[0] - from[0], y + to[1] - from[1], w, h]));
      else set(spanned(fixed || from, to));
    };
    const end = () => {
      frame.removeEventListener("pointermove", move);
      mark.focus();
    };
    frame.setPointerCapture(event.pointerId);
    frame.addEventListener("pointermove", move);
    frame.addEventListener("pointerup", end, { once: true });
    frame.addEventListener("pointercancel", end, { once: true });
  });
}

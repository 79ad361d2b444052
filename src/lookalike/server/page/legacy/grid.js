// A virtual grid: a long list of images of which only those near the window are in the document.

import { el } from "./dom.js";
import { justifiedLayout, visibleRange } from "../justified_layout.js";

const OVERSCAN = 500;     // pixels above and below the window in which tiles are in the document
const PREFETCH = 1600;    // pixels before the end at which more items are requested

/**
 * Create a grid.
 *
 * @param {string} label                       for screen readers
 * @param {(item, box) => HTMLLIElement} drawTile
 * @param {(item) => HTMLLIElement} drawHeading  of items {heading, height}
 * @param {() => void} loadMore                called when the end comes near; answer with `append`
 */
export function createGrid({ label, drawTile, drawHeading, loadMore }) {
  const list = el("ul", { class: "grid", "aria-label": label });
  const nodes = new Map();   // those in the document, by their index in `boxes`
  let items = [], boxes = [], layout = null, isComplete = true, width = 0, frame = 0, isLoading = false, imageCount = 0;

  function createNode(index) {
    const box = boxes[index];
    const node = box.item.heading ? drawHeading(box.item) : drawTile(box.item, box);
    node.dataset.index = index;
    if (!box.item.heading) {
      node.setAttribute("aria-setsize", isComplete ? imageCount : -1);
      node.setAttribute("aria-posinset", box.item.position);
    }
    node.style.transform = `translate(${box.x}px, ${box.y}px)`;
    node.style.width = `${box.width}px`;
    node.style.height = `${box.height}px`;
    return node;
  }

  /** Add and remove nodes so that those near the window are in the document. A node with the focus stays. */
  function update() {
    frame = 0;
    if (!list.isConnected) return;
    const top = -list.getBoundingClientRect().top;
    const [from, to] = visibleRange(boxes, top - OVERSCAN, top + innerHeight + OVERSCAN);
    const focused = focusedIndex();
    for (const [index, node] of nodes) {
      if ((index < from || index >= to) && index !== focused) { node.remove(); nodes.delete(index); }
    }
    let before = null;
    for (let index = to - 1; index >= from; index -= 1) {
      let node = nodes.get(index);
      if (!node) {
        node = createNode(index);
        nodes.set(index, node);
        list.insertBefore(node, before ?? nodeAfter(index));
      }
      before = node;
    }
    if (!isComplete && !isLoading && layout && layout.bottom() - top - innerHeight < PREFETCH) { isLoading = true; loadMore(); }
  }

  const focusedIndex = () => (list.contains(document.activeElement) ? Number(document.activeElement.closest("li")?.dataset.index) : -1);

  /** Return the first node in the document after an index. */
  function nodeAfter(index) {
    const later = [...nodes.keys()].filter((other) => other > index);
    return later.length ? nodes.get(Math.min(...later)) : null;
  }

  function updateSoon() { frame ||= requestAnimationFrame(update); }

  function updateHeight() { list.style.height = `${Math.ceil(layout.bottom())}px`; }

  function removeNodes() {
    for (const node of nodes.values()) node.remove();
    nodes.clear();
  }

  function relayout() {
    width = list.clientWidth;
    if (!width) return;
    layout = justifiedLayout({ width, row: width < 520 ? 118 : width < 900 ? 158 : 186 });
    removeNodes();
    boxes = layout.add(items, isComplete);
    updateHeight();
    update();
  }

  /** Add items at the end. `isLast`: no more follow. */
  function append(newItems, isLast) {
    for (const item of newItems) if (!item.heading) item.position = imageCount += 1;
    items = items.concat(newItems);
    isComplete = isLast;
    isLoading = false;
    if (!layout || list.clientWidth !== width) { relayout(); return; }
    boxes = boxes.concat(layout.add(newItems, isLast));
    updateHeight();
    update();
  }

  /** Draw the tiles again, because what they show has changed. */
  function redraw() {
    const index = focusedIndex();
    const action = document.activeElement?.dataset?.action;
    removeNodes();
    update();
    if (index >= 0) focus(index, action);
  }

  function focus(index, action = "open") {
    const box = boxes[index];
    if (!box) return;
    const top = list.getBoundingClientRect().top + box.y;
    if (top < 120 || top + box.height > innerHeight) scrollBy({ top: top - innerHeight / 3, behavior: "instant" });
    update();
    const node = nodes.get(index);
    (node?.querySelector(`[data-action="${action}"]`) ?? node?.querySelector("a, button"))?.focus({ preventScroll: true });
  }

  /** Arrow keys move the focus from tile to tile. */
  function handleKey(event) {
    const tile = event.target.closest?.("li");
    if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = nextTile(boxes, Number(tile.dataset.index), event.key);
    if (next === null) return;
    event.preventDefault();
    focus(next);
  }

  list.addEventListener("keydown", handleKey);
  const resizeObserver = new ResizeObserver(() => { if (items.length && list.clientWidth !== width) relayout(); });
  resizeObserver.observe(list);
  addEventListener("scroll", updateSoon, { passive: true });

  return {
    element: list,
    append,
    redraw,
    images: () => items.filter((item) => !item.heading),
    close() { resizeObserver.disconnect(); removeEventListener("scroll", updateSoon); cancelAnimationFrame(frame); },
  };
}

/** Return the index of the tile to which a key moves the focus, or null. */
function nextTile(boxes, index, key) {
  const isTile = (i) => boxes[i] && !boxes[i].item.heading;
  const sideways = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (sideways) {
    let i = index + sideways;
    while (boxes[i] && !isTile(i)) i += sideways;
    return isTile(i) ? i : null;
  }
  if (key === "Home") return boxes.findIndex((box) => !box.item.heading);
  const vertical = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!vertical) return null;
  const from = boxes[index];
  const centre = from.x + from.width / 2;
  let i = index;
  while (boxes[i] && (boxes[i].y === from.y || !isTile(i))) i += vertical;
  if (!boxes[i]) return null;
  const row = boxes[i].y;
  let best = null;
  for (; boxes[i] && boxes[i].y === row; i += vertical) {
    const distance = Math.abs(boxes[i].x + boxes[i].width / 2 - centre);
    if (best === null || distance < best.distance) best = { index: i, distance };
  }
  return best.index;
}

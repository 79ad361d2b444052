// A long list of pictures of which only those near the window are in the document.

import { el } from "./dom.js";
import { between, flow } from "./justified_layout.js";

const BEYOND = 500;   // pixels above and below the window that are kept ready
const AHEAD = 1600;   // pixels before the end at which more is asked for

/**
 * draw(item)   makes the <li> of an item; headings are drawn by `heading(item)`
 * more()       is called when the end comes near
 */
export function gallery({ label, draw, heading, more }) {
  const list = el("ul", { class: "gallery", "aria-label": label });
  const shown = new Map();
  let items = [], boxes = [], layout = null, ended = true, width = 0, frame = 0, wanted = false, pictures = 0;

  function place(node, box) {
    node.style.transform = `translate(${box.x}px, ${box.y}px)`;
    node.style.width = `${box.width}px`;
    node.style.height = `${box.height}px`;
  }

  function node(at) {
    const { item } = boxes[at];
    const made = item.heading ? heading(item) : draw(item, boxes[at]);
    made.dataset.at = at;
    if (!item.heading) {
      made.setAttribute("aria-setsize", ended ? pictures : -1);
      made.setAttribute("aria-posinset", item.place);
    }
    place(made, boxes[at]);
    return made;
  }

  /** Bring the document to what the window shows. A node with the focus stays. */
  function refresh() {
    frame = 0;
    if (!list.isConnected) return;
    const top = -list.getBoundingClientRect().top;
    const [from, to] = between(boxes, top - BEYOND, top + innerHeight + BEYOND);
    const focused = list.contains(document.activeElement)
      ? Number(document.activeElement.closest("li")?.dataset.at) : -1;
    for (const [at, there] of shown) {
      if ((at < from || at >= to) && at !== focused) { there.remove(); shown.delete(at); }
    }
    let before = null;
    for (let at = to - 1; at >= from; at -= 1) {
      let there = shown.get(at);
      if (!there) {
        there = node(at);
        shown.set(at, there);
        list.insertBefore(there, before ?? after(at));
      }
      before = there;
    }
    if (!ended && !wanted && layout && layout.bottom() - top - innerHeight < AHEAD) { wanted = true; more(); }
  }

  /** The next node in the document that comes after this place. */
  function after(at) {
    let next = null;
    for (const [other, there] of shown) if (other > at && (next === null || other < next.other)) next = { other, there };
    return next?.there ?? null;
  }

  function soon() { frame ||= requestAnimationFrame(refresh); }

  function size() { list.style.height = `${Math.ceil(layout.bottom())}px`; }

  function relayout() {
    width = list.clientWidth;
    if (!width) return;
    layout = flow({ width });
    for (const there of shown.values()) there.remove();
    shown.clear();
    boxes = layout.add(items, ended);
    size();
    refresh();
  }

  /** More items at the end; `last`: nothing comes after them. */
  function append(further, last) {
    for (const item of further) if (!item.heading) item.place = pictures += 1;
    items = items.concat(further);
    ended = last;
    wanted = false;
    if (!layout || list.clientWidth !== width) { relayout(); return; }
    boxes = boxes.concat(layout.add(further, last));
    size();
    refresh();
  }

  /** Draw everything in the window again, where what tiles show has changed. */
  function redraw() {
    const at = list.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.at : undefined;
    const what = document.activeElement?.dataset?.does;
    for (const there of shown.values()) there.remove();
    shown.clear();
    refresh();
    if (at !== undefined) focus(Number(at), what);
  }

  function focus(at, what = "open") {
    const box = boxes[at];
    if (!box) return;
    const top = list.getBoundingClientRect().top + box.y;
    if (top < 120 || top + box.height > innerHeight) scrollBy({ top: top - innerHeight / 3, behavior: "instant" });
    refresh();
    const there = shown.get(at);
    (there?.querySelector(`[data-does="${what}"]`) ?? there?.querySelector("a, button"))?.focus({ preventScroll: true });
  }

  /** Arrows move from picture to picture, as they lie on the page. */
  function arrow(event) {
    const li = event.target.closest?.("li");
    if (!li || event.altKey || event.ctrlKey || event.metaKey) return;
    const here = Number(li.dataset.at);
    const next = neighbour(boxes, here, event.key);
    if (next === null) return;
    event.preventDefault();
    focus(next);
  }

  list.addEventListener("keydown", arrow);
  const watch = new ResizeObserver(() => { if (items.length && list.clientWidth !== width) relayout(); });
  watch.observe(list);
  addEventListener("scroll", soon, { passive: true });

  return {
    node: list,
    append,
    redraw,
    items: () => items.filter((item) => !item.heading),
    close() { watch.disconnect(); removeEventListener("scroll", soon); cancelAnimationFrame(frame); },
  };
}

/** The box to which a key leads from another, or null. */
export function neighbour(boxes, here, key) {
  const from = boxes[here];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  const tile = (at) => boxes[at] && !boxes[at].item.heading;
  if (step) {
    let at = here + step;
    while (boxes[at] && !tile(at)) at += step;
    return tile(at) ? at : null;
  }
  if (key === "Home") return boxes.findIndex((box) => !box.item.heading);
  const down = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!down) return null;
  const centre = from.x + from.width / 2;
  let at = here;
  while (boxes[at] && (boxes[at].y === from.y || !tile(at))) at += down;
  if (!boxes[at]) return null;
  const row = boxes[at].y;
  let best = null;
  for (; boxes[at] && boxes[at].y === row; at += down) {
    const far = Math.abs(boxes[at].x + boxes[at].width / 2 - centre);
    if (best === null || far < best.far) best = { at, far };
  }
  return best.at;
}

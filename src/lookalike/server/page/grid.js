// @ts-check
// A virtual grid: a long list of images of which only those near the window are in the document.

import { announce } from "./messages.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { justifiedLayout, visibleRange } from "./justified_layout.js";
import { listenForMarquee } from "./marquee.js";
import { select, selectRange, toggle } from "./selection.js";
import { lessLike, moreLike } from "./results.js";
import { state, update } from "./store.js";
import { Tile } from "./tile.js";
import { isTyping } from "./ui.js";
import { t } from "./words.js";

const OVERSCAN = 500;       // pixels above and below the window in which tiles are in the document
const PREFETCH = 3000;      // pixels before the end at which more items are requested
const FAST = 5;             // pixels a millisecond; thumbnails of images that fly past are not fetched
const SETTLE_TIME = 90;     // milliseconds without fast scrolling until thumbnails are fetched again
const GAP = 6;

/** Lay out items; those that were laid out before keep their boxes. */
function updateLayout(known, { items, isComplete, width, row, below }) {
  const key = `${width},${row},${below}`;
  const isContinued = known.key === key && known.items.length <= items.length && !known.isComplete
    && (known.items.length === 0 || known.items[known.items.length - 1] === items[known.items.length - 1]);
  if (known.items === items && known.key === key && known.isComplete === isComplete) return known;
  const layout = isContinued ? known.layout : justifiedLayout({ width, row, below, gap: GAP });
  const fresh = isContinued ? items.slice(known.items.length) : items;
  const boxes = layout.add(fresh, isComplete);
  return { key, items, isComplete, layout, boxes: isContinued ? [...known.boxes, ...boxes] : boxes };
}

/** Was the last key on a tile one that draws other images? The first of them then gets the focus, which would be lost. */
let hasToFocus = false;

const NOTHING = { key: "", items: [], isComplete: false, layout: null, boxes: [] };

/**
 * @param {object} attributes
 * @param {any[]} attributes.items     images or hits; {heading, height} for a line of its own; {divider, ratio} in a row
 * @param {boolean} [attributes.isComplete]  no more follow
 * @param {() => void} [attributes.onMore]   called when the end comes near
 * @param {number} [attributes.total]  of images, if more follow; the scroll bar allows for them
 * @param {number} attributes.row      height of rows in pixels
 * @param {number} [attributes.below]  height under an image: its bar and caption
 * @param {string} attributes.label    for screen readers
 * @param {(item: any) => object} attributes.tileAttributes  further attributes of a tile
 * @param {number} [attributes.scroll] position to begin with
 * @param {any} [attributes.api]       a ref that gets {scrollTo(id)}
 * @param {(index: number) => void} [attributes.onTop]  called with the place of the first image in the window
 */
export function Grid({ items, isComplete = true, onMore = () => {}, total = 0, row, below = 0, label, tileAttributes, scroll = 0, api = null, onTop = () => {} }) {
  const list = useRef(/** @type {any} */ (null)), known = useRef(/** @type {any} */ (NOTHING)), position = useRef({ top: 0, time: 0, settle: 0 });
  const [width, setWidth] = useState(0);
  const [range, setRange] = useState([0, 0]);
  const [isFast, setFast] = useState(false);
  const [active, setActive] = useState(-1);   // place of the tile that the Tab key reaches
  const toScroll = useRef(scroll);

  known.current = width ? updateLayout(known.current, { items, isComplete, width, row, below }) : NOTHING;
  const { boxes, layout } = known.current;
  const bottom = layout ? layout.bottom() : 0;
  const height = isComplete || !items.length ? bottom : Math.max(bottom, bottom * Math.max(1, total / items.length));

  const measure = useRef(() => {});
  measure.current = () => {
    if (!list.current?.isConnected) return;
    const now = performance.now(), top = -list.current.getBoundingClientRect().top, last = position.current;
    const speed = Math.abs(top - last.top) / Math.max(1, now - last.time);
    if (last.time && speed > FAST && Math.abs(top - last.top) > innerHeight / 2) {
      setFast(true);
      clearTimeout(last.settle);
      last.settle = setTimeout(() => setFast(false), SETTLE_TIME);
    }
    Object.assign(last, { top, time: now });
    const shown = known.current.boxes;
    const [from, to] = visibleRange(shown, top - OVERSCAN, top + innerHeight + OVERSCAN);
    setRange((old) => (old[0] === from && old[1] === to ? old : [from, to]));
    onTop(visibleRange(shown, top + 150, top + 150)[0]);
    if (!isComplete && known.current.layout && known.current.layout.bottom() - top - innerHeight < PREFETCH) onMore();
  };

  useLayoutEffect(() => {
    const resize = new ResizeObserver(() => setWidth(list.current.clientWidth));
    setWidth(list.current.clientWidth);
    resize.observe(list.current);
    let frame = 0;
    const soon = () => { frame ||= requestAnimationFrame(() => { frame = 0; measure.current(); }); };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon, { passive: true });
    const endMarquee = listenForMarquee(list.current, (area) => select(idsIn(known.current.boxes, area)));
    return () => {
      resize.disconnect();
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      cancelAnimationFrame(frame);
      clearTimeout(position.current.settle);
      endMarquee();
    };
  }, []);

  useLayoutEffect(() => {
    if (toScroll.current && bottom) {
      if (height < toScroll.current + innerHeight / 2 && !isComplete) onMore();
      else { scrollTo({ top: toScroll.current, behavior: "instant" }); toScroll.current = 0; }
    }
    measure.current();
  });

  const focusTile = (index, action = "open") => {
    const box = known.current.boxes[index];
    if (!box) return;
    const top = list.current.getBoundingClientRect().top + box.y;
    if (top < 150 || top + box.height > innerHeight - 80) scrollBy({ top: top - innerHeight / 3, behavior: "instant" });
    setActive(index);
    measure.current();
    const target = () => list.current?.querySelector(`[data-index="${index}"] [data-action="${action}"]`);
    const there = target();
    if (there) there.focus({ preventScroll: true });
    else requestAnimationFrame(() => target()?.focus({ preventScroll: true }));   // once it is in the document
  };

  // The large view goes from one image of this list to the next.
  useEffect(() => { update({ siblings: items.filter((item) => item.id) }); }, [items]);
  useEffect(() => () => update({ siblings: [] }), []);

  useEffect(() => {
    if (api) {
      api.current = { scrollTo: (index) => {
        const box = known.current.boxes[index];
        if (box) scrollBy({ top: list.current.getBoundingClientRect().top + box.y - 150, behavior: "smooth" });
        else scrollTo({ top: document.body.scrollHeight, behavior: "smooth" });
      } };
    }
  });

  const ask = (action) => { hasToFocus = true; action(); };
  const isNew = useRef(true);
  useEffect(() => {
    if (!isNew.current || !bottom) return;
    isNew.current = false;
    const wasLost = hasToFocus && document.activeElement === document.body;
    hasToFocus = false;
    if (wasLost) focusTile(boxes.findIndex((box) => box.item.id));
  });

  const ids = () => items.filter((item) => item.id).map((item) => item.id);
  const selectAll = useRef(() => {});
  selectAll.current = () => { select(ids()); announce(t("selectedCount", { n: ids().length })); };
  useEffect(() => {   // wherever the focus is: else Ctrl-A would select the texts of the page
    const handle = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "a" || isTyping(event.target)) return;
      if (state.address.open !== null || document.querySelector("dialog[open], :popover-open")) return;
      event.preventDefault();
      selectAll.current();
    };
    document.addEventListener("keydown", handle);
    return () => document.removeEventListener("keydown", handle);
  }, []);
  const handleKey = (event) => {
    const tile = event.target.closest?.("li[data-id]");
    if (!tile || event.altKey) return;
    const index = Number(tile.dataset.index), id = Number(tile.dataset.id);
    if (event.ctrlKey || event.metaKey) return;
    const actions = {
      x: () => toggle(id), X: () => selectRange(id, ids()), "+": () => ask(() => moreLike(id)), "=": () => ask(() => moreLike(id)),
      "-": () => ask(() => lessLike(id)),
    };
    const next = nextTile(known.current.boxes, index, event.key);
    if (!actions[event.key] && next === null) return;
    event.preventDefault();
    if (next !== null) {
      focusTile(next);
      if (event.shiftKey) selectRange(known.current.boxes[next].item.id, ids());
    } else actions[event.key]();
  };

  /** Ctrl or Shift with a click selects; so does every click while images are selected on a phone. */
  const handleClick = (event) => {
    const tile = event.target.closest?.("li[data-id]");
    const isTick = event.target.closest?.("[data-action=select]");
    if (event.target.closest?.("[data-action=more], [data-action=less]")) hasToFocus = true;
    if (!tile || (!isTick && !event.ctrlKey && !event.metaKey && !event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
    const id = Number(tile.dataset.id);
    if (event.shiftKey) selectRange(id, ids()); else toggle(id);
  };

  const first = boxes.findIndex((box) => box.item.id);
  const tabbable = active >= 0 && boxes[active] ? active : first;
  const shown = boxes.slice(range[0], range[1]).map((box, i) => [range[0] + i, box]);
  if (active >= 0 && boxes[active] && (active < range[0] || active >= range[1])) shown[active < range[0] ? "unshift" : "push"]([active, boxes[active]]);
  return html`<ul class="grid" ref=${list} aria-label=${label} style=${`height:${Math.ceil(height)}px`}
      onkeydown=${handleKey} onclickcapture=${handleClick}
      onfocusin=${(event) => { const li = event.target.closest("li[data-index]"); if (li) setActive(Number(li.dataset.index)); }}>
    ${shown.map(([index, { item, x, y, width: w, height: h }]) => (item.id
      ? html`<${Tile} key=${item.id} item=${item} index=${index} x=${x} y=${y} width=${w} height=${h} below=${below}
          isFetched=${!isFast} isTabbable=${index === tabbable} count=${isComplete ? items.length : -1} ...${tileAttributes(item)} />`
      : html`<li key=${`line ${index}`} class=${item.heading ? "grid-heading" : "divider"} role=${item.heading ? undefined : "presentation"} style=${place(x, y, w, h)}>
          ${item.heading ? html`<h2>${item.heading}</h2>` : html`<span>${item.divider}</span>`}</li>`))}</ul>`;
}

export const place = (x, y, width, height) => `transform:translate(${x}px,${y}px);width:${width}px;height:${height}px`;

/** Return the ids of the boxes that intersect an area. */
function idsIn(boxes, { left, top, right, bottom }) {
  const [from, to] = visibleRange(boxes, top, bottom);
  return boxes.slice(from, to).filter((box) => box.item.id && box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top)
    .map((box) => box.item.id);
}

/** Return the place of the tile to which a key moves the focus, or null. */
export function nextTile(boxes, index, key) {
  const isTile = (i) => boxes[i] && boxes[i].item.id;
  const sideways = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (sideways) {
    let i = index + sideways;
    while (boxes[i] && !isTile(i)) i += sideways;
    return isTile(i) ? i : null;
  }
  if (key === "Home") return boxes.findIndex((box) => box.item.id);
  if (key === "End") return boxes.findLastIndex((box) => box.item.id);
  const vertical = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!vertical || !boxes[index]) return null;
  const from = boxes[index];
  const centre = from.x + from.width / 2;
  let i = index;
  while (boxes[i] && (boxes[i].y === from.y || !isTile(i))) i += vertical;
  if (!boxes[i]) return null;
  const y = boxes[i].y;
  let best = null;
  for (; boxes[i] && boxes[i].y === y; i += vertical) {
    const distance = Math.abs(boxes[i].x + boxes[i].width / 2 - centre);
    if (isTile(i) && (best === null || distance < best.distance)) best = { index: i, distance };
  }
  return best && best.index;
}

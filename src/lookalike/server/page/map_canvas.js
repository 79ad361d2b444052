// @ts-check
// The map itself: a canvas that is moved and zoomed, with names of groups, a card of the image under the pointer, and a lasso.

import { navigate } from "./address.js";
import { get, thumbnail } from "./api.js";
import { folderOf, nameOf, titleOf } from "./format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./html.js";
import { indexPoints, levelsOfShown, mapSize, neighboursOf, setLevels, toMap, toScreen, WHOLE_MAP, zoomAt } from "./map/geometry.js";
import { listenForNavigation } from "./map/navigation.js";
import { createRenderer, FAINT, groupColor, SHOWN } from "./map/renderer.js";
import { formatPolygon, formatViewport, parseViewport } from "./map_address.js";
import { serverThumbnails } from "./map_thumbnails.js";
import { announce, tryOrToast } from "./messages.js";
import { toggle } from "./selection.js";
import { state, update } from "./store.js";
import { Button, debounce } from "./ui.js";
import { t } from "./words.js";

const CLICK_REACH = 22, POINTER_REACH = 14;   // pixels within which a point is meant
const BUTTON_ZOOM = 1.6;
const LABELLED_ZOOM = 5;       // up to which groups are named on the map
const CARD_DELAY = 70;         // milliseconds that the pointer rests on a point before its image is requested
const CARD_WIDTH = 236;        // as in map.css
const NEIGHBOURS = 60;         // images on the map around an opened one that the large view goes through

/**
 * @param {object} attributes
 * @param {any} attributes.layout      response of /api/map
 * @param {any} attributes.groups      response of /api/map/groups
 * @param {Uint8Array | null} attributes.visibility  of each point; null: all are shown
 * @param {ReadonlySet<number>} attributes.selection  ids
 * @param {number[] | null} attributes.polygon  the lasso
 * @param {string} attributes.viewport  of the address
 * @param {boolean} attributes.isOpen   is an image shown large?
 * @param {number | null} attributes.pointed  id of an image that is framed on the map
 * @param {any[]} attributes.labels    {group, x, y, content}: names of groups and where they stand
 * @param {string} attributes.theme    the colours are read again when it changes
 */
export function MapCanvas({ layout, groups, visibility, selection, polygon, viewport, isOpen, pointed, labels, theme }) {
  const canvas = useRef(/** @type {any} */ (null)), chips = useRef(/** @type {any} */ (null)), map = useRef(/** @type {any} */ (null));
  const [isLassoing, setLassoing] = useState(false), lassoing = useRef(false);
  const [card, setCard] = useState(/** @type {any} */ (null));
  lassoing.current = isLassoing;
  const thumbnails = useMemo(() => serverThumbnails(layout.ids), [layout]);
  const view = useRef(/** @type {any} */ ({ viewport: parseViewport(viewport), visibility: null, selected: null, polygon: null, highlighted: -1 })).current;

  useLayoutEffect(() => {
    const points = indexPoints({ ...layout, groups: groups.groups });
    const renderer = createRenderer({ canvas: canvas.current, points, names: groups.names, thumbnails, view, onDrawn: () => placeLabels(chips.current, view, canvas.current) });
    map.current = { points, renderer };
    return () => renderer.close();
  }, [layout, groups]);

  useLayoutEffect(() => {
    const { points } = map.current;
    // Room for thumbnails is shared by the points that are shown.
    setLevels(points, visibility ? levelsOfShown(points, (i) => visibility[i] === SHOWN) : layout.levels);
  }, [layout, groups, visibility]);

  // What a lasso has selected stands out because the rest is faint; what was selected one by one has a ring.
  useLayoutEffect(() => {
    const hasLasso = polygon !== null && selection.size > 0;
    view.visibility = hasLasso ? Uint8Array.from(layout.ids, (id, i) => {
      const own = visibility ? visibility[i] : SHOWN;
      return own === SHOWN && !selection.has(id) ? FAINT : own;
    }) : visibility;
    view.selected = selection.size && !hasLasso ? Uint8Array.from(layout.ids, (id) => Number(selection.has(id))) : null;
    view.polygon = polygon;
    map.current.renderer.requestDraw();
  }, [layout, groups, visibility, selection, polygon, labels, theme]);

  useEffect(() => {
    view.highlighted = pointed === null ? -1 : layout.ids.indexOf(pointed);
    map.current.renderer.requestDraw();
  }, [layout, groups, pointed]);

  useEffect(() => {
    if (viewport === formatViewport(view.viewport)) return;
    view.viewport = parseViewport(viewport);
    map.current.renderer.requestDraw();
  }, [viewport]);

  const size = () => [canvas.current.clientWidth, canvas.current.clientHeight];
  const show = (/** @type {number} */ i) => {
    if (i === view.highlighted) return;
    view.highlighted = i;
    map.current.renderer.requestDraw();
    const { points: { x, y }, renderer } = map.current;
    setCard(i < 0 ? null : { id: layout.ids[i], group: groups.groups[i], at: toScreen(view.viewport, size()[0], size()[1], x[i], y[i]), extent: renderer.extentOf(i) });
  };
  const setViewport = (next) => {
    view.viewport = next;
    show(-1);
    map.current.renderer.requestDraw();
    saveViewport(() => navigate({ viewport: formatViewport(view.viewport) }, { replace: true }));
  };
  const finish = (drawn) => {
    setLassoing(false);
    const [width, height] = size();
    navigate({ lasso: formatPolygon(drawn, 1 / mapSize(view.viewport, width, height)) });
  };
  /** Show an image large, and then those around it. */
  const open = (/** @type {number} */ i) => tryOrToast(async () => {
    const around = neighboursOf(map.current.points, i, NEIGHBOURS, (each) => !visibility || visibility[each] === SHOWN).map((each) => layout.ids[each]);
    const { images } = await get("images", { where: `file.id in (${around.join(", ")})`, k: NEIGHBOURS });
    listed.current ??= state.siblings;
    update({ siblings: images.sort((a, b) => around.indexOf(a.id) - around.indexOf(b.id)) });
    show(-1);
    navigate({ open: layout.ids[i] });
  });
  const listed = useRef(/** @type {any} */ (null));   // what the list beside the map shows
  useEffect(() => { if (!isOpen && listed.current) { update({ siblings: listed.current }); listed.current = null; } }, [isOpen]);
  const middle = () => { const [width, height] = size(); return map.current.renderer.pointAt(width / 2, height / 2, Math.max(width, height)); };

  // Of the present attributes, for listeners that stay.
  const now = useRef(/** @type {any} */ (null));
  now.current = { layout, polygon, show, setViewport, finish, middle, open };
  useEffect(() => {
    listenForNavigation(canvas.current, {
      viewport: () => view.viewport,
      setViewport: (next) => now.current.setViewport(next),
      hover: (x, y, event) => { if (event.pointerType !== "touch" && !lassoing.current) now.current.show(map.current.renderer.pointAt(x, y, POINTER_REACH)); },
      click: (x, y, event) => {
        const i = map.current.renderer.pointAt(x, y, CLICK_REACH);
        if (i < 0 || lassoing.current) return;
        if (event.ctrlKey || event.metaKey || event.shiftKey) toggle(now.current.layout.ids[i]); else now.current.open(i);
      },
      startsPolygon: (event) => lassoing.current || event.shiftKey,
      polygonChanged: (drawn) => { view.polygon = drawn ?? now.current.polygon; now.current.show(-1); map.current.renderer.requestDraw(); },
      polygonFinished: (drawn) => now.current.finish(drawn),
    });
  }, []);

  const zoom = (/** @type {number} */ factor) => { const [width, height] = size(); setViewport(zoomAt(view.viewport, width, height, width / 2, height / 2, factor)); };
  const selectVisible = () => {
    const [width, height] = size();
    const [left, top] = toMap(view.viewport, width, height, 0, 0), [right, bottom] = toMap(view.viewport, width, height, width, height);
    navigate({ lasso: formatPolygon([left, top, right, top, right, bottom, left, bottom]) });
  };
  /** Keys that move the map are heard by `listenForNavigation`; they name the image in the middle. */
  const handleKey = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && (isLassoing || card)) { event.stopPropagation(); setLassoing(false); show(-1); return; }
    if (event.key === "l") { event.preventDefault(); setLassoing(!isLassoing); return; }
    if (/^(Arrow.*|[-+=0]|Home)$/.test(event.key)) { showMiddleSoon(() => now.current.show(now.current.middle())); return; }
    if (event.key !== "Enter" && event.key !== "x") return;
    event.preventDefault();
    const i = middle();
    if (i < 0) return;
    if (event.key === "Enter") open(i); else { toggle(layout.ids[i]); show(i); }
  };
  return html`<div class=${`map-stage${isLassoing ? " lassoing" : ""}${pointed === null ? "" : " pointing"}`}>
    <canvas ref=${canvas} tabindex="0" role="application" aria-label=${t("mapLabel", { n: layout.ids.length })} onkeydown=${handleKey}
      onpointerleave=${() => show(-1)} onblur=${() => show(-1)} />
    <div class="map-labels" ref=${chips} aria-hidden="true">${labels.map((label) => html`<span key=${label.group} data-x=${label.x} data-y=${label.y}
      style=${`--group:${groupColor(label.group, groups.names)}`}>${label.content}</span>`)}</div>
    ${card && html`<${Card} key=${card.id} card=${card} name=${groups.names[card.group] ?? ""} color=${groupColor(card.group, groups.names)} size=${size()} />`}
    <div class="map-tools"><${Button} label=${t("lasso")} icon="lasso" class="lasso" aria-pressed=${String(isLassoing)} title=${t("lassoHelp")} onclick=${() => setLassoing(!isLassoing)} />
      <${Button} label=${t("selectInView")} icon="check" onclick=${selectVisible} /></div>
    <div class="map-zoom"><${Button} bare label=${t("zoomIn")} icon="plus" onclick=${() => zoom(BUTTON_ZOOM)} />
      <${Button} bare label=${t("zoomOut")} icon="minus" onclick=${() => zoom(1 / BUTTON_ZOOM)} />
      <${Button} bare label=${t("showAll")} icon="box" onclick=${() => setViewport({ ...WHOLE_MAP })} /></div></div>`;
}

const saveViewport = debounce(350, (save) => save());
const showMiddleSoon = debounce(250, (action) => action());

/** Move the names of groups to their places; one that would cover another is hidden. */
function placeLabels(list, view, canvas) {
  if (!list) return;
  list.hidden = view.viewport.zoom > LABELLED_ZOOM;
  if (list.hidden) return;
  const width = canvas.clientWidth, height = canvas.clientHeight, taken = [];
  for (const chip of list.children) {
    const [px, py] = toScreen(view.viewport, width, height, Number(chip.dataset.x), Number(chip.dataset.y));
    if (!chip.size?.[0]) chip.size = [chip.offsetWidth, chip.offsetHeight];
    const [w, h] = chip.size;
    const x = Math.max(w / 2 + 4, Math.min(width - w / 2 - 4, px)), y = Math.max(h / 2 + 4, Math.min(height - h / 2 - 4, py));
    const isFree = px > 0 && px < width && py > 0 && py < height && taken.every((one) => Math.abs(one.x - x) > (one.w + w) / 2 || Math.abs(one.y - y) > (one.h + h) / 2);
    if (isFree) taken.push({ x, y, w, h });
    chip.style.transform = `translate(${x - w / 2}px,${y - h / 2}px)`;
    chip.style.visibility = isFree ? "visible" : "hidden";
  }
}

/** What is known of the image under the pointer. */
function Card({ card, name, color, size }) {
  const [image, setImage] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const request = new AbortController();
    const timer = setTimeout(() => get(`images/${card.id}`, {}, { signal: request.signal }).then((found) => {
      setImage(found);
      if (document.activeElement?.matches(".map-stage canvas")) announce([titleOf(found), name].filter(Boolean).join(", "));
    }, () => {}), CARD_DELAY);
    return () => { clearTimeout(timer); request.abort(); };
  }, []);
  const [x, y] = card.at, [width, height] = size;
  const gap = card.extent + 14, left = x + gap + CARD_WIDTH + 8 < width ? x + gap : Math.max(8, x - CARD_WIDTH - gap);
  const place = y < height / 2 ? `top:${Math.max(8, y - 20)}px` : `bottom:${Math.max(8, height - y - 20)}px`;
  const facts = image && [nameOf(image.path) === titleOf(image) ? "" : nameOf(image.path), folderOf(image.path)].filter(Boolean);
  return html`<div class="map-card" style=${`left:${left}px;${place}`} aria-hidden="true">
    <img src=${thumbnail(card.id, 256)} alt="" /><b>${image ? titleOf(image) : "…"}</b>
    ${facts?.map((fact) => html`<span key=${fact} class="muted">${fact}</span>`)}
    ${name && html`<span class="group"><i class="dot" style=${`background:${color}`} />${name}</span>`}</div>`;
}

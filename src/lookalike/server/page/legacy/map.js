// The map screen: similar images are close together. A lasso selects images and lists them.

import { get, thumbnail } from "../api.js";
import { navigate, state } from "../address.js";
import { announce, button, debounce, el, fill, loadingMessage } from "./dom.js";
import { count, counted } from "../format.js";
import { createGrid } from "./grid.js";
import { cancelJob, timeLeft } from "../jobs.js";
import { availableSpaces, libraryInfo } from "../library_info.js";
import { enclosedPoints, indexPoints, toMap, WHOLE_MAP, zoomAt } from "../map/geometry.js";
import { listenForNavigation } from "../map/navigation.js";
import { createRenderer, FAINT, GROUP_COLORS, groupColor, SHOWN } from "../map/renderer.js";
import { formatPolygon, formatViewport, parsePolygon, parseViewport } from "../map_address.js";
import { serverThumbnails } from "../map_thumbnails.js";
import { createTile } from "./tile.js";
import { errorMessage } from "./toasts.js";
import { t } from "../words.js";

const PAGE_SIZE = 60;
const RETRY_INTERVAL = 1500;     // milliseconds until a map that is being computed is requested again
const MAX_QUERY_IMAGES = 8;      // of a selection that are searched with
const CLICK_REACH = 22;          // pixels within which a click opens the image of a point
const BUTTON_ZOOM = 1.6;
const NOT_COLORS = ["id", "path", "name", "outcome", "caption", "folder"];   // fields with a value for each image

let container = null, key = "", grid = null, isLassoing = false;
let layout = null, layoutKey = "";   // places of the images; colors are loaded apart from them
let drawn = null;                    // the polygon as it was drawn; the address has a simpler one
let map = null;   // {canvas, ids, points, view, renderer, setViewport} of the map that is shown

function mapParams() {
  const { extractors: [extractor], method, color } = state;
  return { ...(extractor ? { extractor } : {}), ...(method ? { method } : {}), ...(color ? { color } : {}) };
}

/** Show the screen; load the map if another one is requested. */
export function showMap(content, { isNew }) {
  container = content;
  if (isNew) { buildScreen(); key = ""; map = null; }
  fill(container.querySelector(".map-options"), mapOptions());
  const newKey = JSON.stringify(mapParams());
  if (newKey !== key) { key = newKey; loadMap(key); return; }
  if (map) { map.view.viewport = parseViewport(state.viewport); showSelection(); }
}

function buildScreen() {
  isLassoing = false;
  fill(container, el("div", { class: "map" },
    el("header", { class: "map-head" }, el("h1", {}, "Map"), el("div", { class: "map-options" }), el("p", { class: "muted counts" })),
    el("div", { class: "map-canvas" }), el("ul", { class: "legend muted", "aria-label": "Colours" }),
    el("section", { class: "selection", "aria-label": "Selected images" })));
}

function mapOptions() {
  const spaces = availableSpaces().map(({ name }) => name);
  const fields = libraryInfo.fields.filter((field) => field.images && !field.name.startsWith("file.")
    && ["text", "number", "date"].includes(field.kind)
    && !NOT_COLORS.includes(field.name)).map((field) => field.name);
  const option = (label, options, chosen, set) => el("label", { class: "option" }, el("span", {}, label),
    el("select", { onchange: (event) => set(event.target.value) },
      options.map(([value, name]) => el("option", { value, selected: value === chosen }, name))));
  return [
    spaces.length > 1 ? option("Similar by", spaces.map((name) => [name, name]), state.extractors[0] ?? spaces[0],
      (name) => navigate({ extractors: [name], viewport: "", lasso: "" })) : null,
    option("Colours", [["", "clusters"], ["folder", "folders"], ...fields.map((name) => [name, name])],
      state.color, (color) => navigate({ color })),
  ];
}

/** Show the legend, whose entries hide their images, and how well the layout preserves the nearest neighbours. */
function showLegend({ names, preservation, ids, total, groups, typical }) {
  const swatch = (group) => { const node = el("i", { class: "dot" }); node.style.background = groupColor(group, names); return node; };
  const hidden = new Set();
  const toggle = (group, node) => {
    if (!hidden.delete(group)) hidden.add(group);
    node.setAttribute("aria-pressed", String(!hidden.has(group)));
    map.view.visibility = hidden.size ? Uint8Array.from(groups, (one) => (hidden.has(one) ? FAINT : SHOWN)) : null;
    map.renderer.requestDraw();
  };
  fill(container.querySelector(".legend"), names.slice(0, GROUP_COLORS.length).map((name, group) => {
    const node = el("button", { type: "button", "aria-pressed": "true", class: "legend-entry", onclick: () => toggle(group, node) }, swatch(group),
      /^cluster \d+$/.test(name) ? (typical?.[group] ?? []).map((id) => el("img", { src: thumbnail(id, 64), alt: "", width: 26, height: 26 })) : null, name);
    return el("li", {}, node);
  }));
  const overlap = preservation?.overlap;
  const countText = total > ids.length ? `${count(ids.length)} of ${counted(total, "image")}` : counted(ids.length, "image");
  const overlapText = typeof overlap === "number"
    ? ` · ${Math.round(overlap * 100)} % of the ${preservation.neighbours} nearest neighbours preserved` : "";
  fill(container.querySelector(".counts"), countText + overlapText);
}

async function loadMap(requested) {
  const area = container.querySelector(".map-canvas");
  const isCurrent = () => key === requested && state.page === "map";
  const { color: _, ...layoutParams } = mapParams(), wanted = JSON.stringify(layoutParams);
  const isNewLayout = wanted !== layoutKey || !layout;
  if (isNewLayout) fill(area, loadingMessage("Computing the map…", "The first time takes minutes in a large library. It is kept."));
  try {
    const found = isNewLayout ? await get("map", layoutParams) : layout;
    if (!isCurrent()) return;
    if (found.running) { fill(area, progressOf(found)); setTimeout(() => { if (isCurrent()) loadMap(requested); }, RETRY_INTERVAL); return; }
    const groups = await get("map/groups", mapParams());
    if (!isCurrent()) return;
    // The library may have changed in between.
    if (groups.groups?.length !== found.ids.length) { layout = null; if (isNewLayout) throw new Error("the map has changed"); loadMap(requested); return; }
    layout = found;
    layoutKey = wanted;
    createMap(area, { ...layout, ...groups });
    showLegend({ ...layout, ...groups });
  } catch (error) {
    if (key === requested) fill(area, errorMessage(error, () => loadMap(requested)));
  }
}

/** The progress of the job that computes the map, the time left, and a button that cancels it. */
function progressOf(job) {
  const message = loadingMessage("Computing the map…", job.total
    ? [t("doneOf", { done: job.done, total: job.total }), timeLeft(job.seconds_left)].filter(Boolean).join(" · ")
    : "The first time takes minutes in a large library. It is kept.");
  const bar = message.querySelector("progress");
  if (bar && job.total) Object.assign(bar, { max: job.total, value: job.done });
  if (job.id) message.append(button(t("cancel"), null, () => cancelJob(job)));
  return message;
}

function createMap(area, response) {
  const { ids, names } = response;
  if (!ids.length) { fill(area, el("p", { class: "empty" }, "There are no images to lay out.")); return; }
  const canvas = el("canvas", { tabindex: "0", role: "application",
    "aria-label": `Map of ${counted(ids.length, "image")}. Arrow keys move it, plus and minus zoom. `
      + '"List what is in view" shows its images as a list.' });
  fill(area, canvas, mapButtons());
  const points = indexPoints(response);
  const view = { viewport: parseViewport(state.viewport), visibility: null, polygon: null, highlighted: -1 };
  const renderer = createRenderer({ canvas, points, names, thumbnails: serverThumbnails(ids), view });
  const saveViewport = debounce(350, () => navigate({ viewport: formatViewport(view.viewport) }, { replace: true }));
  const setViewport = (viewport) => { view.viewport = viewport; renderer.requestDraw(); saveViewport(); };
  map = { canvas, ids, points, view, renderer, setViewport };
  listenForNavigation(canvas, {
    viewport: () => view.viewport, setViewport, hover() {},
    click: (x, y) => { const i = renderer.pointAt(x, y, CLICK_REACH); if (i >= 0) navigate({ open: ids[i] }); },
    startsPolygon: (event) => isLassoing || event.shiftKey,
    polygonChanged: (polygon) => { view.polygon = polygon; renderer.requestDraw(); },
    polygonFinished: (polygon) => { setLassoing(false); drawn = polygon; navigate({ lasso: formatPolygon(polygon) }); },
  });
  showSelection();
}

function setLassoing(on) {
  isLassoing = on;
  container.querySelector(".lasso")?.setAttribute("aria-pressed", String(on));
  container.querySelector(".map-canvas").classList.toggle("lassoing", on);
}

function mapButtons() {
  const size = () => [map.canvas.clientWidth, map.canvas.clientHeight];
  const zoom = (factor) => {
    const [width, height] = size();
    map.setViewport(zoomAt(map.view.viewport, width, height, width / 2, height / 2, factor));
  };
  const selectVisible = () => {
    const [width, height] = size();
    const [left, top] = toMap(map.view.viewport, width, height, 0, 0);
    const [right, bottom] = toMap(map.view.viewport, width, height, width, height);
    navigate({ lasso: formatPolygon([left, top, right, top, right, bottom, left, bottom]) });
  };
  return el("div", { class: "map-buttons" },
    button("Lasso", "lasso", () => setLassoing(!isLassoing),
      { class: "lasso", "aria-pressed": "false", title: "Draw a line around images; or hold Shift and drag" }),
    button("List what is in view", null, selectVisible),
    el("span", { class: "zoom-buttons" },
      button("Zoom in", "plus", () => zoom(BUTTON_ZOOM), { bare: true }),
      button("Zoom out", "minus", () => zoom(1 / BUTTON_ZOOM), { bare: true }),
      button("Show all", "box", () => map.setViewport({ ...WHOLE_MAP }), { bare: true })));
}

/** Show which images the lasso of the state encloses, on the map and as a list. */
function showSelection() {
  const polygon = drawn && formatPolygon(drawn) === state.lasso ? drawn : parsePolygon(state.lasso);
  const selected = polygon ? enclosedPoints(map.points, polygon) : [];
  map.view.polygon = polygon;
  map.view.visibility = polygon ? new Uint8Array(map.points.count).fill(FAINT) : null;
  for (const i of selected) map.view.visibility[i] = SHOWN;
  map.renderer.requestDraw();
  const section = container.querySelector(".selection");
  if (section.dataset.lasso === state.lasso) return;
  section.dataset.lasso = state.lasso;
  grid?.close();
  grid = null;
  if (!polygon) { fill(section); return; }
  const ids = selected.map((i) => map.ids[i]);
  announce(`${counted(ids.length, "image")} selected.`);
  fill(section, el("div", { class: "selection-head" }, el("h2", {}, `${counted(ids.length, "image")} selected`),
    ids.length ?
      button(ids.length > MAX_QUERY_IMAGES ? `More like these (${MAX_QUERY_IMAGES} of them)` : "More like these", "search",
      () => searchWith(ids), { class: "main" }) : null,
    button("Clear the selection", "close", () => navigate({ lasso: "" }))));
  if (ids.length) showList(section, ids);
}

/** Search with an evenly spaced sample of a selection. */
function searchWith(ids) {
  const step = Math.max(1, ids.length / MAX_QUERY_IMAGES);
  const sample = Array.from({ length: Math.min(ids.length, MAX_QUERY_IMAGES) }, (_, i) => ids[Math.floor(i * step)]);
  navigate({ page: "search", viewport: "", lasso: "", region: null,
    terms: sample.map((id) => ({ kind: "image", value: String(id), weight: 1 })) });
}

function showList(section, ids) {
  let offset = 0;
  const loadMore = async () => {
    const pageIds = ids.slice(offset, offset + PAGE_SIZE);
    try {
      const page = await get("images", { where: `file.id in (${pageIds.join(", ")})`, k: PAGE_SIZE });
      offset += pageIds.length;
      newGrid.append(page.images, offset >= ids.length);
    } catch (error) {
      section.append(errorMessage(error, (message) => { message.remove(); loadMore(); }));
    }
  };
  const newGrid = createGrid({
    label: `${count(ids.length)} selected images`,
    drawTile: (item, box) => createTile(item, box, state),
    drawHeading: () => null,
    loadMore,
  });
  grid = newGrid;
  section.append(newGrid.element);
  loadMore();
}

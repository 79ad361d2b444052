// The exported map: reads the data of the file, and adds the tooltip, the legend and the search in paths.

import { indexPoints, toScreen, WHOLE_MAP, zoomAt } from "./geometry.js";
import { createRenderer, FAINT, groupColor, HIDDEN, SHOWN } from "./renderer.js";
import { listenForNavigation } from "./navigation.js";
import { decodeBase64, spriteThumbnails } from "./sprites.js";

const POINTER_REACH = 14;     // pixels within which the pointer selects a point
const TOOLTIP_SCALE = 3;      // of the thumbnail in the tooltip
const BUTTON_ZOOM = 1.6;

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const positions = new Uint16Array(decodeBase64(data.positions).buffer);   // x, y, x, y, … in 1/65535
const points = indexPoints({
  x: Float64Array.from({ length: data.paths.length }, (_, i) => positions[2 * i] / 65535),
  y: Float64Array.from({ length: data.paths.length }, (_, i) => positions[2 * i + 1] / 65535),
  groups: new Int16Array(decodeBase64(data.groups).buffer),
  levels: decodeBase64(data.levels),
});
const thumbnails = spriteThumbnails({
  slots: new Int32Array(decodeBase64(data.slots).buffer), sizes: decodeBase64(data.sizes), side: data.side, across: data.across,
});
const canvas = byId("map"), tooltip = byId("tooltip"), preview = byId("preview");
const view = { viewport: { ...WHOLE_MAP }, visibility: null, polygon: null, highlighted: -1 };
const renderer = createRenderer({ canvas, points, names: data.names, thumbnails, view });

function setViewport(viewport) {
  view.viewport = viewport;
  renderer.requestDraw();
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  setViewport(zoomAt(view.viewport, canvas.clientWidth, canvas.clientHeight, x, y, factor));
}

// ---- the tooltip of an image

const groupName = (group) => (group < 0 ? `no ${data.color}` : data.names[group]);

function showTooltip(i, x, y) {
  if (i !== view.highlighted) { view.highlighted = i; renderer.requestDraw(); }
  tooltip.hidden = i < 0;
  if (i < 0) return;
  const thumbnail = thumbnails.get(i);
  preview.hidden = !thumbnail;
  if (thumbnail) {
    preview.width = thumbnail.width * TOOLTIP_SCALE;
    preview.height = thumbnail.height * TOOLTIP_SCALE;
    preview.getContext("2d").drawImage(thumbnail.image, thumbnail.x, thumbnail.y, thumbnail.width, thumbnail.height,
      0, 0, preview.width, preview.height);
  } else {
    thumbnails.load([i], () => { if (view.highlighted === i) showTooltip(i, x, y); });
  }
  tooltip.querySelector("b").textContent = data.paths[i];
  tooltip.querySelector("span").textContent = groupName(points.groups[i]);
  const box = tooltip.getBoundingClientRect();
  tooltip.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - box.width - 8))}px`;
  tooltip.style.top = `${Math.max(8, y + 16 + box.height > innerHeight ? y - box.height - 16 : y + 16)}px`;
}

const showTooltipAt = (x, y) => showTooltip(renderer.pointAt(x, y, POINTER_REACH), x, y);

function announceMiddle() {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const i = renderer.pointAt(width / 2, height / 2, Math.max(width, height));
  if (i >= 0) showTooltip(i, ...toScreen(view.viewport, width, height, points.x[i], points.y[i]));
  byId("announcement").textContent = i < 0 ? "No image here" : `${data.paths[i]}, ${groupName(points.groups[i])}`;
}

listenForNavigation(canvas, {
  viewport: () => view.viewport, setViewport, hover: showTooltipAt, click: showTooltipAt,
  startsPolygon: () => false, polygonChanged() {}, polygonFinished() {},
});
canvas.addEventListener("pointerleave", () => showTooltip(-1));
canvas.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));
canvas.addEventListener("keydown", (event) => {
  if (event.key === "Enter") announceMiddle();
  else if (event.key === "Escape") showTooltip(-1);
  else return;
  event.preventDefault();
});

// ---- legend and search

const hiddenGroups = new Set();
const lowerPaths = data.paths.map((path) => path.toLowerCase());
let searchText = "";

function updateVisibility() {
  const visible = (i) => (hiddenGroups.has(points.groups[i]) ? HIDDEN : lowerPaths[i].includes(searchText) ? SHOWN : FAINT);
  view.visibility = hiddenGroups.size || searchText ? Uint8Array.from(lowerPaths, (_, i) => visible(i)) : null;
  renderer.requestDraw();
}

function legendEntry(group, count) {
  const button = document.createElement("button");
  const swatch = document.createElement("i"), name = document.createElement("span"), number = document.createElement("small");
  button.type = "button";
  swatch.style.background = groupColor(group, data.names);
  name.textContent = name.title = groupName(group);
  number.textContent = count.toLocaleString("en");
  button.append(swatch, name, number);
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    const shown = hiddenGroups.delete(group);
    if (!shown) hiddenGroups.add(group);
    button.setAttribute("aria-pressed", String(shown));
    updateVisibility();
  });
  return button;
}

function fillLegend() {
  const counts = new Map();
  for (const group of points.groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  const groups = [...data.names.keys(), -1].filter((group) => counts.has(group));
  byId("legend").append(...groups.map((group) => legendEntry(group, counts.get(group))));
}

byId("find").addEventListener("input", (event) => {
  searchText = event.target.value.trim().toLowerCase();
  const found = lowerPaths.filter((path) => path.includes(searchText)).length;
  byId("found").textContent = searchText ? `${found.toLocaleString("en")} found` : "";
  updateVisibility();
});

byId("theme").addEventListener("click", () => {
  const { dataset } = document.documentElement;
  const dark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = dark ? "light" : "dark";
  renderer.requestDraw();
});
byId("zoom-in").addEventListener("click", () => zoom(BUTTON_ZOOM));
byId("zoom-out").addEventListener("click", () => zoom(1 / BUTTON_ZOOM));
byId("show-all").addEventListener("click", () => setViewport({ ...WHOLE_MAP }));
byId("summary").textContent = data.summary;
fillLegend();
renderer.draw();

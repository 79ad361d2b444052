// @ts-check
// Asking without an image: colours on a coarse canvas, which is sent as the query image.

import { navigate } from "./address.js";
import { upload } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { availableSpaces } from "./library_info.js";
import { tryOrToast } from "./messages.js";
import { Button, debounce } from "./ui.js";
import { t } from "./words.js";

const COLORS = ["#c62828", "#ef7d22", "#f2c32e", "#7cb342", "#2e7d32", "#26a69a", "#64b5f6", "#1e56c4", "#6a3fa8", "#e391b5",
  "#8d5a3b", "#e6d3b1", "#ffffff", "#9e9e9e", "#212121"];
const COLUMNS = 8, ROWS = 6, CELL = 40;   // of the canvas; cells in pixels of the image that is sent
const SEARCH_DELAY = 350;                  // milliseconds without painting until the colours are searched

/** Fill the cells that are not painted with the colour of the nearest one that is. */
export function filledCells(painted) {
  const known = painted.map((color, i) => ({ color, x: i % COLUMNS, y: Math.floor(i / COLUMNS) })).filter((cell) => cell.color);
  return painted.map((color, i) => {
    if (color || !known.length) return color;
    const x = i % COLUMNS, y = Math.floor(i / COLUMNS);
    return known.reduce((best, cell) => (Math.hypot(cell.x - x, cell.y - y) < Math.hypot(best.x - x, best.y - y) ? cell : best)).color;
  });
}

async function imageOf(cells) {
  const canvas = new OffscreenCanvas(COLUMNS * CELL, ROWS * CELL);
  const context = /** @type {any} */ (canvas.getContext("2d"));
  cells.forEach((color, i) => { context.fillStyle = color; context.fillRect((i % COLUMNS) * CELL, Math.floor(i / COLUMNS) * CELL, CELL, CELL); });
  return new File([await canvas.convertToBlob({ type: "image/png" })], "colors.png", { type: "image/png" });
}

/** One colour is compared as a colour; several also by where they are. */
function extractorsFor(cells) {
  const spaces = availableSpaces().map((space) => space.name);
  const color = spaces.find((name) => /^(color|hsv|histogram)/.test(name));
  if (!color) return [];
  const standard = spaces[0];
  return new Set(cells).size > 1 && standard !== color ? [standard, color] : [color];
}

/** Search the colours; the first time with a new entry in the history. */
const searchSoon = debounce(SEARCH_DELAY, async (cells, hasSearched) => {
  const found = await tryOrToast(async () => upload(await imageOf(cells)));
  if (!found) return;
  const replace = hasSearched.current;
  hasSearched.current = true;
  navigate({ page: "search", open: null, region: null, extractors: extractorsFor(cells), terms: [{ kind: "upload", value: found.upload, weight: 1 }] }, { replace });
});

/** The menu with the colours and the canvas. */
export function Colors() {
  const [cells, setCells] = useState(/** @type {string[]} */ (Array(COLUMNS * ROWS).fill("")));
  const [color, setColor] = useState(COLORS[0]);
  const hasSearched = useRef(false), grid = useRef(/** @type {any} */ (null));
  const shown = filledCells(cells);
  const isEmpty = !cells.some(Boolean);
  useEffect(() => {
    if (!isEmpty) searchSoon(shown, hasSearched);
  }, [cells]);
  const paint = (index, one = color) => setCells((old) => old.map((each, i) => (i === index ? one : each)));
  /** The first colour fills the canvas; later ones are painted. */
  const choose = (one) => {
    setColor(one);
    if (isEmpty) setCells(Array(COLUMNS * ROWS).fill("").map((_, i) => (i === Math.floor(COLUMNS * (ROWS + 1) / 2) ? one : "")));
  };
  const cellAt = (event) => {
    const { left, top, width, height } = grid.current.getBoundingClientRect();
    const x = Math.floor(((event.clientX - left) / width) * COLUMNS), y = Math.floor(((event.clientY - top) / height) * ROWS);
    return x >= 0 && y >= 0 && x < COLUMNS && y < ROWS ? y * COLUMNS + x : -1;
  };
  const drag = (event) => { if (event.buttons) { const cell = cellAt(event); if (cell >= 0 && cells[cell] !== color) paint(cell); } };
  return html`<p class="muted small">${t("colorsHelp")}</p>
    <div class="palette" role="group" aria-label=${t("colors")}>${COLORS.map((one) => html`<button type="button" key=${one} aria-pressed=${String(one === color)} aria-label=${one} title=${one}
      style=${`background:${one}`} onclick=${() => choose(one)} />`)}
      <label class="own-color" title=${t("ownColor")}><span class="visually-hidden">${t("ownColor")}</span><input type="color" value=${color} onchange=${(event) => choose(event.target.value)} /></label></div>
    <div class="sketch" ref=${grid} onpointerdown=${(event) => { event.target.releasePointerCapture?.(event.pointerId); drag(event); }} onpointermove=${drag}>${shown.map((one, i) => html`
      <button type="button" key=${i} aria-label=${t("cell", { row: Math.floor(i / COLUMNS) + 1, column: i % COLUMNS + 1 })} tabindex=${i ? -1 : 0} style=${one ? `background:${one}` : ""}
        onclick=${() => paint(i)} onkeydown=${(event) => moveFocus(event, i)} />`)}</div>
    <p><${Button} label=${t("clearCanvas")} icon="close" class="quiet-text" onclick=${() => setCells(Array(COLUMNS * ROWS).fill(""))} /></p>`;
}

function moveFocus(event, i) {
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
  if (!by) return;
  event.preventDefault();
  event.target.parentElement.children[i + by]?.focus();
}

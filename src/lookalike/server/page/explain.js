// Why an image matched: the regions of both images that contributed most, and a check of whether they mattered.

import { get, termImage, thumbnail } from "./api.js";
import { button, el, fill } from "./dom.js";
import { similarity } from "./format.js";
import { errorMessage } from "./toasts.js";

const MAX_MATCHES = 6;            // lines between the images, strongest first
const HEATMAP_SIZE = 360;         // width of the canvas, in pixels
const SHADE_ALPHA = 0.72;         // of regions that did not contribute
const MARK_COLOR = "#ffcf5c";

/** Create a section with a button that explains a match, because that may take a second. */
export function explanationSection(term, hit, extractor) {
  const container = el("div", { class: "explanation" });
  const load = async () => {
    fill(container, el("p", { class: "muted", role: "status" }, "Comparing the two images…"));
    try {
      const explanation = await get("explain", { query: term.value, hit, ...(extractor ? { extractor } : {}) });
      fill(container, explanationParts(explanation, [termImage(term, 512), thumbnail(hit, 512)]));
    } catch (error) {
      fill(container, errorMessage(error, load));
    }
  };
  fill(container, button("Why did it match?", null, load));
  return el("section", {}, container);
}

function explanationParts(explanation, sources) {
  const images = explanation.images ?? [];
  const pair = el("div", { class: "pair" }, images.map((image, i) => heatmapFigure(sources[i], image, i ? "The hit" : "The query")));
  drawMatches(pair, explanation.matches ?? [], images);
  return [
    el("h3", {}, "Why it matched"),
    pair,
    el("p", { class: "muted" }, `${explanation.extractor}: ${explanation.method}.`),
    shareBars(explanation.shares ?? {}),
    colorSwatches(explanation.colours ?? []),
    explanation.faithfulness ? faithfulnessText(explanation.faithfulness) : null,
  ];
}

/** Create an image with its heatmap over it: what did not contribute is shaded. */
function heatmapFigure(source, { frame, heatmap, marked }, label) {
  const image = el("img", { src: source, alt: label });
  const canvas = el("canvas", { "aria-hidden": "true" });
  image.addEventListener("load", () => drawHeatmap(canvas, image, frame, heatmap, marked), { once: true });
  return el("figure", { class: "heatmap" }, image, canvas);
}

function drawHeatmap(canvas, image, [x, y, width, height], heatmap, marked) {
  canvas.width = HEATMAP_SIZE;
  canvas.height = Math.round((HEATMAP_SIZE * image.naturalHeight) / image.naturalWidth);
  const context = canvas.getContext("2d");
  const rows = heatmap.length, columns = heatmap[0]?.length ?? 0;
  const highest = Math.max(1e-9, ...heatmap.flat());
  // One pixel for each cell; enlarging them with smoothing interpolates between the cells.
  const cells = new OffscreenCanvas(columns, rows);
  const cellContext = cells.getContext("2d");
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const share = Math.max(0, heatmap[row][column]) / highest;
      cellContext.fillStyle = `rgb(12 14 16 / ${SHADE_ALPHA * (1 - share)})`;
      cellContext.fillRect(column, row, 1, 1);
    }
  }
  const [left, top, w, h] = [x * canvas.width, y * canvas.height, width * canvas.width, height * canvas.height];
  context.fillStyle = `rgb(12 14 16 / ${SHADE_ALPHA})`;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.clearRect(left, top, w, h);
  context.imageSmoothingQuality = "high";
  context.drawImage(cells, left, top, w, h);
  drawOutline(context, marked ?? [], left, top, w, h);
}

/** Draw an outline around the marked cells. */
function drawOutline(context, marked, left, top, width, height) {
  const rows = marked.length, columns = marked[0]?.length ?? 0;
  const isMarked = (row, column) => Boolean(marked[row]?.[column]);
  const [cellWidth, cellHeight] = [width / columns, height / rows];
  const line = (ax, ay, bx, by) => { context.moveTo(ax, ay); context.lineTo(bx, by); };
  context.beginPath();
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (!isMarked(row, column)) continue;
      const [x, y] = [left + column * cellWidth, top + row * cellHeight];
      if (!isMarked(row - 1, column)) line(x, y, x + cellWidth, y);
      if (!isMarked(row + 1, column)) line(x, y + cellHeight, x + cellWidth, y + cellHeight);
      if (!isMarked(row, column - 1)) line(x, y, x, y + cellHeight);
      if (!isMarked(row, column + 1)) line(x + cellWidth, y, x + cellWidth, y + cellHeight);
    }
  }
  context.strokeStyle = MARK_COLOR;
  context.lineWidth = 2.5;
  context.stroke();
}

/** Draw lines between matching regions over both images. */
function drawMatches(pair, matches, images) {
  const strongest = matches.slice(0, MAX_MATCHES);
  if (!strongest.length || images.length < 2) return;
  const canvas = el("canvas", { class: "match-lines", "aria-hidden": "true" });
  pair.append(canvas);
  const draw = () => {
    const area = pair.getBoundingClientRect();
    const elements = [...pair.querySelectorAll("img")];
    if (!area.width || elements.some((element) => !element.naturalWidth)) return;
    const boxes = elements.map((element) => element.getBoundingClientRect());
    canvas.width = area.width * devicePixelRatio;
    canvas.height = area.height * devicePixelRatio;
    const context = canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    const centre = (region, i) => {
      const [frameX, frameY, frameWidth, frameHeight] = images[i].frame;
      const x = frameX + frameWidth * (region[0] + region[2] / 2), y = frameY + frameHeight * (region[1] + region[3] / 2);
      return [boxes[i].left - area.left + x * boxes[i].width, boxes[i].top - area.top + y * boxes[i].height];
    };
    for (const match of strongest) drawMatch(context, centre(match.first, 0), centre(match.second, 1), match.strength);
  };
  new ResizeObserver(draw).observe(pair);
  for (const element of pair.querySelectorAll("img")) element.addEventListener("load", draw);
}

function drawMatch(context, from, to, strength) {
  context.strokeStyle = `rgb(255 207 92 / ${0.25 + 0.65 * strength})`;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  context.fillStyle = MARK_COLOR;
  for (const [x, y] of [from, to]) { context.beginPath(); context.arc(x, y, 2.5, 0, 2 * Math.PI); context.fill(); }
}

function shareBars(shares) {
  const names = Object.keys(shares);
  if (!names.length) return null;
  const highest = Math.max(...Object.values(shares).map(Math.abs), 1e-9);
  return el("dl", { class: "shares" }, names.map((name) => {
    const bar = el("i");
    bar.style.width = `${(100 * Math.max(0, shares[name])) / highest}%`;
    return el("div", {}, el("dt", {}, name), el("dd", {}, el("span", { class: "share-bar" }, bar), similarity(shares[name])));
  }));
}

function colorSwatches(colors) {
  if (!colors.length) return null;
  return el("ul", { class: "swatches", "aria-label": "Colours that both images have" }, colors.map(({ rgb, first, second }) => {
    const swatch = el("i");
    swatch.style.background = `rgb(${rgb.join(" ")})`;
    return el("li", { title: `${Math.round(first * 100)} % of the query, ${Math.round(second * 100)} % of the hit` }, swatch);
  }));
}

/** Describe what happens to the similarity when the marked regions are covered. */
function faithfulnessText({ faithful, marked_drop: markedDrop, other_drop: otherDrop, win_rate: winRate, trials }) {
  const drops =
    `Covering the outlined regions lowers the similarity by ${similarity(markedDrop)}`
    + `, covering as much elsewhere by ${similarity(otherDrop)}`;
  const conclusion = faithful ? `; they mattered more than ${Math.round(winRate * trials)} of ${trials} other regions.`
    : "; so do not trust this outline.";
  return el("p", { class: "muted" }, drops + conclusion);
}

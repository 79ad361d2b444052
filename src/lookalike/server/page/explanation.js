// @ts-check
// Why an image matched: the regions of both images that contributed most, and a check of whether they mattered.

import { get, sizeOf, termImage, thumbnail } from "./api.js";
import { similarity } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { availableSpaces } from "./library_info.js";
import { Button, ErrorMessage } from "./ui.js";
import { fromServer, loadServerSentences, t } from "./words.js";

const MAX_MATCHES = 6;            // lines between the images, strongest first
const HEATMAP_SIZE = 360;         // width of the canvas, in pixels
const SHADE_ALPHA = 0.72;         // of regions that did not contribute
const MARK_COLOR = "#ffcf5c";
const CLEAR_WIN_RATE = 0.8;       // of random regions that the outlined one must beat for a verdict

/** A section that explains a match on request, because that may take a second; by any extractor of the library. */
export function Explanation({ term, hit, extractor, size = null }) {
  const [chosen, setChosen] = useState(/** @type {string | null} */ (null));
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const load = async (name) => {
    setChosen(name);
    setError(null);
    try {
      await loadServerSentences();
      setFound(await get("explain", { query: term.value, hit, ...(name ? { extractor: name } : {}) }));
    } catch (failure) { setError(failure); }
  };
  if (chosen === null) return html`<section><${Button} label=${t("whyMatch")} icon="info" onclick=${() => load(extractor)} /></section>`;
  const names = availableSpaces().map((space) => space.name);
  return html`<section class="explanation" aria-busy=${!found && !error ? "true" : undefined}><h3>${t("whyMatched")}</h3>
    ${names.length > 1 && html`<div class="values" role="group" aria-label=${t("similarBy")}>${names.map((name) => html`<button type="button" key=${name} class="value"
      aria-pressed=${String(name === (found?.extractor ?? chosen))} onclick=${() => load(name)}>${name}</button>`)}</div>`}
    ${error ? html`<${ErrorMessage} error=${error} retry=${() => load(chosen)} />`
      : found ? html`<${Parts} key=${found.extractor} explanation=${found} sources=${[termImage(term, 512), thumbnail(hit, 512)]} sizes=${[sizeOf(term), size]} />`
        : html`<p class="muted" role="status">${t("comparingPair")}</p>`}</section>`;
}

function Parts({ explanation, sources, sizes }) {
  const { images = [], matches = [], shares = {}, colours = [], faithfulness } = explanation;
  const pair = useRef(/** @type {any} */ (null));
  useEffect(() => listenForMatches(pair.current, matches, images), []);
  const hasMatches = matches.length > 0 && images.length > 1;
  return html`<div class="pair" ref=${pair}>
      ${images.map((image, i) => html`<${Heatmap} key=${i} source=${sources[i]} size=${sizes[i]} image=${image} label=${t(i ? "theHit" : "theQuery")} />`)}
      ${hasMatches && html`<canvas class="match-lines" aria-hidden="true" />`}</div>
    <ul class="figure-legend muted">
      <li><i class="clear" />${t("legendClear")}</li><li><i class="shaded" />${t("legendShaded")}</li>
      ${images.some((image) => image.marked?.length) && html`<li><i class="outlined" />${t("legendOutlined")}</li>`}
      ${hasMatches && html`<li><i class="line" />${t("legendLines")}</li>`}</ul>
    <p class="muted">${explanation.extractor}: ${fromServer(explanation.method)}.</p>
    <${Shares} shares=${shares} />
    ${colours.length > 0 && html`<ul class="swatches" aria-label=${t("sharedColors")}>${colours.map(({ rgb, first, second }, i) => html`
      <li key=${i} title=${t("colorShares", { first: Math.round(first * 100), second: Math.round(second * 100) })}><i style=${`background:rgb(${rgb.join(" ")})`} /></li>`)}</ul>`}
    ${faithfulness && html`<p class="muted">${faithfulnessText(faithfulness)}</p>`}`;
}

/** An image with its heatmap over it: what did not contribute is shaded. */
function Heatmap({ source, image, label, size }) {
  const canvas = useRef(/** @type {any} */ (null));
  return html`<figure class="heatmap" style=${size ? `aspect-ratio:${size[0] / size[1]}` : ""}><img src=${source} alt=${label} onload=${(event) => drawHeatmap(canvas.current, event.target, image)} /><canvas ref=${canvas} aria-hidden="true" /><figcaption>${label}</figcaption></figure>`;
}

function drawHeatmap(canvas, image, { frame: [x, y, width, height], heatmap, marked }) {
  canvas.width = HEATMAP_SIZE;
  canvas.height = Math.round((HEATMAP_SIZE * image.naturalHeight) / image.naturalWidth);
  const context = canvas.getContext("2d");
  const rows = heatmap.length, columns = heatmap[0]?.length ?? 0;
  const highest = Math.max(1e-9, ...heatmap.flat());
  // One pixel for each cell; enlarging them with smoothing interpolates between the cells.
  const cells = new OffscreenCanvas(columns, rows);
  const cellContext = /** @type {any} */ (cells.getContext("2d"));
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

/** Draw lines between matching regions over both images, again when the size changes. Returns a function that ends this. */
function listenForMatches(pair, matches, images) {
  const canvas = pair.querySelector(".match-lines");
  if (!canvas) return () => {};
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
    for (const match of matches.slice(0, MAX_MATCHES)) drawMatch(context, centre(match.first, 0), centre(match.second, 1), match.strength);
  };
  const observer = new ResizeObserver(draw);
  observer.observe(pair);
  for (const element of pair.querySelectorAll("img")) element.addEventListener("load", draw);
  return () => observer.disconnect();
}

function drawMatch(context, from, to, strength) {
  context.strokeStyle = `rgb(255 207 92 / ${0.25 + 0.65 * strength})`;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(from[0], from[1]);
  context.lineTo(to[0], to[1]);
  context.stroke();
  context.fillStyle = MARK_COLOR;
  for (const [x, y] of [from, to]) { context.beginPath(); context.arc(x, y, 2.5, 0, 2 * Math.PI); context.fill(); }
}

function Shares({ shares }) {
  const names = Object.keys(shares);
  if (!names.length) return null;
  const highest = Math.max(...Object.values(shares).map(Math.abs), 1e-9);
  return html`<dl class="shares">${names.map((name) => html`<div key=${name}><dt>${name}</dt><dd>
    <span class="share-bar"><i style=${`width:${(100 * Math.max(0, shares[name])) / highest}%`} /></span>${similarity(shares[name])}</dd></div>`)}</dl>`;
}

/** Say by how much the similarity falls when the marked regions are covered; a verdict only where the test is clear. */
function faithfulnessText({ faithful, marked_drop: markedDrop, other_drop: otherDrop, win_rate: winRate, trials }) {
  const falls = t("similarityFalls", { marked: similarity(markedDrop), other: similarity(otherDrop) });
  const isClear = faithful && winRate >= CLEAR_WIN_RATE;
  return `${falls} ${isClear ? t("regionsMattered", { won: Math.round(winRate * trials), trials }) : t("regionsUnclear")}`;
}

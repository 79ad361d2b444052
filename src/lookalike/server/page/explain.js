// Why a picture matched: the places on both that drove the similarity, and how far that can be believed.

import { get, pictureOf, thumbnail } from "./api.js";
import { button, el, fill } from "./dom.js";
import { refuse } from "./toasts.js";
import { similarity } from "./wording.js";

const LINES = 6;   // links between the pictures that are drawn, strongest first

/** A section that asks on demand, because the answer may take a second. */
export function why(term, hit, by) {
  const place = el("div", { class: "why" });
  const ask = async () => {
    fill(place, el("p", { class: "soft", role: "status" }, "Comparing the two, part by part…"));
    try {
      const params = { query: term.value, hit, ...(by ? { extractor: by } : {}) };
      const answer = await get("explain", params);
      fill(place, shown(answer, [pictureOf(term, 512), thumbnail(hit, 512)]));
    } catch (error) {
      fill(place, refuse(error, ask));
    }
  };
  fill(place, button("Why did it match?", null, ask));
  return el("section", {}, place);
}

function shown(answer, sources) {
  const pictures = answer.images ?? [];
  const pair = el("div", { class: "pair" }, pictures.map((picture, at) => heated(sources[at], picture, at ? "The hit" : "The question")));
  links(pair, answer, pictures);
  return [
    el("h3", {}, "Why it matched"),
    pair,
    el("p", { class: "soft" }, `${answer.extractor}: ${answer.method}.`),
    shares(answer.shares ?? {}),
    colours(answer.colours ?? []),
    answer.faithfulness ? faith(answer.faithfulness) : null,
  ];
}

/** A picture under its heat: what did not count is veiled. */
function heated(source, { frame, heatmap, marked }, label) {
  const image = el("img", { src: source, alt: label });
  const veil = el("canvas", { "aria-hidden": "true" });
  const node = el("figure", { class: "heated" }, image, veil);
  image.addEventListener("load", () => paint(veil, image, frame, heatmap, marked), { once: true });
  return node;
}

function paint(canvas, image, [x, y, width, height], heat, marked) {
  const size = 360;
  canvas.width = size;
  canvas.height = Math.round((size * image.naturalHeight) / image.naturalWidth);
  const ink = canvas.getContext("2d");
  const rows = heat.length, columns = heat[0]?.length ?? 0;
  const highest = Math.max(1e-9, ...heat.flat());
  // One pixel a cell, drawn large: the canvas itself makes the steps between them smooth.
  const small = new OffscreenCanvas(columns, rows);
  const cells = small.getContext("2d");
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const warm = Math.max(0, heat[row][column]) / highest;
      cells.fillStyle = `rgb(12 14 16 / ${0.72 * (1 - warm)})`;
      cells.fillRect(column, row, 1, 1);
    }
  }
  const [left, top, w, h] = [x * canvas.width, y * canvas.height, width * canvas.width, height * canvas.height];
  ink.fillStyle = "rgb(12 14 16 / .72)";
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.clearRect(left, top, w, h);
  ink.imageSmoothingQuality = "high";
  ink.drawImage(small, left, top, w, h);
  outline(ink, marked ?? [], left, top, w, h);
}

/** A line around the marked cells. */
function outline(ink, marked, left, top, width, height) {
  const rows = marked.length, columns = marked[0]?.length ?? 0;
  const is = (row, column) => Boolean(marked[row]?.[column]);
  const [stepX, stepY] = [width / columns, height / rows];
  ink.beginPath();
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (!is(row, column)) continue;
      const [x, y] = [left + column * stepX, top + row * stepY];
      const line = (ax, ay, bx, by) => { ink.moveTo(ax, ay); ink.lineTo(bx, by); };
      if (!is(row - 1, column)) line(x, y, x + stepX, y);
      if (!is(row + 1, column)) line(x, y + stepY, x + stepX, y + stepY);
      if (!is(row, column - 1)) line(x, y, x, y + stepY);
      if (!is(row, column + 1)) line(x + stepX, y, x + stepX, y + stepY);
    }
  }
  ink.strokeStyle = "#ffcf5c";
  ink.lineWidth = 2.5;
  ink.stroke();
}

/** Lines between places that go together, over both pictures. */
function links(pair, answer, pictures) {
  const strongest = (answer.matches ?? []).slice(0, LINES);
  if (!strongest.length || pictures.length < 2) return;
  const canvas = el("canvas", { class: "lines", "aria-hidden": "true" });
  pair.append(canvas);
  const draw = () => {
    const area = pair.getBoundingClientRect();
    const shown = [...pair.querySelectorAll("img")];
    if (!area.width || shown.some((image) => !image.naturalWidth)) return;
    const images = shown.map((image) => image.getBoundingClientRect());
    canvas.width = area.width * devicePixelRatio;
    canvas.height = area.height * devicePixelRatio;
    const ink = canvas.getContext("2d");
    ink.scale(devicePixelRatio, devicePixelRatio);
    const point = (box, at) => {
      const [fx, fy, fw, fh] = pictures[at].frame;
      const x = fx + fw * (box[0] + box[2] / 2), y = fy + fh * (box[1] + box[3] / 2);
      return [images[at].left - area.left + x * images[at].width, images[at].top - area.top + y * images[at].height];
    };
    for (const link of strongest) {
      const [a, b] = [point(link.first, 0), point(link.second, 1)];
      ink.strokeStyle = `rgb(255 207 92 / ${0.25 + 0.65 * link.strength})`;
      ink.lineWidth = 1.5;
      ink.beginPath();
      ink.moveTo(...a);
      ink.lineTo(...b);
      ink.stroke();
      ink.fillStyle = "#ffcf5c";
      for (const [x, y] of [a, b]) { ink.beginPath(); ink.arc(x, y, 2.5, 0, 7); ink.fill(); }
    }
  };
  new ResizeObserver(draw).observe(pair);
  for (const image of pair.querySelectorAll("img")) image.addEventListener("load", draw);
}

function shares(all) {
  const names = Object.keys(all);
  if (!names.length) return null;
  const most = Math.max(...Object.values(all).map(Math.abs), 1e-9);
  return el("dl", { class: "shares" }, names.map((name) => {
    const bar = el("i");
    bar.style.width = `${(100 * Math.max(0, all[name])) / most}%`;
    return el("div", {}, el("dt", {}, name), el("dd", {}, el("span", { class: "rail" }, bar), similarity(all[name])));
  }));
}

function colours(all) {
  if (!all.length) return null;
  return el("ul", { class: "swatches", "aria-label": "Colours that both have" }, all.map(({ rgb, first, second }) => {
    const swatch = el("i");
    swatch.style.background = `rgb(${rgb.join(" ")})`;
    return el("li", { title: `${Math.round(first * 100)} % of the question, ${Math.round(second * 100)} % of the hit` }, swatch);
  }));
}

/** What happens when the marked places are covered, in words. */
function faith({ faithful, marked_drop: marked, other_drop: others, win_rate: beaten, trials }) {
  const sentence = `Covering what is outlined lowers the similarity by ${similarity(marked)}, covering as much elsewhere by ${similarity(others)}`;
  const judged = faithful ? `; it mattered more than ${Math.round(beaten * trials)} of ${trials} other places.`
    : "; so do not trust the outline here.";
  return el("p", { class: "soft" }, sentence + judged);
}

// Draws the map: a dot for every picture, and pictures where there is room for them.

import { thumbnail } from "./api.js";
import { roomy, scaleOf, toPlane, toScreen } from "./geometry.js";

/** Colours of groups, told apart on light and dark; after the last they begin again. */
export const HUES = ["#2f8f83", "#d9822b", "#6f63c9", "#c74f6f", "#4f8fd1", "#8a9a2f", "#b25ec0", "#a0703c", "#3fa764", "#d46a4c", "#5a7894", "#c2a02a"];
const CELL = 30;        // pixels that a picture takes at least, and less than twice as many
const MOST = 1200;      // pictures kept in memory
const ASKED = 12;       // pictures asked for at once, so that those in view come first

/** A painter for these points on this canvas; `paint({look, chosen, line})` draws. */
export function painter(canvas, points) {
  const ink = canvas.getContext("2d");
  const images = new Map();
  let last = null, waiting = [], asking = 0, frame = 0;
  const style = getComputedStyle(canvas);

  function image(id) {
    const there = images.get(id);
    if (there) { images.delete(id); images.set(id, there); return there.complete && there.naturalWidth ? there : null; }
    waiting.push(id);
    return null;
  }

  function ask() {
    while (asking < ASKED && waiting.length) {
      const id = waiting.shift();
      if (images.has(id)) continue;
      const one = new Image();
      asking += 1;
      one.onload = one.onerror = () => { asking -= 1; again(); };
      one.src = thumbnail(id, devicePixelRatio > 1.4 ? 128 : 64);
      images.set(id, one);
      if (images.size > MOST) images.delete(images.keys().next().value);
    }
  }

  function again() { frame ||= requestAnimationFrame(() => { frame = 0; if (last) paint(last); }); }

  function level(scale) {
    const wanted = Math.max(0, Math.floor(Math.log2(scale / CELL)));
    return { cell: scale / 2 ** wanted, places: roomy(points, wanted) };
  }

  /** Dots are written as pixels: a hundred thousand of them take a few milliseconds. */
  function dots(look, width, height, chosen) {
    const ratio = canvas.width / width;
    const data = ink.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(data.data.buffer);
    const colour = (name) => packed(ink, style.getPropertyValue(name).trim());
    const plain = colour("--weak");
    const hues = HUES.map((hue) => packed(ink, hue));
    const side = Math.max(2, Math.round((points.ids.length > 20000 ? 1.5 : 3) * ratio));
    for (let at = 0; at < points.ids.length; at += 1) {
      const [sx, sy] = toScreen(look, width, height, points.x[at], points.y[at]);
      const left = Math.round(sx * ratio - side / 2), top = Math.round(sy * ratio - side / 2);
      if (left < 0 || top < 0 || left + side > canvas.width || top + side > canvas.height) continue;
      const group = points.groups[at];
      const one = group < 0 || (chosen && !chosen.has(at)) ? plain : hues[group % hues.length];
      for (let row = 0; row < side; row += 1) pixels.fill(one, (top + row) * canvas.width + left, (top + row) * canvas.width + left + side);
    }
    ink.putImageData(data, 0, 0);
  }

  function pictures(look, width, height, chosen) {
    const scale = scaleOf(look, width, height);
    const { cell, places } = level(scale);
    const size = cell * 0.96;
    const [left, top] = toPlane(look, width, height, -size, -size);
    const [right, bottom] = toPlane(look, width, height, width + size, height + size);
    for (const at of places) {
      if (points.x[at] < left || points.x[at] > right || points.y[at] < top || points.y[at] > bottom) continue;
      const there = image(points.ids[at]);
      if (!there) continue;
      const [sx, sy] = toScreen(look, width, height, points.x[at], points.y[at]);
      const shrink = size / Math.max(there.naturalWidth, there.naturalHeight);
      const [w, h] = [there.naturalWidth * shrink, there.naturalHeight * shrink];
      ink.globalAlpha = chosen && !chosen.has(at) ? 0.22 : 1;
      ink.save();
      ink.beginPath();
      ink.roundRect(sx - w / 2, sy - h / 2, w, h, Math.min(8, size / 10));
      ink.clip();
      ink.drawImage(there, sx - w / 2, sy - h / 2, w, h);
      ink.restore();
    }
    ink.globalAlpha = 1;
  }

  function outline(look, width, height, line) {
    if (!line?.length) return;
    ink.beginPath();
    for (let at = 0; at < line.length; at += 2) {
      const [sx, sy] = toScreen(look, width, height, line[at], line[at + 1]);
      if (at) ink.lineTo(sx, sy); else ink.moveTo(sx, sy);
    }
    ink.closePath();
    ink.lineWidth = 2.5;
    ink.strokeStyle = style.getPropertyValue("--accent");
    ink.stroke();
  }

  function paint(what) {
    last = what;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    waiting = [];
    ink.setTransform(1, 0, 0, 1, 0, 0);
    dots(what.look, width, height, what.chosen);
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    pictures(what.look, width, height, what.chosen);
    outline(what.look, width, height, what.line);
    ask();
  }

  return { paint };
}

const known = new Map();
/** A CSS colour as the 32 bits that a canvas keeps for it. */
function packed(ink, colour) {
  if (!known.has(colour)) {
    const probe = new OffscreenCanvas(1, 1).getContext("2d");
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    known.set(colour, new Uint32Array(probe.getImageData(0, 0, 1, 1).data.buffer)[0]);
  }
  return known.get(colour);
}

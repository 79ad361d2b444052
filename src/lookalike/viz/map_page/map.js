// Drawing: points straight into the pixels (100,000 of them are too many for paths), thumbnails over them where
// there is room. `levels of detail` were worked out when the file was made: of level L or less, no two thumbnails overlap
// when the map is 2^L of them wide.
const canvas = document.getElementById("map");
const pen = canvas.getContext("2d", { alpha: false });
const view = { x: 0.5, y: 0.5, scale: 1, home: 1 }; // the middle, and pixels the map is wide
const hiddenGroups = new Set();
let matching = null; // Uint8Array, or null: no filter
let ratio = 1, wide = 0, high = 0, image = null, pixels = null, tints = null, paper = 0;
let drawn = [], drawnSize = 0, picked = -1, dirty = false;
const SMALLEST = 44, LARGEST = 128, EDGE = 2;

function resize() {
  ratio = Math.min(2, window.devicePixelRatio || 1);
  wide = canvas.width = Math.round(innerWidth * ratio);
  high = canvas.height = Math.round(innerHeight * ratio);
  image = pen.createImageData(wide, high);
  pixels = new Uint32Array(image.data.buffer);
  const home = Math.min(wide, high) * 0.94;
  view.scale = view.scale === view.home ? home : view.scale;
  view.home = home;
  redraw();
}

function readColours() {
  const hex = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
  paper = abgr(hex);
  tints = new Uint32Array(data.names.length + 1);
  for (let g = -1; g < data.names.length; g++) tints[g + 1] = abgr(colourOf(g));
}

const screenX = (x) => (x - view.x) * view.scale + wide / 2;
const screenY = (y) => (y - view.y) * view.scale + high / 2;
const visible = (i) => !hiddenGroups.has(group[i]) && (!matching || matching[i]);

function redraw() {
  if (!dirty) { dirty = true; requestAnimationFrame(draw); }
}

function draw() {
  dirty = false;
  pixels.fill(paper);
  const zoom = Math.log2(view.scale / view.home);
  const crowd = count > 20000 ? 0.7 : count > 3000 ? 1.2 : 2;
  const radius = Math.max(1, Math.min(5, Math.round(ratio * (crowd + Math.max(0, zoom) * 0.6))));
  if (matching) drawPoints(Math.max(1, radius - 1), false);
  drawPoints(radius, true);
  pen.putImageData(image, 0, 0);
  drawThumbnails();
  if (picked >= 0) ring(picked);
}

function drawPoints(radius, wanted) {
  const faint = mixed(paper);
  const spans = []; // of a disc: half its width in each row
  for (let dy = -radius; dy <= radius; dy++) spans.push(Math.sqrt((radius + 0.4) ** 2 - dy * dy) | 0);
  const hide = hiddenGroups.size > 0;
  const offX = wide / 2 - view.x * view.scale, offY = high / 2 - view.y * view.scale, s = view.scale;
  for (let i = 0; i < count; i++) {
    const x = (X[i] * s + offX) | 0, y = (Y[i] * s + offY) | 0;
    if (x < radius || y < radius || x >= wide - radius || y >= high - radius) continue;
    if (hide && hiddenGroups.has(group[i])) continue;
    if (matching && (matching[i] === 1) !== wanted) continue;
    const colour = wanted ? tints[group[i] + 1] : faint;
    for (let row = 0; row < spans.length; row++) {
      const at = (y + row - radius) * wide + x, half = spans[row];
      for (let k = at - half; k <= at + half; k++) pixels[k] = colour;
    }
  }
}

const mixed = (colour) => (colour & 0xff) > 128 ? 0xffd8d5d2 : 0xff3f3a36; // points that the filter leaves out

function drawThumbnails() {
  drawn.length = 0;
  let deepest = Math.floor(Math.log2(view.scale / (SMALLEST * ratio)));
  deepest = Math.max(0, Math.min(data.deepest, deepest));
  const size = Math.min(LARGEST * ratio, (view.scale / 2 ** deepest) * 0.94);
  drawnSize = size;
  pen.imageSmoothingQuality = "low";
  for (let n = 0; n < shown.length; n++) {
    const i = shown[n];
    if (level[i] > deepest) break;
    const x = screenX(X[i]), y = screenY(Y[i]);
    if (x < -size || y < -size || x > wide + size || y > high + size || !visible(i)) continue;
    if (thumbnail(pen, i, x, y, size, true)) drawn.push(i);
  }
}

function thumbnail(target, i, x, y, size, framed) {
  const number = Math.floor(slot[i] / (data.across * data.across));
  const bitmap = sheet(number);
  if (!bitmap) return false;
  const within = slot[i] % (data.across * data.across), side = data.side;
  const w = sizes[2 * slot[i]], h = sizes[2 * slot[i] + 1], scale = size / side;
  const dw = w * scale, dh = h * scale, edge = EDGE * ratio;
  if (framed) {
    target.fillStyle = colourOf(group[i]);
    target.fillRect(x - dw / 2 - edge / 2, y - dh / 2 - edge / 2, dw + edge, dh + edge);
  }
  target.drawImage(bitmap, (within % data.across) * side, Math.floor(within / data.across) * side, w, h,
    x - dw / 2, y - dh / 2, dw, dh);
  return true;
}

function ring(i) {
  const x = screenX(X[i]), y = screenY(Y[i]);
  const size = drawn.includes(i) ? drawnSize / 2 + 4 * ratio : 9 * ratio;
  pen.lineWidth = 3 * ratio;
  pen.strokeStyle = "#2563eb";
  pen.strokeRect(x - size, y - size, 2 * size, 2 * size);
}

// The picture under a point of the screen: a thumbnail, else the nearest point within reach.
function under(x, y, reach) {
  for (let n = drawn.length - 1; n >= 0; n--) {
    const i = drawn[n], scale = drawnSize / data.side;
    if (Math.abs(screenX(X[i]) - x) <= (sizes[2 * slot[i]] * scale) / 2
      && Math.abs(screenY(Y[i]) - y) <= (sizes[2 * slot[i] + 1] * scale) / 2) return i;
  }
  const mx = (x - wide / 2) / view.scale + view.x, my = (y - high / 2) / view.scale + view.y;
  const far = reach / view.scale;
  let best = -1, least = far * far;
  for (let cy = cellOf(my - far); cy <= cellOf(my + far); cy++) {
    for (let cx = cellOf(mx - far); cx <= cellOf(mx + far); cx++) {
      for (let k = starts[cy * GRID + cx]; k < starts[cy * GRID + cx + 1]; k++) {
        const i = members[k], away = (X[i] - mx) ** 2 + (Y[i] - my) ** 2;
        if (away < least && visible(i)) { least = away; best = i; }
      }
    }
  }
  return best;
}

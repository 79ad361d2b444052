"use strict";
// What the file holds, unpacked once: typed arrays, so that a frame over 100,000 pictures allocates nothing.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const data = JSON.parse(document.getElementById("data").textContent);
const count = data.paths.length;
const place16 = new Uint16Array(bytes(data.places).buffer); // x, y, x, y … in 1/65535 of the map
const group = new Int16Array(bytes(data.groups).buffer); // -1: nothing is known
const level = bytes(data.level);
const slot = new Int32Array(bytes(data.slots).buffer); // where in the sheets a thumbnail lies; -1: none
const sizes = bytes(data.sizes); // width and height of each thumbnail
const X = new Float32Array(count), Y = new Float32Array(count);
for (let i = 0; i < count; i++) { X[i] = place16[2 * i] / 65535; Y[i] = place16[2 * i + 1] / 65535; }
const lower = data.paths.map((path) => path.toLowerCase());

const COLOURS = ["#2f6fde", "#e8743b", "#2a9d58", "#c83e73", "#8a5bd1", "#c79a00", "#16a3b8", "#8c5a3c",
  "#e05252", "#6b8e23", "#d46fc1", "#5b6ee1"];
const GREY = "#8b919a";
const colourOf = (g) => (g < 0 || data.names[g] === "others" ? GREY : COLOURS[g % COLOURS.length]);
const abgr = (hex) => { // how a canvas stores a colour, on every machine that there is
  const n = parseInt(hex.slice(1), 16);
  return (0xff000000 | ((n & 255) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
};

// Thumbnails in the order in which they get room: by level.
const shown = Int32Array.from({ length: count }, (_, i) => i).filter((i) => slot[i] >= 0);
shown.sort((a, b) => level[a] - level[b] || a - b);

const sheets = [];
function sheet(number) { // decoded beside the drawing, when it is first needed; null until then
  if (!sheets[number]) {
    const wanted = (sheets[number] = { bitmap: null });
    const packed = bytes(document.getElementById("sheet-" + number).textContent);
    createImageBitmap(new Blob([packed], { type: "image/webp" })).then((bitmap) => {
      wanted.bitmap = bitmap;
      redraw();
    });
  }
  return sheets[number].bitmap;
}

// Pictures by cell of a grid, for "what is under the pointer?": starts and members, as in a sparse matrix.
const GRID = 256;
const cellOf = (x) => Math.min(GRID - 1, Math.max(0, (x * GRID) | 0));
const starts = new Int32Array(GRID * GRID + 1), members = new Int32Array(count);
for (let i = 0; i < count; i++) starts[cellOf(Y[i]) * GRID + cellOf(X[i]) + 1]++;
for (let c = 0; c < GRID * GRID; c++) starts[c + 1] += starts[c];
{
  const next = starts.slice();
  for (let i = 0; i < count; i++) members[next[cellOf(Y[i]) * GRID + cellOf(X[i])]++] = i;
}

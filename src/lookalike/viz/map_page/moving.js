// Moving about: mouse, touch, wheel, keys; what is said of a picture; legend and filter.
const tip = document.getElementById("tip"), live = document.getElementById("live");
const pointers = new Map();

function keepInside() {
  view.scale = Math.max(view.home * 0.5, Math.min(view.home * 4096, view.scale));
  view.x = Math.max(0, Math.min(1, view.x));
  view.y = Math.max(0, Math.min(1, view.y));
}

function zoom(factor, x = wide / 2, y = high / 2) { // what is at (x, y) stays there
  const before = view.scale;
  view.scale *= factor;
  view.scale = Math.max(view.home * 0.5, Math.min(view.home * 4096, view.scale));
  const gained = 1 / before - 1 / view.scale;
  view.x += (x - wide / 2) * gained;
  view.y += (y - high / 2) * gained;
  keepInside();
  redraw();
}

function pan(dx, dy) { view.x -= dx / view.scale; view.y -= dy / view.scale; keepInside(); redraw(); }
function whole() { view.x = view.y = 0.5; view.scale = view.home; redraw(); }

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
  zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX * ratio, event.clientY * ratio);
}, { passive: false });

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, event);
  canvas.classList.add("moving");
});
canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return show(under(event.clientX * ratio, event.clientY * ratio, 12 * ratio), event.clientX, event.clientY);
  if (pointers.size === 1) pan((event.clientX - before.clientX) * ratio, (event.clientY - before.clientY) * ratio);
  else if (pointers.size === 2) {
    const other = [...pointers.values()].find((each) => each.pointerId !== event.pointerId);
    const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
    pan(((event.clientX - before.clientX) / 2) * ratio, ((event.clientY - before.clientY) / 2) * ratio);
    zoom(apart(event) / apart(before), ((event.clientX + other.clientX) / 2) * ratio, ((event.clientY + other.clientY) / 2) * ratio);
  }
  pointers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) canvas.classList.remove("moving");
    if (event.pointerType === "touch") show(under(event.clientX * ratio, event.clientY * ratio, 20 * ratio), event.clientX, event.clientY);
  });
}
canvas.addEventListener("pointerleave", () => show(-1));
canvas.addEventListener("dblclick", (event) => zoom(2, event.clientX * ratio, event.clientY * ratio));

canvas.addEventListener("keydown", (event) => {
  const step = 0.12 * Math.min(wide, high);
  const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  if (moves[event.key]) pan(...moves[event.key]);
  else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-") zoom(1 / 1.5);
  else if (event.key === "0" || event.key === "Home") whole();
  else if (event.key === "Escape") show(-1);
  else if (event.key === "Enter") {
    const middle = under(wide / 2, high / 2, Math.max(wide, high));
    if (middle >= 0) show(middle, screenX(X[middle]) / ratio, screenY(Y[middle]) / ratio);
    live.textContent = middle < 0 ? "No picture here" : data.paths[middle] + ", " + nameOf(middle);
  } else return;
  event.preventDefault();
});

const nameOf = (i) => (group[i] < 0 ? "no " + data.color : data.names[group[i]]);

function show(i, x, y) { // what is said of a picture, beside the pointer
  if (i !== picked) { picked = i; redraw(); }
  tip.hidden = i < 0;
  if (i < 0) return;
  const large = document.getElementById("large"), pen = large.getContext("2d");
  large.hidden = slot[i] < 0;
  if (slot[i] >= 0) {
    large.width = sizes[2 * slot[i]] * 3;
    large.height = sizes[2 * slot[i] + 1] * 3;
    thumbnail(pen, i, large.width / 2, large.height / 2, data.side * 3, false);
  }
  tip.querySelector("b").textContent = data.paths[i];
  tip.querySelector("span").textContent = nameOf(i);
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(x + 16, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(8, y + 16 + box.height > innerHeight ? y - box.height - 16 : y + 16) + "px";
}

function legend() {
  const counts = new Map();
  for (let i = 0; i < count; i++) counts.set(group[i], (counts.get(group[i]) || 0) + 1);
  const home = document.getElementById("legend");
  for (const g of [...data.names.keys(), -1]) {
    if (!counts.has(g)) continue;
    const button = document.createElement("button");
    const dot = document.createElement("i"), name = document.createElement("span"), number = document.createElement("small");
    button.type = "button";
    dot.style.background = colourOf(g);
    name.textContent = g < 0 ? "no " + data.color : data.names[g];
    name.title = name.textContent;
    number.textContent = counts.get(g).toLocaleString("en");
    button.append(dot, name, number);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const on = hiddenGroups.delete(g) || (hiddenGroups.add(g), false);
      button.setAttribute("aria-pressed", String(on));
      redraw();
    });
    home.append(button);
  }
}

document.getElementById("find").addEventListener("input", (event) => {
  const text = event.target.value.trim().toLowerCase();
  matching = text ? Uint8Array.from(lower, (path) => (path.includes(text) ? 1 : 0)) : null;
  const hits = matching ? matching.reduce((a, b) => a + b, 0) : 0;
  document.getElementById("found").textContent = matching ? hits.toLocaleString("en") + " found" : "";
  redraw();
});
document.getElementById("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  readColours();
  redraw();
});
document.getElementById("in").addEventListener("click", () => zoom(1.6));
document.getElementById("out").addEventListener("click", () => zoom(1 / 1.6));
document.getElementById("whole").addEventListener("click", whole);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });
addEventListener("resize", resize);

document.getElementById("facts").textContent = data.facts;
readColours();
legend();
resize();
whole();

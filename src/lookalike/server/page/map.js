// The library as a map: what looks alike lies close together. A line around some of it lists them.

import { get } from "./api.js";
import { go, state } from "./address.js";
import { HUES, painter } from "./canvas.js";
import { announce, button, el, fill, quietly, working } from "./dom.js";
import { facts, spaces } from "./library_info.js";
import { gallery } from "./gallery.js";
import { refuse } from "./toasts.js";
import { enclosed, lineText, lookText, parseLine, parseLook, points as laidOut, toPlane, WHOLE, zoomed } from "./geometry.js";
import { listen } from "./pointers.js";
import { tile } from "./tile.js";
import { count, counted } from "./wording.js";

const PAGE = 60;
const AGAIN = 1500;      // milliseconds until a map that is still being made is asked for again
const IN_QUESTION = 8;   // pictures of a selection that a question takes

let place = null, key = "", shown = null, list = null, lassoing = false;

const wanted = (one) => ({ ...(one.extractors[0] ? { extractor: one.extractors[0] } : {}), ...(one.method ? { method: one.method } : {}), ...(one.color ? { color: one.color } : {}) });
const keyOf = (one) => JSON.stringify(wanted(one));

/** Draw the screen, the map anew where another one is asked for. */
export function showMap(into, { fresh }) {
  place = into;
  if (fresh) { build(); key = ""; shown = null; }
  fill(place.querySelector(".map-choices"), choices());
  if (keyOf(state) !== key) { key = keyOf(state); load(key); return; }
  if (shown) { shown.look = parseLook(state.at); select(); }
}

function build() {
  lassoing = false;
  fill(place, el("div", { class: "map" },
    el("header", { class: "map-head" }, el("h1", {}, "Map"), el("div", { class: "map-choices" }), el("p", { class: "soft tally" })),
    el("div", { class: "plane" }), el("ul", { class: "legend soft", "aria-label": "Colours" }), el("section", { class: "lassoed", "aria-label": "Pictures within the line" })));
}

function choices() {
  const all = spaces();
  const fields = facts.fields.filter((field) => field.images && !field.name.startsWith("file.") && ["text", "number"].includes(field.kind)
    && !["id", "path", "name", "outcome", "caption", "folder"].includes(field.name)).map((field) => field.name);
  const choice = (label, options, chosen, set) => el("label", { class: "choice" }, el("span", {}, label),
    el("select", { onchange: (event) => set(event.target.value) }, options.map(([value, name]) => el("option", { value, selected: value === chosen }, name))));
  return [
    all.length > 1 ? choice("Alike by", all.map(({ name }) => [name, name]), state.extractors[0] ?? all[0]?.name, (name) => go({ extractors: [name], at: "", lasso: "" })) : null,
    choice("Colours", [["", "clusters"], ["folder", "folders"], ...fields.map((name) => [name, name])], state.color, (color) => go({ color })),
  ];
}

/** What the colours mean, and how far the map can be believed. */
function about({ names, preservation, ids, total }) {
  const swatch = (at) => { const node = el("i", { class: "dot" }); node.style.background = HUES[at % HUES.length]; return node; };
  fill(place.querySelector(".legend"), names.slice(0, HUES.length).map((name, at) => el("li", {}, swatch(at), name)));
  const same = preservation?.overlap;
  fill(place.querySelector(".tally"), [total > ids.length ? `${count(ids.length)} of ${counted(total, "picture")}` : counted(ids.length, "picture"),
    typeof same === "number" ? `${Math.round(same * 100)} % of the ${preservation.neighbours} nearest neighbours are nearest here, too` : null].filter(Boolean).join(" · "));
}

async function load(asked) {
  const plane = place.querySelector(".plane");
  fill(plane, working("Laying the pictures out…", "The first time takes minutes in a large library."));
  try {
    const answer = await get("map", wanted(state));
    if (key !== asked || state.page !== "map") return;
    if (answer.running) { setTimeout(() => { if (key === asked && state.page === "map") load(asked); }, AGAIN); return; }
    draw(plane, laidOut(answer));
    about(answer);
  } catch (error) {
    if (key === asked) fill(plane, refuse(error, () => load(asked)));
  }
}

function draw(plane, points) {
  if (!points.ids.length) { fill(plane, el("p", { class: "empty" }, "There are no pictures to lay out.")); return; }
  const canvas = el("canvas", { tabindex: "0", role: "application",
    "aria-label": `Map of ${counted(points.ids.length, "picture")}. Arrow keys move it, plus and minus zoom. "List what is in view" shows its pictures as a list.` });
  fill(plane, canvas, tools(canvas));
  const one = { points, look: parseLook(state.at), chosen: null, line: null, canvas, painter: painter(canvas, points), frame: 0 };
  shown = one;
  one.paint = () => { one.frame ||= requestAnimationFrame(() => { one.frame = 0; one.painter.paint(one); }); };
  const settle = quietly(350, () => go({ at: lookText(one.look) }, { replace: true }));
  one.setLook = (look) => { one.look = look; one.paint(); settle(); };
  listen(canvas, points, {
    look: () => one.look, setLook: one.setLook, lassoing: () => lassoing,
    draw: (line) => { one.line = line; one.paint(); },
    drawn: (line) => { setLassoing(false); go({ lasso: lineText(line) }); },
    point: (at) => go({ open: points.ids[at] }),
  });
  new ResizeObserver(one.paint).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", one.paint);
  select();
}

function setLassoing(on) {
  lassoing = on;
  const press = place.querySelector(".lasso");
  press?.setAttribute("aria-pressed", String(on));
  place.querySelector(".plane").classList.toggle("lassoing", on);
}

function tools(canvas) {
  const middle = (factor) => () => shown.setLook(zoomed(shown.look, canvas.clientWidth, canvas.clientHeight, canvas.clientWidth / 2, canvas.clientHeight / 2, factor));
  const view = () => {
    const [left, top] = toPlane(shown.look, canvas.clientWidth, canvas.clientHeight, 0, 0);
    const [right, bottom] = toPlane(shown.look, canvas.clientWidth, canvas.clientHeight, canvas.clientWidth, canvas.clientHeight);
    go({ lasso: lineText([left, top, right, top, right, bottom, left, bottom]) });
  };
  return el("div", { class: "map-tools" },
    button("Lasso", "lasso", () => setLassoing(!lassoing), { class: "lasso", "aria-pressed": "false", title: "Draw a line around pictures; or hold Shift and drag" }),
    button("List what is in view", null, view),
    el("span", { class: "zooms" },
      button("Closer", "plus", middle(1.6), { bare: true }), button("Further", "minus", middle(1 / 1.6), { bare: true }),
      button("Show all", "box", () => shown.setLook({ ...WHOLE }), { bare: true })));
}

/** Show which pictures the line of the state encloses, on the map and as a list. */
function select() {
  const line = parseLine(state.lasso);
  const places = line ? enclosed(shown.points, line) : [];
  shown.line = line;
  shown.chosen = line ? new Set(places) : null;
  shown.paint();
  const under = place.querySelector(".lassoed");
  if (under.dataset.line === state.lasso) return;
  under.dataset.line = state.lasso;
  list?.close();
  list = null;
  if (!line) { fill(under); return; }
  const ids = places.map((at) => shown.points.ids[at]);
  announce(`${counted(ids.length, "picture")} within the line.`);
  fill(under, el("div", { class: "lassoed-head" }, el("h2", {}, `${counted(ids.length, "picture")} within the line`),
    ids.length ? button(ids.length > IN_QUESTION ? `More like these (${IN_QUESTION} of them)` : "More like these", "search", () => ask(ids), { class: "main" }) : null,
    button("Take the line away", "close", () => go({ lasso: "" }))));
  if (ids.length) listed(under, ids);
}

/** Ask with some of a selection, taken evenly from it. */
function ask(ids) {
  const step = Math.max(1, ids.length / IN_QUESTION);
  const some = Array.from({ length: Math.min(ids.length, IN_QUESTION) }, (_, at) => ids[Math.floor(at * step)]);
  go({ page: "search", at: "", lasso: "", region: null, terms: some.map((id) => ({ kind: "image", value: String(id), weight: 1 })) });
}

function listed(under, ids) {
  let offset = 0;
  const further = async () => {
    const some = ids.slice(offset, offset + PAGE);
    try {
      const answer = await get("images", { where: `file.id in (${some.join(", ")})`, k: PAGE });
      offset += some.length;
      mine.append(answer.images, offset >= ids.length);
    } catch (error) {
      under.append(refuse(error, (notice) => { notice.remove(); further(); }));
    }
  };
  const mine = gallery({ label: `${count(ids.length)} pictures within the line`, draw: (item, box) => tile(item, box, state), heading: () => null, more: further });
  list = mine;
  under.append(mine.node);
  further();
}

// Pictures that somebody gives: dropped, pasted, chosen or photographed.

import { upload } from "./api.js";
import { go, state } from "./address.js";
import { announce, el } from "./dom.js";
import { say, trying } from "./toasts.js";
import { counted } from "./wording.js";

const MOST = 8;   // pictures in one question
const OWN = "application/x-lookalike";   // what a tile carries when it is dragged

export const takesPhotos = () => matchMedia("(pointer: coarse)").matches;

/** Let somebody choose pictures, or take a photo with the device's camera. */
export function choose({ photo = false } = {}) {
  const input = el("input", {
    type: "file", accept: "image/*", multiple: !photo, capture: photo ? "environment" : null,
    class: "unseen", "aria-label": "Pictures to search with",
    onchange: () => { ask([...input.files]); input.remove(); },
    oncancel: () => input.remove(),
  });
  document.body.append(input);
  input.click();
}

let waiting = 0;

/** Ask with these files, beside what is asked already or (`afresh`) instead of its pictures. */
export async function ask(files, { afresh = false } = {}) {
  const pictures = files.filter((file) => file.type.startsWith("image/") || !file.type);
  if (!pictures.length) {
    if (files.length) say(`${files[0].name || "That"} is no picture.`);
    return;
  }
  if (pictures.length > MOST) say(`A question takes at most ${MOST} pictures at once; the first ${MOST} are taken.`, { kind: "hint" });
  mark(1);
  announce(`Reading ${counted(Math.min(pictures.length, MOST), "picture")}.`);
  const given = await Promise.all(pictures.slice(0, MOST).map((file) => trying(() => upload(file))));
  mark(-1);
  const terms = given.filter(Boolean).map(({ upload: hash }) => ({ kind: "upload", value: hash, weight: 1 }));
  if (terms.length) add(terms, afresh);
}

function mark(step) {
  waiting += step;
  document.body.classList.toggle("reading", waiting > 0);
}

function add(terms, afresh) {
  const kept = (afresh ? [] : state.terms).filter((old) => !terms.some((one) => one.kind === old.kind && one.value === old.value));
  go({ page: "search", open: null, region: afresh ? null : state.region, terms: [...kept, ...terms] });
}

/** Listen for pictures everywhere on the page. */
export function listen() {
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    ask(files);
  });
  addEventListener("dragstart", (event) => {
    const tile = event.target.closest?.("[data-id]");
    if (tile) event.dataTransfer.setData(OWN, tile.dataset.id);
  });
  let depth = 0;
  let zones = null;
  const wanted = (event) => [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === OWN || type === "text/uri-list");
  const leave = () => { depth = 0; zones?.remove(); zones = null; };
  addEventListener("dragenter", (event) => {
    if (!wanted(event)) return;
    event.preventDefault();
    depth += 1;
    if (!zones) { zones = dropZones(leave); document.body.append(zones); }
  });
  addEventListener("dragover", (event) => { if (wanted(event)) event.preventDefault(); });
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) leave(); });
  addEventListener("dragend", leave);
  addEventListener("drop", (event) => {
    if (!wanted(event)) return;
    event.preventDefault();
    const afresh = !event.target.closest?.("[data-zone='add']");
    leave();
    take(event.dataTransfer, afresh);
  });
}

function take(data, afresh) {
  const own = data.getData(OWN);
  const files = [...data.files];
  if (own) add([{ kind: "image", value: own, weight: 1 }], afresh);
  else if (files.length) ask(files, { afresh });
  else say("The server fetches nothing from other sites. Save the picture first, or copy and paste it.");
}

function dropZones() {
  const zone = (name, text) => el("div", { class: "zone", "data-zone": name }, el("strong", {}, text));
  return el("div", { class: "zones", "aria-hidden": "true" },
    zone("ask", "Drop: what looks like this?"),
    state.terms.length ? zone("add", "Drop: add it to the question") : null);
}

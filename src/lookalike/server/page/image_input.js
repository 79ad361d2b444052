// Images that people give: dropped, pasted, chosen or photographed.

import { upload } from "./api.js";
import { navigate, state } from "./address.js";
import { announce, el } from "./dom.js";
import { counted } from "./format.js";
import { showToast, tryOrToast } from "./toasts.js";

const MAX_IMAGES = 8;                        // in one query
const TILE_TYPE = "application/x-lookalike"; // of the data of a dragged tile

export const hasCamera = () => matchMedia("(pointer: coarse)").matches;

/** Let people choose image files, or take a photo with the camera of their device. */
export function chooseImages({ photo = false } = {}) {
  const input = el("input", {
    type: "file", accept: "image/*", multiple: !photo, capture: photo ? "environment" : null,
    class: "visually-hidden", "aria-label": "Images to search with",
    onchange: () => { searchWithFiles([...input.files]); input.remove(); },
    oncancel: () => input.remove(),
  });
  document.body.append(input);
  input.click();
}

let uploading = 0;

/** Upload files and add them to the query. `replace`: instead of its terms. */
async function searchWithFiles(files, { replace = false } = {}) {
  const images = files.filter((file) => file.type.startsWith("image/") || !file.type);
  if (!images.length) {
    if (files.length) showToast(`${files[0].name || "That"} is not an image.`);
    return;
  }
  if (images.length > MAX_IMAGES)
    showToast(`A query takes at most ${MAX_IMAGES} images at once; the first ${MAX_IMAGES} are used.`, { kind: "hint" });
  countUploads(1);
  announce(`Reading ${counted(Math.min(images.length, MAX_IMAGES), "image")}.`);
  const uploads = await Promise.all(images.slice(0, MAX_IMAGES).map((file) => tryOrToast(() => upload(file))));
  countUploads(-1);
  const terms = uploads.filter(Boolean).map(({ upload: hash }) => ({ kind: "upload", value: hash, weight: 1 }));
  if (terms.length) addTerms(terms, replace);
}

function countUploads(change) {
  uploading += change;
  document.body.classList.toggle("uploading", uploading > 0);
}

function addTerms(terms, replace) {
  const others = (replace ? [] : state.terms).filter((old) => !terms.some((one) => one.kind === old.kind && one.value === old.value));
  navigate({ page: "search", open: null, region: replace ? null : state.region, terms: [...others, ...terms] });
}

/** Listen for pasted and dropped images everywhere on the page. */
export function listenForImages() {
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    searchWithFiles(files);
  });
  addEventListener("dragstart", (event) => {
    const tile = event.target.closest?.("[data-id]");
    if (tile) event.dataTransfer.setData(TILE_TYPE, tile.dataset.id);
  });
  let depth = 0;   // "dragenter" minus "dragleave" events: both fire for every element on the way
  let zones = null;
  const accepts = (event) => [...(event.dataTransfer?.types ?? [])]
    .some((type) => type === "Files" || type === TILE_TYPE || type === "text/uri-list");
  const removeZones = () => { depth = 0; zones?.remove(); zones = null; };
  addEventListener("dragenter", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    depth += 1;
    if (!zones) { zones = dropZones(); document.body.append(zones); }
  });
  addEventListener("dragover", (event) => { if (accepts(event)) event.preventDefault(); });
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) removeZones(); });
  addEventListener("dragend", removeZones);
  addEventListener("drop", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    const replace = !event.target.closest?.("[data-zone='add']");
    removeZones();
    searchWithDropped(event.dataTransfer, replace);
  });
}

function searchWithDropped(data, replace) {
  const tileId = data.getData(TILE_TYPE);
  const files = [...data.files];
  if (tileId) addTerms([{ kind: "image", value: tileId, weight: 1 }], replace);
  else if (files.length) searchWithFiles(files, { replace });
  else showToast("The server does not fetch images from other sites. Save the image first, or copy and paste it.");
}

function dropZones() {
  const zone = (name, text) => el("div", { class: "drop-zone", "data-zone": name }, el("strong", {}, text));
  return el("div", { class: "drop-zones", "aria-hidden": "true" },
    zone("replace", "Drop to search with this image"),
    state.terms.length ? zone("add", "Drop to add it to the query") : null);
}

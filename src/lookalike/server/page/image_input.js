// @ts-check
// Images that people give: dropped, pasted, chosen or photographed.

import { addImages, droppedFiles } from "./add_images.js";
import { address, navigate } from "./address.js";
import { upload } from "./api.js";
import { announce, showToast, tryOrToast } from "./messages.js";
import { searchByFile } from "./results.js";
import { state } from "./store.js";
import { t } from "./words.js";

const MAX_IMAGES = 8;                        // in one query
const TILE_TYPE = "application/x-lookalike"; // of the data of a dragged tile

export const hasCamera = () => matchMedia("(pointer: coarse)").matches;

/** Let people choose image files, or take a photo with the camera of their device. */
export function chooseImages({ photo = false } = {}) {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept: "image/*", multiple: !photo, className: "visually-hidden", ariaLabel: t("imagesToSearch") });
  if (photo) input.capture = "environment";
  input.onchange = () => { searchWithFiles([...(input.files ?? [])]); input.remove(); };
  input.oncancel = () => input.remove();
  document.body.append(input);
  input.click();
}

let uploading = 0;

/** Upload files and add them to the query. `replace`: instead of its terms. */
async function searchWithFiles(files, { replace = false } = {}) {
  const images = files.filter((file) => file.type.startsWith("image/") || !file.type);
  if (!images.length) {
    if (files.length) showToast(t("notAnImage", { name: files[0].name || "?" }));
    return;
  }
  if (images.length > MAX_IMAGES)
    showToast(t("tooManyImages", { n: MAX_IMAGES }), { kind: "hint" });
  countUploads(1);
  announce(t("reading", { n: Math.min(images.length, MAX_IMAGES) }));
  if (images.length === 1 && (replace || !address.terms.length)) {
    await tryOrToast(() => searchByFile(images[0]));
    countUploads(-1);
    return;
  }
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
  const others = (replace ? [] : address.terms).filter((old) => !terms.some((one) => one.kind === old.kind && one.value === old.value));
  navigate({ page: "search", open: null, region: replace ? null : address.region, terms: [...others, ...terms] });
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
    const tile = /** @type {any} */ (event.target).closest?.("[data-id]");
    if (tile) event.dataTransfer?.setData(TILE_TYPE, tile.dataset.id);
  });
  let depth = 0;   // "dragenter" minus "dragleave" events: both fire for every element on the way
  let zones = /** @type {HTMLElement | null} */ (null);
  const accepts = (event) => [...(event.dataTransfer?.types ?? [])]
    .some((type) => type === "Files" || type === TILE_TYPE || type === "text/uri-list");
  const removeZones = () => { depth = 0; zones?.remove(); zones = null; };
  addEventListener("dragenter", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    depth += 1;
    if (!zones) { zones = dropZones(zoneNames(event.dataTransfer)); document.body.append(zones); }
  });
  addEventListener("dragover", (event) => { if (accepts(event)) event.preventDefault(); });
  addEventListener("dragleave", () => { depth -= 1; if (depth <= 0) removeZones(); });
  addEventListener("dragend", removeZones);
  addEventListener("drop", (event) => {
    if (!accepts(event)) return;
    event.preventDefault();
    const zone = /** @type {any} */ (event.target).closest?.("[data-zone]")?.dataset.zone ?? zoneNames(event.dataTransfer)[0];
    removeZones();
    if (zone === "library") droppedFiles(event.dataTransfer).then(addImages);
    else searchWithDropped(event.dataTransfer, zone !== "add");
  });
}

function searchWithDropped(data, replace) {
  const tileId = data.getData(TILE_TYPE);
  const files = [...data.files];
  if (tileId) addTerms([{ kind: "image", value: tileId, weight: 1 }], replace);
  else if (files.length) searchWithFiles(files, { replace });
  else showToast(t("noOtherSites"));
}

const ZONES = { library: "dropToLibrary", replace: "dropToSearch", add: "dropToAdd" };

/** Return what can be done with what is dragged; on Library, files become part of it. */
function zoneNames(data) {
  const isFiles = [...(data?.types ?? [])].includes("Files");
  const isHere = address.page === "library" && state.library?.writable && isFiles;
  return [...(isHere ? ["library"] : []), "replace", ...(address.terms.length ? ["add"] : [])];
}

function dropZones(names) {
  const zones = document.createElement("div");
  zones.className = "drop-zones";
  zones.ariaHidden = "true";
  for (const name of names) {
    const zone = document.createElement("div");
    zone.className = "drop-zone";
    zone.dataset.zone = name;
    zone.append(Object.assign(document.createElement("strong"), { textContent: t(ZONES[name]) }));
    zones.append(zone);
  }
  return zones;
}

// One image at full size, with its metadata, its neighbours, and why it matched.

import { get, originalFile, send, thumbnail } from "./api.js";
import { closeImage, navigate, state } from "./address.js";
import { announce, button, el, fill, isTyping } from "./dom.js";
import { explanationSection } from "./explain.js";
import { sendFeedback } from "./feedback.js";
import { bytes, count, dateTime, folderOf, nameOf, scoreText, similarity, titleOf, valueText } from "./format.js";
import { libraryInfo } from "./library_info.js";
import { regionOutline } from "./region.js";
import { clearResults, current } from "./results.js";
import { lessLike, moreLike, onlyLike } from "./tile.js";
import { errorMessage, showToast, tryOrToast } from "./toasts.js";

const NEIGHBOURS = 12;
const IMAGE_SIZE = 1024;   // of the image that is shown, in pixels

let dialog = null;
let openId = null;         // id of the image that is shown
let hasHit = false;        // is the image shown with its rank and similarity among the results?

/** Open, change or close the lightbox to match the state. */
export function updateLightbox() {
  if (state.open === null) { closeDialog(); return; }
  if (openId === state.open && dialog?.open) return;
  if (!dialog) createDialog();
  openId = state.open;
  if (!dialog.open) dialog.showModal();
  draw(openId);
}

/** Add rank and similarity if the results arrived after the image was opened. */
export function updateLightboxHit() {
  if (openId !== null && !hasHit && siblings().some((item) => item.id === openId)) draw(openId);
}

function createDialog() {
  dialog = el("dialog", { class: "lightbox", "aria-label": "Image",
    oncancel: (event) => { event.preventDefault(); closeImage(); },
    onclick: (event) => { if (event.target === dialog) closeImage(); },
    onkeydown: handleKey });
  document.body.append(dialog);
}

function closeDialog() {
  openId = null;
  if (dialog?.open) {
    dialog.close();
    const tile = document.querySelector(`.tile[data-id="${dialog.dataset.id}"] a`);
    tile?.focus({ preventScroll: true });
  }
}

/** Return the results among which the image was opened; [] if it was opened from the map or by its address. */
const siblings = () => (current?.grid.element.isConnected ? current.grid.images() : []);

function step(by) {
  const images = siblings();
  const index = images.findIndex((item) => item.id === openId);
  const next = index >= 0 ? images[index + by] : undefined;
  if (next) navigate({ open: next.id }, { replace: true });
}

function handleKey(event) {
  if (isTyping(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
  const action = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), "+": () => moreLike(openId), "=": () => moreLike(openId),
    "-": () => { if (state.terms.length) lessLike(openId); },
  }[event.key];
  if (action) { event.preventDefault(); action(); }
}

async function draw(id) {
  const images = siblings();
  const index = images.findIndex((item) => item.id === id);
  const hit = images[index];
  dialog.dataset.id = id;
  hasHit = hit !== undefined;
  const details = el("div", { class: "details" });
  const stage = el("div", { class: "stage" },
    imageFrame(id, hit),
    index > 0 ? button("Previous image", "back", () => step(-1), { bare: true, class: "step previous" }) : null,
    index >= 0 && index < images.length - 1 ? button("Next image", "forward", () => step(1), { bare: true, class: "step next" }) : null);
  fill(dialog, el("div", { class: "lightbox-layout", tabindex: "-1" }, stage, details,
    button("Close", "close", closeImage, { bare: true, class: "close-lightbox" })));
  if (hit) fill(details, header(hit, hit));
  dialog.querySelector(".lightbox-layout").focus({ preventScroll: true });
  try {
    const image = await get(`images/${id}`);
    if (openId !== id) return;
    fill(details, header(image, hit), feedbackButtons(image), explanationPart(id),
      neighboursSection(id), propertyTable(image, hit), removeButton(image));
    if (!hit) fill(stage, imageFrame(id, image));
    announce(titleOf(image));
  } catch (error) {
    if (openId === id) fill(details, errorMessage(error, () => draw(id)));
  }
}

/** Create the image with its region. `known`: the hit or image, if its size is known already. */
function imageFrame(id, known) {
  const frame = el("div", { class: "image-frame" },
    el("img", { src: thumbnail(id, IMAGE_SIZE), alt: known ? titleOf(known) : "", draggable: "false" }));
  if (known?.width && known?.height) {
    // Reserve the space before the image loads. Small images are enlarged up to two times.
    const scale = Math.min(2, IMAGE_SIZE / Math.max(known.width, known.height));
    frame.style.setProperty("--width", `${Math.round(known.width * scale)}px`);
    frame.style.setProperty("--ratio", known.width / known.height);
    frame.classList.add("sized");
  }
  if (known?.box) frame.append(regionOutline(known.box, { title: "The region that matched" }));
  return frame;
}

function header(image, hit) {
  const { id } = image;
  return el("div", { class: "details-head" },
    el("h2", {}, titleOf(image)),
    typeof hit?.score === "number" ? el("p", { class: "score" },
      hit.relevance ? el("i", { class: `dot ${hit.relevance}` }) : null,
      el("strong", {}, scoreText(hit)),
      hit.rank ? el("span", { class: "muted" }, `rank ${count(hit.rank)}`) : null) : null,
    el("p", { class: "actions" },
      button("Only this", "search", () => onlyLike(id), { class: "main", title: "Search with this image alone" }),
      button("More", "plus", () => moreLike(id), { "aria-label": "More like this" }),
      state.terms.length ? button("Less", "minus", () => lessLike(id), { "aria-label": "Less like this" }) : null));
}

function propertyTable(image, hit) {
  const metadata = image.metadata ?? {};
  const rows = [
    ...Object.entries(metadata).map(([name, value]) => [name.replaceAll("_", " "), valueText(value)]),
    ...Object.entries(image.facts ?? {}).filter(([name]) => !(name in metadata))
      .map(([name, value]) => [name.replaceAll("_", " "), valueText(value)]),
    ["orientation", hit?.orientation],
    ["compared", hit?.coverage ? `only its centre, ${Math.round(100 * hit.coverage)} %` : null],
    ["matching keypoints", hit?.inliers ? count(hit.inliers) : null],
    ...Object.entries(hit?.scores_by_space ?? {}).map(([name, value]) => [`by ${name}`, similarity(value)]),
    ["file",
      el("a", { href: originalFile(image.id), target: "_blank", rel: "noopener", title: "Open the original file" }, nameOf(image.path))],
    ["folder", folderOf(image.path)],
    ["size", image.width ? [`${count(image.width)} × ${count(image.height)}`, bytes(image.size), image.format].filter(Boolean).join(", ") : null],
    ["modified", image.mtime ? dateTime(image.mtime) : null],
  ];
  return el("dl", { class: "properties" }, rows.filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Return the first image term that a hit resembles, unless it is the hit itself. */
function queryTermFor(id) {
  const term = state.terms.find((one) => one.kind !== "text" && one.weight > 0);
  return term && !(term.kind === "image" && Number(term.value) === id) ? term : null;
}

function feedbackButtons(image) {
  const term = queryTermFor(image.id);
  if (!libraryInfo.writable || term?.kind !== "image") return null;
  const judge = async (kind, message) => {
    if (await sendFeedback({ kind, image: Number(term.value), others: [image.id] }, message, () => {})) clearResults();
  };
  return el("p", { class: "actions feedback" }, el("span", { class: "muted" }, "Is this relevant?"),
    button("Yes", null, () => judge("relevant", "Saved as relevant.")),
    button("No", null, () => judge("not-relevant", "Saved as not relevant.")));
}

function explanationPart(id) {
  const term = queryTermFor(id);
  return term ? explanationSection(term, id, state.extractors[0] ?? "") : null;
}

function neighboursSection(id) {
  const strip = el("div", { class: "strip", "aria-busy": "true" });
  get(`images/${id}/neighbours`, { k: NEIGHBOURS, ...(state.extractors[0] ? { extractor: state.extractors[0] } : {}) }).then((response) => {
    strip.removeAttribute("aria-busy");
    fill(strip, response.hits.filter((hit) => hit.id !== id).map(neighbourButton));
    if (!strip.firstChild) fill(strip, el("p", { class: "muted" }, "None."));
  }, (error) => fill(strip, errorMessage(error)));
  return el("section", {}, el("h3", {}, "Nearest in the library"), strip);
}

function neighbourButton(hit) {
  const label = `${titleOf(hit)}, ${scoreText(hit)}`;
  return el("button", { type: "button", class: "thumbnail", "aria-label": label, title: label, onclick: () => navigate({ open: hit.id }) },
    el("img", { src: thumbnail(hit.id), alt: "" }));
}

function removeButton(image) {
  if (!libraryInfo.writable) return null;
  const remove = async () => {
    if (await tryOrToast(() => send("DELETE", `images/${image.id}`)) === undefined) return;
    clearResults();
    showToast(`${nameOf(image.path)} is removed from the library; the file stays where it is.`, { kind: "hint" });
    closeImage();
  };
  const askButton = button("Remove from the library", null, () => {
    askButton.replaceWith(el("span", { class: "actions" }, el("span", { class: "muted" }, "The file stays. "),
      button("Remove", null, remove, { class: "danger" })));
  }, { class: "plain" });
  return el("p", { class: "removal" }, askButton);
}

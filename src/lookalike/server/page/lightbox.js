// One picture large, with what is known of it, its neighbours, and why it matched.

import { get, original, send, thumbnail } from "./api.js";
import { go, shut as leave, state } from "./address.js";
import { announce, button, el, fill, typing } from "./dom.js";
import { decide } from "./feedback.js";
import { facts } from "./library_info.js";
import { refuse, say, trying } from "./toasts.js";
import { current, forget } from "./results.js";
import { lessLike, moreLike, onlyLike } from "./tile.js";
import { bytes, count, folderOf, moment, nameOf, similarity, titleOf, valueText } from "./wording.js";
import { why } from "./explain.js";

let dialog = null;
let shown = null;
let judged = false;   // whether what is drawn knows its place among the answers

/** Open, change or close the large view, as the state says. */
export function showLarge() {
  if (state.open === null) { close(); return; }
  if (shown === state.open && dialog?.open) return;
  if (!dialog) build();
  shown = state.open;
  if (!dialog.open) dialog.showModal();
  draw(shown);
}

/** Say what the answer says of the picture, where it came after the picture was opened. */
export function completeLarge() {
  if (shown !== null && !judged && siblings().some((item) => item.id === shown)) draw(shown);
}

function build() {
  dialog = el("dialog", { class: "large", "aria-label": "Picture",
    oncancel: (event) => { event.preventDefault(); leave(); },
    onclick: (event) => { if (event.target === dialog) leave(); },
    onkeydown: keys });
  document.body.append(dialog);
}

function close() {
  shown = null;
  if (dialog?.open) {
    dialog.close();
    const tile = document.querySelector(`.tile[data-id="${dialog.dataset.id}"] a`);
    tile?.focus({ preventScroll: true });
  }
}

/** The pictures among which it was opened; none where it was opened from the map or by its address. */
const siblings = () => (current?.gallery.node.isConnected ? current.gallery.items() : []);

function step(by) {
  const all = siblings();
  const next = all[all.findIndex((item) => item.id === shown) + by];
  if (next && all.some((item) => item.id === shown)) go({ open: next.id }, { replace: true });
}

function keys(event) {
  if (typing(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
  const does = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), "+": () => moreLike(shown), "=": () => moreLike(shown),
    "-": () => { if (state.terms.length) lessLike(shown); },
  }[event.key];
  if (does) { event.preventDefault(); does(); }
}

async function draw(id) {
  const hit = siblings().find((item) => item.id === id);
  dialog.dataset.id = id;
  judged = hit !== undefined;
  const all = siblings();
  const at = all.findIndex((item) => item.id === id);
  const aside = el("div", { class: "about" });
  const picture = el("div", { class: "stage" },
    framed(id, hit),
    at > 0 ? button("The picture before", "back", () => step(-1), { bare: true, class: "turn before" }) : null,
    at >= 0 && at < all.length - 1 ? button("The next picture", "forth", () => step(1), { bare: true, class: "turn after" }) : null);
  fill(dialog, el("div", { class: "sheet", tabindex: "-1" }, picture, aside,
    button("Close", "close", leave, { bare: true, class: "shut" })));
  if (hit) fill(aside, head(hit, hit));
  dialog.querySelector(".sheet").focus({ preventScroll: true });
  try {
    const image = await get(`images/${id}`);
    if (shown !== id) return;
    fill(aside, head(image, hit), judging(image), whyPart(id), neighboursPart(id), table(image, hit), removal(image));
    if (!hit) fill(picture, framed(id, image));
    announce(titleOf(image));
  } catch (error) {
    if (shown === id) fill(aside, refuse(error, () => draw(id)));
  }
}

function framed(id, sized) {
  const frame = el("div", { class: "framed" });
  const image = el("img", { src: thumbnail(id, 1024), alt: sized ? titleOf(sized) : "", draggable: "false" });
  if (sized?.width && sized?.height) {
    // The room is there before the picture is. Small pictures are shown up to twice their size.
    const most = Math.min(2, 1024 / Math.max(sized.width, sized.height));
    frame.style.setProperty("--width", `${Math.round(sized.width * most)}px`);
    frame.style.setProperty("--ratio", sized.width / sized.height);
    frame.classList.add("sized");
  }
  frame.append(image);
  if (sized?.box) {
    const [x, y, width, height] = sized.box;
    const mark = el("i", { class: "part", title: "The part that matched" });
    Object.assign(mark.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
    frame.append(mark);
  }
  return frame;
}

function head(image, hit) {
  const id = image.id;
  return el("div", { class: "head" },
    el("h2", {}, titleOf(image)),
    hit?.similarity !== undefined ? el("p", { class: "judged" },
      hit.relevance ? el("i", { class: `dot ${hit.relevance}` }) : null,
      el("strong", {}, hit.relevance ?? "similarity"), ` ${similarity(hit.similarity)}`,
      hit.rank ? el("span", { class: "soft" }, `number ${count(hit.rank)}`) : null) : null,
    el("p", { class: "actions" },
      button("Only this", "search", () => onlyLike(id), { class: "main", title: "Search with this picture alone" }),
      button("More", "plus", () => moreLike(id), { "aria-label": "More like this" }),
      state.terms.length ? button("Less", "minus", () => lessLike(id), { "aria-label": "Less like this" }) : null));
}

function table(image, hit) {
  const rows = [];
  const row = (name, value) => { if (value !== undefined && value !== null && value !== "") rows.push(el("div", {}, el("dt", {}, name), el("dd", {}, value))); };
  for (const [name, value] of Object.entries(image.metadata ?? {})) row(name.replaceAll("_", " "), valueText(value));
  for (const [name, value] of Object.entries(image.facts ?? {})) {
    if (!(name in (image.metadata ?? {}))) row(name.replaceAll("_", " "), valueText(value));
  }
  if (hit?.orientation) row("turned", hit.orientation);
  if (hit?.inliers) row("keypoints that agree", count(hit.inliers));
  for (const [name, value] of Object.entries(hit?.scores_by_space ?? {})) row(`by ${name}`, similarity(value));
  row("file", el("a", { href: original(image.id), target: "_blank", rel: "noopener", title: "Open the file itself" }, nameOf(image.path)));
  row("folder", folderOf(image.path));
  if (image.width) row("size", `${count(image.width)} × ${count(image.height)}, ${bytes(image.size)}${image.format ? `, ${image.format}` : ""}`);
  row("changed", image.mtime ? moment(image.mtime) : null);
  return el("dl", { class: "facts" }, rows);
}

/** The picture of the question that a hit is like, if it is another than the hit. */
function askedPicture(id) {
  const asks = state.terms.find((term) => term.kind !== "text" && term.weight > 0);
  return asks && !(asks.kind === "image" && Number(asks.value) === id) ? asks : null;
}

/** Somebody's verdict on an answer; questions can learn from it. */
function judging(image) {
  const asks = askedPicture(image.id);
  if (!facts.writable || asks?.kind !== "image") return null;
  const judge = (kind, said) => decide({ kind, image: Number(asks.value), others: [image.id] }, said, () => {}).then((made) => { if (made) forget(); });
  return el("p", { class: "actions judging" }, el("span", { class: "soft" }, "Is it what you meant?"),
    button("Yes", null, () => judge("relevant", "Remembered: this is what was meant.")),
    button("No", null, () => judge("not-relevant", "Remembered: this is not what was meant.")));
}

function whyPart(id) {
  const asks = askedPicture(id);
  if (!asks) return null;
  return why(asks, id, state.extractors[0] ?? "");
}

function neighboursPart(id) {
  const strip = el("div", { class: "strip", "aria-busy": "true" });
  get(`images/${id}/neighbours`, { k: 12, ...(state.extractors[0] ? { extractor: state.extractors[0] } : {}) }).then((answer) => {
    strip.removeAttribute("aria-busy");
    fill(strip, answer.hits.filter((hit) => hit.id !== id).map(near));
    if (!strip.firstChild) fill(strip, el("p", { class: "soft" }, "It has none."));
  }, (error) => fill(strip, refuse(error)));
  return el("section", {}, el("h3", {}, "Nearest in the library"), strip);
}

function near(hit) {
  const label = `${titleOf(hit)}, ${similarity(hit.similarity)}`;
  return el("button", { type: "button", class: "near", "aria-label": label, title: label, onclick: () => go({ open: hit.id }) },
    el("img", { src: thumbnail(hit.id), alt: "" }));
}

function removal(image) {
  if (!facts.writable) return null;
  const forgetIt = async () => {
    const gone = await trying(() => send("DELETE", `images/${image.id}`));
    if (gone === undefined) return;
    forget();
    say(`${nameOf(image.path)} is forgotten by the library; the file stays where it is.`, { kind: "hint" });
    leave();
  };
  const ask = button("Remove from the library", null, () => {
    ask.replaceWith(el("span", { class: "actions" }, el("span", { class: "soft" }, "The file stays. "),
      button("Remove", null, forgetIt, { class: "danger" })));
  }, { class: "plain" });
  return el("p", { class: "removal" }, ask);
}

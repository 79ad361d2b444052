// Reviews groups of duplicates, one group at a time, with the keyboard.

import { get, sentence, thumbnail } from "../api.js";
import { navigate, state } from "../address.js";
import { comparison } from "./compare.js";
import { announce, button, el, fill, isTyping, loadingMessage } from "./dom.js";
import { sendFeedback, undoLatest } from "../feedback.js";
import { bytes, counted, nameOf } from "../format.js";
import { libraryInfo } from "../library_info.js";
import { errorMessage } from "./toasts.js";

const KINDS = [
  ["exact", "same bytes", "files with the same bytes"],
  ["copies", "copies", "saved again, resized, cropped, rotated …"],
  ["near", "near", "another photo of the same scene"],
];
const PAGE_SIZE = 40;
const RETRY_INTERVAL = 2000;   // milliseconds until a search that still runs is requested again

let container = null, groups = [], nextOffset = 0, response = null, kind = "", selected = 1, retryTimer = null;

/** Show the screen; load the groups if another kind is requested. */
export function showDuplicates(content, { isNew }) {
  container = content;
  if (isNew) {
    fill(container, el("div", { class: "duplicates" },
      el("header", { class: "duplicates-head" }, el("h1", {}, "Duplicates"),
        el("div", { class: "segments kinds", role: "group", "aria-label": "Kind of duplicates" }),
        el("p", { class: "muted counts" })),
      el("div", { class: "duplicates-body" })));
    kind = "";
    document.addEventListener("keydown", handleKey);
  }
  fill(container.querySelector(".kinds"), KINDS.map(([value, label, title]) => el("button", {
    type: "button", "aria-pressed": String(value === state.kind), title, onclick: () => navigate({ kind: value, group: 0 }),
  }, label)));
  if (kind !== state.kind) { kind = state.kind; load(); } else if (groups.length) draw();
}

const bodyElement = () => container.querySelector(".duplicates-body");

async function load() {
  const requested = kind;
  clearTimeout(retryTimer);
  groups = [];
  nextOffset = 0;
  showCounts("");
  fill(bodyElement(), loadingMessage("Comparing images…", "The first time takes minutes in a large library."));
  await loadPage(requested).catch((error) => showError(requested, error));
}

function showError(requested, error) {
  if (kind === requested) fill(bodyElement(), errorMessage(error, load));
}

/** Load the next page of groups; request it again later if the search still runs. */
async function loadPage(requested) {
  const page = await get("duplicates", { kind: requested, offset: groups.length, k: PAGE_SIZE });
  if (kind !== requested || state.page !== "duplicates") return;
  if (page.running) {
    retryTimer = setTimeout(() => loadPage(requested).catch((error) => showError(requested, error)), RETRY_INTERVAL);
    return;
  }
  const isFirst = !groups.length;
  response = page;
  groups.push(...page.groups);
  nextOffset = page.next_offset;
  if (isFirst) { selected = 1; announce(groups.length ? counted(page.total, "group") : "No duplicates."); }
  draw();
}

const groupIndex = () => Math.min(state.group, Math.max(0, groups.length - 1));

function showCounts(text) { fill(container.querySelector(".counts"), text); }

function draw() {
  const body = bodyElement();
  if (!groups.length) { fill(body, emptyMessage()); showCounts(""); return; }
  const reclaimable = groups.reduce((sum, group) => sum + group.reclaimable_bytes, 0);
  showCounts([counted(Math.max(groups.length, nextOffset ? response.total : 0), "group"),
    `${bytes(reclaimable)}${nextOffset ? " or more" : ""} reclaimable`,
    response.hidden ? `${counted(response.hidden, "pair")} hidden by feedback` : null].filter(Boolean).join(" · "));
  const group = groups[groupIndex()];
  selected = Math.min(Math.max(1, selected), group.members.length - 1);
  const focusedIn = document.activeElement?.closest?.(".group-list, .group")?.className;
  fill(body, groupList(), el("section", { class: "group", "aria-label": `Group ${groupIndex() + 1}` },
    comparison(group, selected, (index) => { selected = index; draw(); }), actions(group), shortcutHelp()));
  const currentEntry = body.querySelector("[aria-current]");
  currentEntry?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (focusedIn === "group-list") currentEntry?.focus({ preventScroll: true });
  else if (focusedIn) body.querySelector(".actions button")?.focus({ preventScroll: true });
  if (nextOffset && groupIndex() > groups.length - 8) { nextOffset = 0; loadPage(kind).catch(() => { nextOffset = groups.length; }); }
}

function emptyMessage() {
  return el("div", { class: "empty" }, el("h2", {}, "No duplicates"),
    el("p", {}, !response?.searched ? "There are no images to compare."
      : `${counted(response.searched, "image was", "images were")} compared.${response.missing ? ` ${sentence(response.missing)}` : ""}`));
}

function groupList() {
  return el("ol", { class: "group-list", "aria-label": "Groups" }, groups.map((group, index) => el("li", {},
    el("button", { type: "button", "aria-current": index === groupIndex() ? "true" : null, onclick: () => showGroup(index),
      "aria-label": `Group ${index + 1}: ${counted(group.members.length, "image")}, ${nameOf(group.members[0].path)}` },
    el("img", { src: thumbnail(group.members[0].id), alt: "", loading: "lazy", width: 52, height: 52 }),
    el("span", {}, `${group.members.length} ×`, el("br"), el("small", { class: "muted" }, bytes(group.reclaimable_bytes)))))));
}

function showGroup(index) {
  const target = Math.min(groups.length - 1, Math.max(0, index));
  selected = 1;
  if (target === state.group) draw(); else navigate({ group: target }, { replace: true });
}

function actions(group) {
  const disabled = libraryInfo.writable ? null : { disabled: true };
  const isExact = group.members[selected].kind === "exact";
  return el("div", {},
    el("p", { class: "actions" },
      button("Keep the left", null, () => keep(group, 0), { ...disabled, "aria-keyshortcuts": "1" }),
      button("Keep the right", null, () => keep(group, selected), { ...disabled, "aria-keyshortcuts": "2" }),
      button("Not duplicates", null, () => separate(group),
        { ...disabled, ...(isExact ? { disabled: true, title: "They have the same bytes." } : {}), "aria-keyshortcuts": "n" }),
      button("Next group", "forward", () => showGroup(groupIndex() + 1),
        { class: "main", disabled: groupIndex() >= groups.length - 1, "aria-keyshortcuts": "j" })),
    libraryInfo.writable ? null : el("p", { class: "muted" }, "This server is read-only. Start it with --writable to give feedback here."));
}

const SHORTCUTS = [
  ["↓ ↑", "groups"], ["← →", "images"], ["Space", "overlay them"],
  ["1 2", "keep left, right"], ["N", "not duplicates"], ["U", "undo"],
];

const shortcutHelp = () => el("p", { class: "muted shortcuts" },
  SHORTCUTS.map(([key, action]) => el("span", {}, el("kbd", {}, key), ` ${action}`)));

async function keep(group, index) {
  const chosen = group.members[index];
  const before = [...group.members];
  const restore = () => { group.members = before; draw(); };
  if (!await sendFeedback({ kind: "keep", image: chosen.id }, `${nameOf(chosen.path)} is the one to keep.`, restore)) return;
  group.members = [{ ...chosen, keep: true }, ...group.members.filter((member) => member !== chosen)];
  selected = 1;
  draw();
}

/** Mark the two images that are compared as not duplicates. */
async function separate(group) {
  const [best, other] = [group.members[0], group.members[selected]];
  const index = groups.indexOf(group);
  const before = [...group.members];
  const restore = () => {
    group.members = before;
    if (!groups.includes(group)) groups.splice(index, 0, group);
    showGroup(index);
  };
  const decision = { kind: "not-duplicate", image: best.id, others: [other.id] };
  if (!await sendFeedback(decision, `${nameOf(other.path)} is not a duplicate of ${nameOf(best.path)}.`, restore)) return;
  group.members = group.members.filter((member) => member !== other);
  if (group.members.length < 2) groups.splice(index, 1);
  draw();
}

function handleKey(event) {
  if (state.page !== "duplicates") { document.removeEventListener("keydown", handleKey); return; }
  if (isTyping(event.target) || event.altKey || event.ctrlKey || event.metaKey
    || !groups.length || document.querySelector("dialog[open]")) return;
  const group = groups[groupIndex()];
  const others = group.members.length - 1;
  const next = () => showGroup(groupIndex() + 1), previous = () => showGroup(groupIndex() - 1);
  const action = {
    ArrowDown: next, j: next, ArrowUp: previous, k: previous,
    ArrowRight: () => { selected = selected % others + 1; draw(); },
    ArrowLeft: () => { selected = (selected + others - 2) % others + 1; draw(); },
    " ": () => document.querySelector(".side-by-side")?.classList.toggle("overlaid"),
    1: () => libraryInfo.writable && keep(group, 0),
    2: () => libraryInfo.writable && keep(group, selected),
    n: () => libraryInfo.writable && group.members[selected].kind !== "exact" && separate(group),
    u: undoLatest,
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (event.key === " " && event.target.closest?.("button, a, summary"))) return;
  event.preventDefault();
  action();
}

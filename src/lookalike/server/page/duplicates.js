// Goes through pictures that are there more than once, a group at a time, with the keyboard.

import { get, sentence, thumbnail } from "./api.js";
import { go, state } from "./address.js";
import { announce, button, el, fill, typing, working } from "./dom.js";
import { facts } from "./library_info.js";
import { compared } from "./compare.js";
import { decide, undo } from "./feedback.js";
import { refuse } from "./toasts.js";
import { bytes, counted, nameOf } from "./wording.js";

const KINDS = [["exact", "same bytes", "the same bytes"], ["copies", "copies", "saved again, resized, cropped, turned …"], ["near", "near", "another shot of the same"]];
const PAGE = 40;
const AGAIN = 2000;   // milliseconds until a search that still runs is asked again

let place = null, groups = [], next = 0, found = null, kind = "", member = 1, loading = null;

/** Draw the screen, and the groups anew where another kind is asked for. */
export function showDuplicates(into, { fresh }) {
  place = into;
  if (fresh) {
    fill(place, el("div", { class: "review" },
      el("header", { class: "review-head" }, el("h1", {}, "Duplicates"), el("div", { class: "segments kinds", role: "group", "aria-label": "What counts" }),
        el("p", { class: "soft tally" })),
      el("div", { class: "review-body" })));
    kind = "";
    document.addEventListener("keydown", keys);
  }
  fill(place.querySelector(".kinds"), KINDS.map(([value, label, title]) => el("button", {
    type: "button", "aria-pressed": String(value === state.kind), title, onclick: () => go({ kind: value, group: 0 }),
  }, label)));
  if (kind !== state.kind) { kind = state.kind; load(); } else if (groups.length) draw();
}

async function load() {
  const asked = kind;
  clearTimeout(loading);
  groups = [];
  next = 0;
  tally("");
  const body = place.querySelector(".review-body");
  fill(body, working("Comparing pictures…", "The first time takes minutes in a large library."));
  try {
    await page(asked);
  } catch (error) {
    if (kind === asked) fill(body, refuse(error, load));
  }
}

/** The next page of groups; a search that still runs is asked again in a while. */
async function page(asked) {
  const answer = await get("duplicates", { kind: asked, offset: groups.length, k: PAGE });
  if (kind !== asked || state.page !== "duplicates") return;
  if (answer.running) { loading = setTimeout(() => page(asked).catch((error) => fill(place.querySelector(".review-body"), refuse(error, load))), AGAIN); return; }
  const first = !groups.length;
  found = answer;
  groups.push(...answer.groups);
  next = answer.next_offset;
  if (first) { member = 1; announce(groups.length ? counted(answer.total, "group") : "No duplicates."); }
  draw();
}

const at = () => Math.min(state.group, Math.max(0, groups.length - 1));

function tally(text) { fill(place.querySelector(".tally"), text); }

function draw() {
  const body = place.querySelector(".review-body");
  if (!groups.length) { fill(body, nothing()); tally(""); return; }
  const spare = groups.reduce((sum, group) => sum + group.reclaimable_bytes, 0);
  tally([counted(Math.max(groups.length, next ? found.total : 0), "group"), `${bytes(spare)}${next ? " and more" : ""} are spare`,
    found.hidden ? `${counted(found.hidden, "pair")} decided` : null].filter(Boolean).join(" · "));
  const group = groups[at()];
  member = Math.min(Math.max(1, member), group.members.length - 1);
  const focused = document.activeElement?.closest?.(".rail-of-groups, .desk")?.className;
  fill(body, rail(), el("section", { class: "desk", "aria-label": `Group ${at() + 1}` },
    compared(group, member, (index) => { member = index; draw(); }), actions(group), help()));
  const current = body.querySelector("[aria-current]");
  current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (focused?.includes("rail")) current?.focus({ preventScroll: true });
  else if (focused) body.querySelector(".actions button")?.focus({ preventScroll: true });
  if (next && at() > groups.length - 8) { next = 0; page(kind).catch(() => { next = groups.length; }); }
}

function nothing() {
  return el("div", { class: "empty" }, el("h2", {}, "No duplicates"),
    el("p", {}, !found?.searched ? "There is no picture to compare."
      : `${counted(found.searched, "picture was", "pictures were")} compared.${found.missing ? ` ${sentence(found.missing)}` : ""}`));
}

function rail() {
  return el("ol", { class: "rail-of-groups", "aria-label": "Groups" }, groups.map((group, index) => el("li", {},
    el("button", { type: "button", "aria-current": index === at() ? "true" : null, onclick: () => show(index),
      "aria-label": `Group ${index + 1}: ${counted(group.members.length, "picture")}, ${nameOf(group.members[0].path)}` },
    el("img", { src: thumbnail(group.members[0].id), alt: "", loading: "lazy", width: 52, height: 52 }),
    el("span", {}, `${group.members.length} ×`, el("br"), el("small", { class: "soft" }, bytes(group.reclaimable_bytes)))))));
}

function show(index) {
  const to = Math.min(groups.length - 1, Math.max(0, index));
  member = 1;
  if (to === state.group) draw(); else go({ group: to }, { replace: true });
}

function actions(group) {
  const closed = facts.writable ? null : { disabled: true };
  const same = group.members[member].kind === "exact";
  return el("div", {},
    el("p", { class: "actions deciding" },
      button("Keep the left", null, () => keep(group, 0), { ...closed, "aria-keyshortcuts": "1" }),
      button("Keep the right", null, () => keep(group, member), { ...closed, "aria-keyshortcuts": "2" }),
      button("Not duplicates", null, () => part(group), { ...closed, ...(same ? { disabled: true, title: "They have the same bytes." } : {}), "aria-keyshortcuts": "n" }),
      button("Next group", "forth", () => show(at() + 1), { class: "main", disabled: at() >= groups.length - 1, "aria-keyshortcuts": "j" })),
    facts.writable ? null : el("p", { class: "soft" }, "This server only reads. Start it with --writable, and decisions can be made here."));
}

const help = () => el("p", { class: "soft keys-help" }, [["↓ ↑", "groups"], ["← →", "pictures"], ["Space", "lay one on the other"], ["1 2", "keep left, right"], ["N", "not duplicates"], ["U", "undo"]]
  .map(([key, does]) => el("span", {}, el("kbd", {}, key), ` ${does}`)));

async function keep(group, index) {
  const chosen = group.members[index];
  const before = [...group.members];
  const made = await decide({ kind: "keep", image: chosen.id }, `${nameOf(chosen.path)} is the one to keep.`, () => { group.members = before; draw(); });
  if (!made) return;
  group.members = [{ ...chosen, keep: true }, ...group.members.filter((one) => one !== chosen)];
  member = 1;
  draw();
}

async function part(group) {
  const [best, other] = [group.members[0], group.members[member]];
  const index = groups.indexOf(group);
  const before = [...group.members];
  const back = () => {
    group.members = before;
    if (!groups.includes(group)) groups.splice(index, 0, group);
    show(index);
  };
  const made = await decide({ kind: "not-duplicate", image: best.id, others: [other.id] }, `${nameOf(other.path)} is no duplicate of ${nameOf(best.path)}.`, back);
  if (!made) return;
  group.members = group.members.filter((one) => one !== other);
  if (group.members.length < 2) groups.splice(index, 1);
  draw();
}

function keys(event) {
  if (state.page !== "duplicates") { document.removeEventListener("keydown", keys); return; }
  if (typing(event.target) || event.altKey || event.ctrlKey || event.metaKey || !groups.length || document.querySelector("dialog[open]")) return;
  const group = groups[at()];
  const pictures = group.members.length;
  const does = {
    ArrowDown: () => show(at() + 1), j: () => show(at() + 1), ArrowUp: () => show(at() - 1), k: () => show(at() - 1),
    ArrowRight: () => { member = member % (pictures - 1) + 1; draw(); },
    ArrowLeft: () => { member = (member + pictures - 3) % (pictures - 1) + 1; draw(); },
    " ": () => document.querySelector(".laid")?.classList.toggle("over"),
    1: () => facts.writable && keep(group, 0), 2: () => facts.writable && keep(group, member), n: () => facts.writable && group.members[member].kind !== "exact" && part(group), u: undo,
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!does || (event.key === " " && event.target.closest?.("button, a, summary"))) return;
  event.preventDefault();
  does();
}

// The library itself: what is in it, by what it is compared, and which files could not be read.

import { get, send } from "./api.js";
import { state, write } from "./address.js";
import { announce, button, el, fill } from "./dom.js";
import { facts, learn } from "./library_info.js";
import { lookSoon } from "./indexing.js";
import { refuse, trying } from "./toasts.js";
import { bytes, count, counted, OUTCOMES } from "./wording.js";

const AT_ONCE = 8;   // pictures in one request

let asked = "";

/** Draw the screen; the failures anew where another outcome is asked for. */
export async function showLibrary(place, { fresh }) {
  if (fresh) {
    await learn().catch(() => {});   // the figures of a moment ago are better than none
    fill(place, el("div", { class: "page-of-facts" },
      el("h1", {}, facts.name ? `Library “${facts.name}”` : "Library"), figures(),
      facts.roots?.length ? el("p", { class: "soft" }, `From ${facts.roots.join(", ")}.${facts.version ? ` Lookalike ${facts.version}.` : ""}`) : null,
      adding(), spacesTable(),
      el("section", { id: "failures" }, el("h2", {}, "Files that are not indexed"), el("div", { class: "failures" }))));
    asked = "";
  }
  if (fresh || asked !== state.outcome) {
    asked = state.outcome;
    showFailures(place.querySelector(".failures"));
  }
}

function figures() {
  const failed = Object.entries(facts.outcomes ?? {}).filter(([name]) => name !== "indexed" && name !== "unsupported")
    .reduce((sum, [, n]) => sum + n, 0);
  const other = facts.outcomes?.unsupported ?? 0;
  const figure = (n, name) => el("div", {}, el("dt", {}, name), el("dd", {}, n));
  return el("dl", { class: "figures" },
    figure(count(facts.images), "pictures"), figure(count(failed), "could not be read"), other ? figure(count(other), "of other kinds") : null);
}

function spacesTable() {
  return el("section", {}, el("h2", {}, "Compared by"),
    el("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": "Spaces" }, el("table", {},
      el("thead", {}, el("tr", {}, ["Extractor", "Pictures", "Numbers a picture", "Similarity", "Words"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, facts.spaces.map((space) => el("tr", {}, el("th", { scope: "row" }, space.name), el("td", {}, count(space.count)),
        el("td", {}, count(space.dim)), el("td", {}, space.similarity), el("td", {}, space.text ? "yes" : "no")))))),
    facts.captions ? el("p", { class: "soft" }, `Words are looked for in the pictures' captions${facts.spaces.some((space) => space.text) ? ", too" : ""}.`) : null);
}

/** Pictures can be added where the server may write; the indexing that follows is told on every screen. */
function adding() {
  if (!facts.writable) return null;
  const input = el("input", { type: "file", accept: "image/*", multiple: true, class: "unseen", tabindex: "-1", "aria-label": "Pictures to add to the library" });
  input.addEventListener("change", async () => {
    const files = [...input.files];
    input.value = "";
    for (let at = 0; at < files.length; at += AT_ONCE) {
      const form = new FormData();
      for (const file of files.slice(at, at + AT_ONCE)) form.append("image", file, file.name);
      if (await trying(() => send("POST", "images", form)) === undefined) return;
      lookSoon();
    }
  });
  const again = async () => { if (await trying(() => send("POST", "images", {})) !== undefined) lookSoon(); };
  return el("p", { class: "actions" }, input, button("Add pictures to the library", "plus", () => input.click(), { class: "main" }),
    button("Look for new pictures in its folders", null, again));
}

async function showFailures(place) {
  fill(place, el("p", { class: "soft" }, "Looking…"));
  const { outcome } = state;
  const rows = el("ul", { class: "rows" });
  const more = button("Show more", null, () => load());
  let offset = 0;
  async function load() {
    more.disabled = true;
    try {
      const answer = await get("failures", { offset, ...(outcome ? { outcome } : {}) });
      if (state.outcome !== outcome) return;
      if (!offset) {
        fill(place, kinds(answer.counts ?? {}), rows, more);
        announce(answer.failures.length ? counted(answer.failures.length, "file") : "No failures.");
      }
      rows.append(...answer.failures.map(row));
      if (!rows.firstChild) fill(place, kinds(answer.counts ?? {}), fine());
      offset = answer.next_offset;
      more.hidden = !offset;
    } catch (error) {
      fill(place, refuse(error, () => showFailures(place)));
    }
    more.disabled = false;
  }
  await load();
}

const fine = () => el("p", { class: "fine" }, "Every file that looked like a picture could be read.");

function kinds(counts) {
  const there = Object.entries(counts).filter(([name, n]) => name !== "indexed" && n);
  if (there.length < 2) return null;
  const link = (outcome, label) => el("a", {
    class: "button value", href: write({ ...state, outcome }), "data-go": true, "aria-current": state.outcome === outcome ? "true" : null,
  }, label);
  return el("p", { class: "values" }, link("", "all"), there.map(([name, n]) => link(name, `${OUTCOMES[name] ?? name} ${count(n)}`)));
}

function row(failure) {
  return el("li", {}, el("span", { class: "path" }, failure.path), el("span", { class: "soft" }, bytes(failure.size)),
    el("span", { class: "reason" }, failure.reason || OUTCOMES[failure.outcome]));
}

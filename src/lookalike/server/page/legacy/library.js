// The library itself: counts, spaces, and the files that could not be indexed.

import { get, send } from "../api.js";
import { format, state } from "../address.js";
import { announce, button, el, fill } from "./dom.js";
import { bytes, count, counted, OUTCOMES } from "../format.js";
import { pollNow } from "../job_progress.js";
import { libraryInfo } from "../library_info.js";
import { errorMessage, tryOrToast } from "./toasts.js";

const UPLOAD_BATCH = 8;   // images in one request

let shownOutcome = "";

/** Show the screen; load the failures if another outcome is requested. */
export async function showLibrary(container, { isNew }) {
  if (isNew) {
    fill(container, el("div", { class: "library" },
      el("h1", {}, libraryInfo.name ? `Library “${libraryInfo.name}”` : "Library"), figures(),
      libraryInfo.roots?.length ? el("p", { class: "muted" },
        `From ${libraryInfo.roots.join(", ")}.${libraryInfo.version ? ` Lookalike ${libraryInfo.version}.` : ""}`) : null,
      addButtons(), spacesTable(),
      el("section", { id: "failures" }, el("h2", {}, "Files that are not indexed"), el("div", { class: "failures" }))));
  }
  if (isNew || shownOutcome !== state.outcome) {
    shownOutcome = state.outcome;
    showFailures(container.querySelector(".failures"));
  }
}

function figures() {
  const outcomes = libraryInfo.outcomes ?? {};
  const failed = Object.entries(outcomes)
    .filter(([name]) => name !== "indexed" && name !== "skipped")
    .reduce((sum, [, n]) => sum + n, 0);
  const figure = (n, name) => el("div", {}, el("dt", {}, name), el("dd", {}, count(n)));
  return el("dl", { class: "figures" }, figure(libraryInfo.images, "images"), figure(failed, "could not be read"),
    outcomes.skipped ? figure(outcomes.skipped, "other files") : null);
}

function spacesTable() {
  const { captions, spaces } = libraryInfo;
  const alsoSpaces = spaces.some((space) => space.text) ? ", too" : "";
  return el("section", {}, el("h2", {}, "Extractors"),
    el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Extractors" }, el("table", {},
      el("thead", {}, el("tr", {},
        ["Extractor", "Images", "Dimensions", "Similarity", "Text"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, spaces.map((space) => el("tr", {}, el("th", { scope: "row" }, space.name), el("td", {}, count(space.count)),
        el("td", {}, count(space.dim)), el("td", {}, space.similarity), el("td", {}, space.text ? "yes" : "no")))))),
    captions ? el("p", { class: "muted" }, `Text is searched in the captions of images${alsoSpaces}.`) : null);
}

/** Create the buttons that add images, if the server is writable. */
function addButtons() {
  if (!libraryInfo.writable) return null;
  const input = el("input", { type: "file", accept: "image/*", multiple: true, class: "visually-hidden", tabindex: "-1",
    "aria-label": "Images to add to the library" });
  input.addEventListener("change", async () => {
    const files = [...input.files];
    input.value = "";
    for (let start = 0; start < files.length; start += UPLOAD_BATCH) {
      const form = new FormData();
      for (const file of files.slice(start, start + UPLOAD_BATCH)) form.append("image", file, file.name);
      if (await tryOrToast(() => send("POST", "images", form)) === undefined) return;
      pollNow();
    }
  });
  const updateFolders = async () => { if (await tryOrToast(() => send("POST", "images", {})) !== undefined) pollNow(); };
  return el("p", { class: "actions" }, input, button("Add images to the library", "plus", () => input.click(), { class: "main" }),
    button("Look for new images in its folders", null, updateFolders));
}

async function showFailures(container) {
  fill(container, el("p", { class: "muted" }, "Loading…"));
  const { outcome } = state;
  const list = el("ul", { class: "failure-list" });
  const moreButton = button("Show more", null, () => load());
  let offset = 0;
  async function load() {
    moreButton.disabled = true;
    try {
      const page = await get("failures", { offset, ...(outcome ? { outcome } : {}) });
      if (state.outcome !== outcome) return;
      if (!offset) {
        fill(container, outcomeLinks(page.counts ?? {}), list, moreButton);
        announce(page.failures.length ? counted(page.failures.length, "file") : "No failures.");
      }
      list.append(...page.failures.map(failureRow));
      if (!list.firstChild)
        fill(container, outcomeLinks(page.counts ?? {}), el("p", { class: "success" }, "Every image file could be read."));
      offset = page.next_offset;
      moreButton.hidden = !offset;
    } catch (error) {
      fill(container, errorMessage(error, () => showFailures(container)));
    }
    moreButton.disabled = false;
  }
  await load();
}

function outcomeLinks(counts) {
  const present = Object.entries(counts).filter(([name, n]) => name !== "indexed" && n);
  if (present.length < 2) return null;
  const link = (outcome, label) => el("a", {
    class: "button value", href: format({ ...state, outcome }), "data-navigate": true,
    "aria-current": state.outcome === outcome ? "true" : null,
  }, label);
  return el("p", { class: "values" }, link("", "all"), present.map(([name, n]) => link(name, `${OUTCOMES[name] ?? name} ${count(n)}`)));
}

function failureRow(failure) {
  return el("li", {}, el("span", { class: "path" }, failure.path), el("span", { class: "muted" }, bytes(failure.size)),
    el("span", { class: "reason" }, failure.reason || OUTCOMES[failure.outcome]));
}

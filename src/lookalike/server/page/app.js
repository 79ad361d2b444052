// Entry point: shows the screen that the state of the page names.

import { format, onNavigate, startNavigation, state } from "./address.js";
import { openSession } from "./api.js";
import { el, fill, icon, isTyping } from "./dom.js";
import { counted } from "./format.js";
import { listenForImages } from "./image_input.js";
import { watchJobs } from "./job_progress.js";
import { libraryInfo, loadLibraryInfo } from "./library_info.js";
import { updateLightbox, updateLightboxHit } from "./lightbox.js";
import { showQuery } from "./query.js";
import { clearResults, showResults } from "./results.js";
import { openInitially, optionsButton, optionsPanel, showOptions } from "./search_options.js";
import { errorMessage, showToast, tryOrToast } from "./toasts.js";
import { askForToken } from "./token_dialog.js";

const SCREENS = [
  ["search", "Search", "search"],
  ["map", "Map", "map"],
  ["duplicates", "Duplicates", "copies"],
  ["library", "Library", "library"],
];
const content = document.getElementById("content");
const query = document.getElementById("query");

function showPageLinks() {
  fill(document.getElementById("pages"), SCREENS.map(([page, label, iconName]) => el("a", {
    href: format({ ...state, page, open: null }), "data-navigate": true, "aria-current": page === state.page ? "page" : null,
  }, icon(iconName), el("span", {}, label))));
}

const SCREEN_MODULES = {
  map: () => import("./map.js").then((module) => module.showMap),
  duplicates: () => import("./duplicates.js").then((module) => module.showDuplicates),
  library: () => import("./library.js").then((module) => module.showLibrary),
};

function showSearchScreen() {
  if (content.dataset.page !== "search") {
    content.dataset.page = "search";
    fill(content, el("div", { class: "toolbar" }, optionsButton()),
      el("div", { class: "results-layout" }, el("div", { class: "results", id: "results" }), optionsPanel()));
  }
  showResults(document.getElementById("results")).then(updateLightboxHit);
  showOptions();
}

async function showState() {
  showPageLinks();
  showQuery(query);
  document.title = state.page === "search" ? "Lookalike" : `${SCREENS.find(([page]) => page === state.page)[1]} · Lookalike`;
  if (state.page === "search") {
    showSearchScreen();
  } else {
    const { page } = state;
    try {
      const showScreen = await SCREEN_MODULES[page]();
      if (state.page !== page) return;
      const isNew = content.dataset.page !== page;
      if (isNew) { content.dataset.page = page; fill(content); scrollTo({ top: 0, behavior: "instant" }); }
      showScreen(content, { isNew });
    } catch (error) {
      content.dataset.page = "";
      fill(content, errorMessage(error, showState));
    }
  }
  updateLightbox();
}

function handleShortcut(event) {
  if (isTyping(event.target) || event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    query.querySelector("input")?.focus();
  }
}

async function start() {
  addEventListener("token-required", () => askForToken(start));
  try {
    await openSession();
    await loadLibraryInfo();
  } catch (error) {
    if (error.status === 401) return;
    fill(content, errorMessage(error, start));
    return;
  }
  openInitially();
  content.dataset.page = "";
  showState();
}

startNavigation();
onNavigate(showState);
listenForImages();
document.addEventListener("keydown", handleShortcut);
watchJobs(async ({ failed, message }) => {
  clearResults();
  await tryOrToast(loadLibraryInfo);
  const failures = failed ? `, ${counted(failed, "file")} could not be read` : "";
  showToast(message || `Indexing has ended: ${counted(libraryInfo.images, "image")}${failures}.`, { kind: "hint" });
  if (state.page === "library" || !libraryInfo.images) { content.dataset.page = ""; showState(); }
});
start();

// Puts the page together: which screen is shown follows from the state, and the state from the address.

import { listen as listenToAddress, start, state, write } from "./address.js";
import { openSession } from "./api.js";
import { el, fill, icon, typing } from "./dom.js";
import { facts, learn } from "./library_info.js";
import { listen as listenForPictures } from "./image_input.js";
import { watchIndexing } from "./indexing.js";
import { completeLarge, showLarge } from "./lightbox.js";
import { refuse, say, trying } from "./toasts.js";
import { showQuestion } from "./question.js";
import { openAtFirst, refineButton, refinePanel, showRefine } from "./search_options.js";
import { forget, showResults } from "./results.js";
import { askForToken } from "./token.js";
import { counted } from "./wording.js";

const SCREENS = [["search", "Search", "search"], ["map", "Map", "map"], ["duplicates", "Duplicates", "copies"], ["library", "Library", "library"]];
const content = document.getElementById("content");
const question = document.getElementById("question");

function showPages() {
  fill(document.getElementById("pages"), SCREENS.map(([page, label, drawn]) => el("a", {
    href: write({ ...state, page, open: null }), "data-go": true, "aria-current": page === state.page ? "page" : null,
  }, icon(drawn), el("span", {}, label))));
}

const LOADED = {
  map: () => import("./map.js").then((it) => it.showMap),
  duplicates: () => import("./duplicates.js").then((it) => it.showDuplicates),
  library: () => import("./library.js").then((it) => it.showLibrary),
};

function searchScreen() {
  if (content.dataset.page !== "search") {
    content.dataset.page = "search";
    fill(content, el("div", { class: "tools" }, refineButton()), el("div", { class: "sides-by" }, el("div", { class: "found", id: "found" }), refinePanel()));
  }
  showResults(document.getElementById("found")).then(completeLarge);
  showRefine();
}

async function show(before) {
  showPages();
  showQuestion(question);
  document.title = state.page === "search" ? "Lookalike" : `${SCREENS.find(([page]) => page === state.page)[1]} · Lookalike`;
  if (state.page === "search") {
    searchScreen();
  } else {
    const { page } = state;
    try {
      const screen = await LOADED[page]();
      if (state.page !== page) return;
      const fresh = content.dataset.page !== page;
      if (fresh) { content.dataset.page = page; fill(content); scrollTo({ top: 0, behavior: "instant" }); }
      screen(content, { fresh, before });
    } catch (error) {
      content.dataset.page = "";
      fill(content, refuse(error, () => show(before)));
    }
  }
  showLarge();
}

function shortcuts(event) {
  if (typing(event.target) || event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    question.querySelector("input")?.focus();
  }
}

async function begin() {
  addEventListener("token-wanted", () => askForToken(begin));
  try {
    await openSession();
    await learn();
  } catch (error) {
    if (error.status === 401) return;
    fill(content, refuse(error, begin));
    return;
  }
  openAtFirst();
  content.dataset.page = "";
  show(state);
}

start();
listenToAddress((_, before) => show(before));
listenForPictures();
document.addEventListener("keydown", shortcuts);
watchIndexing(async ({ failed, message }) => {
  forget();
  await trying(learn);
  say(message || `Indexing has ended: ${counted(facts.images, "picture")}${failed ? `, ${counted(failed, "file")} could not be read` : ""}.`, { kind: "hint" });
  if (state.page === "library" || !facts.images) { content.dataset.page = ""; show(state); }
});
begin();

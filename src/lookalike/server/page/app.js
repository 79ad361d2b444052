// @ts-check
// Entry point: loads what every view needs, and shows the screen that the address names.

import { navigate, startNavigation } from "./address.js";
import { openSession, sentence } from "./api.js";
import { ActionBar } from "./action_bar.js";
import { Header, SCREENS } from "./header.js";
import { html, render, useEffect, useState, useStore } from "./html.js";
import { listenForImages } from "./image_input.js";
import { JobProgress, watchJobs } from "./job_progress.js";
import { failureCount, loadLibraryInfo } from "./library_info.js";
import { showToast, tryOrToast } from "./messages.js";
import { headingOf, isQuery, loadResults, reloadResults } from "./results.js";
import { SearchView } from "./search_view.js";
import { clearSelection } from "./selection.js";
import { loadSettings } from "./settings.js";
import { state, update } from "./store.js";
import { Toasts } from "./toasts.js";
import { ErrorMessage, hideMissingImages, isTyping, lazy } from "./ui.js";
import { loadServerSentences, t } from "./words.js";

/** Screens that are loaded when they are first shown. */
const LAZY = {
  browse: () => import("./browse_view.js").then((module) => module.BrowseView),
  map: () => import("./map_view.js").then((module) => module.MapView),
  duplicates: () => import("./duplicates_view.js").then((module) => module.DuplicatesView),
  library: () => import("./library_view.js").then((module) => module.LibraryView),
};
/** @type {Record<string, any>} */
const loaded = { search: SearchView };

function Screen() {
  const page = useStore((state) => state.address.page);
  const [, redraw] = useState(0);
  const [error, setError] = useState(null);
  useEffect(() => {
    scrollTo({ top: history.state?.scroll ?? 0, behavior: "instant" });
    if (loaded[page]) return;
    setError(null);
    Promise.all([(LAZY[page] ?? LAZY.library)(), loadServerSentences()]).then(([View]) => { loaded[page] = View; redraw((n) => n + 1); }, setError);
  }, [page]);
  const View = loaded[page];
  if (error) return html`<${ErrorMessage} error=${error} retry=${() => location.reload()} />`;
  return View ? html`<${View} key=${page} />` : html`<div class="empty" role="status" />`;
}

const LargeView = lazy(async () => (await import("./large_view.js")).LargeView);
const Help = lazy(async () => (await import("./help.js")).Help);
const TokenDialog = lazy(async () => (await import("./token_dialog.js")).TokenDialog);
const TileMenu = lazy(async () => (await import("./tile_menu.js")).TileMenu);

function titleOf(address) {
  const heading = address.page === "search" ? headingOf(address) : t(`screen ${address.page}`);
  return heading ? `${heading} · Lookalike` : "Lookalike";
}

function App() {
  const address = useStore((state) => state.address), library = useStore((state) => state.library);
  const error = useStore((state) => state.startError), dialog = useStore((state) => state.dialog);
  const hasMenu = useStore((state) => state.menu !== null), hasSelection = useStore((state) => state.selection.size > 0);
  useEffect(() => { document.title = titleOf(address); }, [address]);
  useEffect(() => { document.body.classList.toggle("has-selection", hasSelection); }, [hasSelection]);
  return html`
    <a class="skip" href="#content" onclick=${skip}>${t("skip")}</a>
    <${Header} />
    <${JobProgress} />
    <main id="content" tabindex="-1" data-page=${address.page}>
      ${error ? html`<${ErrorMessage} error=${error} retry=${start} />` : library && html`<${Screen} />`}</main>
    <${ActionBar} />
    ${!(library && address.open !== null) && html`<${Toasts} />`}
    ${hasMenu && html`<${TileMenu} />`}
    ${library && address.open !== null && html`<${LargeView} />`}
    ${dialog === "help" && html`<${Help} />`}
    ${dialog === "token" && html`<${TokenDialog} onAccepted=${() => { update({ dialog: "" }); start(); }} />`}`;
}

/** Go to the first image, past the filters. */
function skip(event) {
  event.preventDefault();
  /** @type {any} */ (document.querySelector("#content .grid a[tabindex='0']") ?? document.getElementById("content")).focus();
}

function handleShortcut(event) {
  if (isTyping(event.target) || event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open], :popover-open")) return;
  if (event.key === "/") {
    event.preventDefault();
    /** @type {any} */ (document.querySelector("#query input"))?.focus();
  }
  if (event.key === "?") update({ dialog: "help" });
  if (event.key === "Escape" && state.selection.size) clearSelection();
  const screen = "gG".includes(event.key) ? null : SCREENS[Number(event.key) - 1];
  if (screen && state.address.page !== "duplicates") navigate({ page: screen[0], open: null });
}

async function start() {
  try {
    await openSession();
    const info = loadLibraryInfo();
    if (state.address.page === "search") loadResults();   // at the same time
    await info;
    update({ startError: null });
  } catch (error) {
    if (error.status !== 401) update({ startError: error });
  }
}

async function begin() {
  await loadSettings();
  startNavigation();
  listenForImages();
  hideMissingImages();
  addEventListener("token-required", () => update({ dialog: "token" }));
  document.addEventListener("keydown", handleShortcut);
  render(html`<${App} />`, /** @type {any} */ (document.getElementById("app")));
  await start();
  watchJobs(async ({ kind, message, state: end }) => {
    await tryOrToast(loadLibraryInfo);
    // The figures are those of the page, not of this run, so that the two agree.
    const failed = failureCount(state.library), failures = failed ? `, ${t("couldNotBeRead", { n: failed })}` : "";
    const isIndexed = kind === "index" && end === "done";
    showToast(isIndexed || !message ? `${t("indexingEnded", { n: state.library.images })}${failures}.` : sentence(message), { kind: "hint" });
    reloadResults();
  }, async () => {
    await tryOrToast(loadLibraryInfo);
    // Who has scrolled down looks at something.
    if (state.address.page === "search" && !isQuery(state.address) && scrollY < innerHeight) reloadResults();
  });
}

begin();

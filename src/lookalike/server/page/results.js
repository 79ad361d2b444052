// The images of the library, or the hits of a query, page by page.

import { get } from "./api.js";
import { navigate, queryParams, savedScroll, state } from "./address.js";
import { announce, el, fill } from "./dom.js";
import { BANDS, count, counted, seconds } from "./format.js";
import { createGrid } from "./grid.js";
import { libraryInfo } from "./library_info.js";
import { createTile } from "./tile.js";
import { errorMessage } from "./toasts.js";
import { welcome } from "./welcome.js";

const PAGE_SIZE = 60;
const CACHE_SIZE = 8;   // results that the back button shows without a request
const cache = new Map();

let pending = null;            // AbortController of the running request
export let current = null;     // {key, grid, pages, state, bands}: the results on the screen

const isQuery = (one) => one.terms.some((term) => term.weight > 0);

/** Return a text that two states share if and only if they show the same images. */
const keyOf = (one) => (isQuery(one) ? "?" : "") + queryParams(one).toString();

function requestPage(one, offset, signal) {
  // Without a query all images are shown in a mixed order: neighbours in a folder look alike.
  const params = isQuery(one) ? queryParams(one) : new URLSearchParams(one.where ? { where: one.where } : { order: "spread" });
  params.set("k", PAGE_SIZE);
  params.set("offset", offset);
  return get(isQuery(one) ? "search" : "images", params, { signal });
}

/** Show the images of the state in `container`. The previous ones stay until the new ones have arrived. */
export async function showResults(container) {
  const key = keyOf(state);
  if (state.terms.length && !isQuery(state)) { showOnlyNegative(container); return; }
  if (current?.key === key && current.grid.element.isConnected) { current.grid.redraw(); return; }
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  const cached = cache.get(key);
  if (cached) { draw(container, key, cached.pages); return; }
  container.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => container.classList.add("loading"), 150);
  try {
    draw(container, key, [await requestPage(state, 0, signal)]);
    // After the next frame, when the hits are visible; benchmarks/page.py reads this mark.
    requestAnimationFrame(() => setTimeout(() => performance.mark("drawn", { detail: key }), 0));
  } catch (error) {
    if (error.name === "AbortError") return;
    closeCurrent();
    fill(container, errorMessage(error, () => { container.replaceChildren(); showResults(container); }));
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) {
      container.classList.remove("loading");
      container.removeAttribute("aria-busy");
    }
  }
}

function closeCurrent() {
  current?.grid.close();
  current = null;
}

/** A query of negative terms alone has no hits. */
function showOnlyNegative(container) {
  pending?.abort();
  closeCurrent();
  fill(container, el("div", { class: "empty" }, el("h2", {}, "Less like this, but more like what?"),
    el("p", {}, "Add an image or text to search for.")));
}

/** Discard all results, because the library has changed. */
export function clearResults() {
  cache.clear();
  if (current) current.key = null;
}

function draw(container, key, pages) {
  closeCurrent();
  const results = { key, pages, state, bands: createBands(pages[0]) };
  results.grid = createGrid({
    label: isQuery(state) ? "Hits" : "Images of the library",
    drawTile: (item, box) => createTile(item, box, state),
    drawHeading: bandHeading,
    loadMore: () => loadMore(results),
  });
  current = results;
  cache.delete(key);
  cache.set(key, results);
  if (cache.size > CACHE_SIZE) cache.delete(cache.keys().next().value);
  const first = pages[0];
  const isEmpty = !imagesOf(first).length;
  fill(container, isQuery(state) ? null : welcome(first), isEmpty ? emptyMessage(first) : [summary(first), results.grid.element]);
  pages.forEach((page, i) => results.grid.append(withHeadings(results, imagesOf(page)), i === pages.length - 1 && !page.next_offset));
  scrollTo({ top: savedScroll(), behavior: "instant" });
  announce(isEmpty ? "Nothing found." : countText(first));
}

const imagesOf = (page) => page.hits ?? page.images;

async function loadMore(results) {
  const { next_offset: offset } = results.pages.at(-1);
  try {
    const page = await requestPage(results.state, offset, pending?.signal);
    results.pages.push(page);
    const images = imagesOf(page);
    results.grid.append(withHeadings(results, images), !page.next_offset || !images.length);
  } catch (error) {
    if (error.name === "AbortError") return;
    // 400: the server returns no more hits than this, and retrying would not change that.
    const retry = error.status === 400 ? null : (message) => { message.remove(); loadMore(results); };
    results.grid.element.after(errorMessage(error, retry));
  }
}

// ---- bands of relevance

const BAND_ORDER = ["near-copy", "strong", "plausible", "weak"];

/** Return the state of the headings, or null if hits are not in the order of their bands: diversity and several
 * extractors mix them. */
function createBands(page) {
  if (!page.hits?.length || !page.hits.some((hit) => hit.relevance)) return null;
  const levels = page.hits.map((hit) => BAND_ORDER.indexOf(hit.relevance ?? "weak"));
  return levels.every((level, i) => !i || level >= levels[i - 1]) ? { last: null } : null;
}

function withHeadings(results, hits) {
  if (!results.bands) return hits;
  const items = [];
  for (const hit of hits) {
    const band = hit.relevance ?? "weak";
    const { last } = results.bands;
    if (BAND_ORDER.indexOf(band) > BAND_ORDER.indexOf(last)) {
      items.push({ heading: band, isFirst: last === null, height: band === "weak" ? 92 : last === null ? 40 : 56 });
      results.bands.last = band;
    }
    items.push(hit);
  }
  return items;
}

function bandHeading({ heading, isFirst }) {
  const { title, about } = BANDS[heading];
  if (heading !== "weak") {
    return el("li", { class: `band ${heading}` }, el("h2", {}, title), el("span", { class: "muted" }, about));
  }
  return el("li", { class: "band weak" },
    el("p", { class: "band-line" }, el("span", {}, isFirst ? "Nothing similar found" : "Nothing better found")),
    el("p", { class: "muted" }, isFirst ? "These are the nearest images." : "The following images are no more similar than any others."));
}

// ---- texts

function countText(page) {
  if (!page.hits) return counted(page.total ?? page.images.length, "image");
  return `${count(page.hits.length)}${page.next_offset ? " and more" : ""} of ${counted(page.searched_count, "image")}`;
}

function summary(page) {
  if (!page.hits) {
    return el("h2", { class: "summary" }, state.where ? `${countText(page)} that pass the filter` : `All ${countText(page)}`);
  }
  const taken = page.seconds?.total;
  return el("p", { class: "summary" },
    el("span", { "data-count": page.hits.length },
      page.ranked_by.startsWith("captions") ? countText(page) : `The most similar of ${counted(page.searched_count, "image")}`),
    el("span", { class: "muted" }, [page.ranked_by && `by ${page.ranked_by.replaceAll("+", " + ")}`, page.exact ? null : "approximate",
      taken !== undefined && seconds(taken)].filter(Boolean).join(" · ")));
}

function emptyMessage(page) {
  const isFiltered = state.where !== "";
  return el("div", { class: "empty" },
    el("h2", {}, isQuery(state) ? "Nothing found" : isFiltered ? "No image passes the filter" : "The library is empty"),
    el("p", {}, emptyAdvice(page, isFiltered)),
    isFiltered ? el("button", { type: "button", class: "main", onclick: () => navigate({ where: "" }) }, "Remove the filter") : null);
}

function emptyAdvice(page, isFiltered) {
  if (isFiltered) return `${isQuery(state) ? "No image that passes the filter matches. " : ""}Remove the filter, or make it wider.`;
  if (page.ranked_by === "captions") return "No caption or keyword has these words. Try others, or an image.";
  if (state.min_relevance) return "No image is similar enough. Allow a lower relevance.";
  if (isQuery(state)) return "Try another text, or an image.";
  const add = libraryInfo.writable ? "Add images on the page Library, or index" : "Index";
  return `${add} a folder with lookalike index; this page shows it as it grows.`;
}

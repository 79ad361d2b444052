// @ts-check
// Data of the search screen: the images of the library, or the hits of a query, page by page.

import { address, navigate, queryParams } from "./address.js";
import { get, rememberSize, send } from "./api.js";
import { state, update } from "./store.js";
import { t } from "./words.js";

const FIRST_PAGE = 60;
const LATER_PAGES = [120, 300, 600];   // larger ones, so that a fast scroll does not reach the end
const MAX_CACHED = 8;                  // results that the back button shows without a request

/** @type {Map<string, any>} */
const cache = new Map();
/** @type {AbortController | null} */
let pending = null;
let pendingKey = "";   // of the request that runs

/** Does this address ask for something, other than to see less of it? */
export const isQuery = (one) => one.terms.some((term) => term.weight > 0);

/** Return what an address asks for in words: its texts, or its filter; "" for neither. */
export function headingOf({ terms, where }) {
  const words = terms.filter((term) => term.kind === "text").map((term) => (term.weight < 0 ? `−${term.value}` : term.value));
  return words.join(" ") || (isQuery({ terms }) ? t("similarImages") : where);
}

/** Return a text that two addresses share if and only if they show the same images. */
const keyOf = (one) => (isQuery(one) ? "?" : `${one.order} `) + queryParams(one).toString();

/** Return the parameters of images without a query; early.js has the same ones. Unless a filter or an order is set,
 * the order is mixed: neighbours in a folder look alike. */
function listParams({ where, order }) {
  const params = new URLSearchParams(where ? { where } : {});
  if (order) params.set("sort", order.replace(/^-/, ""));
  if (order.startsWith("-")) params.set("order", "newest");
  else if (!order && !where) params.set("order", "spread");
  return params;
}

function requestPage(one, offset, k, signal) {
  const params = isQuery(one) ? queryParams(one) : listParams(one);
  params.set("k", String(k));
  params.set("offset", String(offset));
  return get(isQuery(one) ? "search" : "images", params, { signal });
}

/** Return the images of a page of results without those that the query names. */
function imagesOf(page, one) {
  const asked = new Set(one.terms.filter((term) => term.kind === "image").map((term) => Number(term.value)));
  for (const item of page.hits ?? page.images) rememberSize("image", item.id, item.width, item.height);
  return (page.hits ?? page.images).filter((item) => !page.hits || !asked.has(item.id));
}

/**
 * Load the images of the address, unless they are shown already. The previous ones stay until the new ones have
 * arrived, and after an error.
 */
export async function loadResults() {
  const one = address, key = keyOf(one);
  if (one.terms.length && !isQuery(one)) { pending?.abort(); update({ results: { key, isQuery: true, onlyNegative: true, items: [] } }); return; }
  if (state.results?.key === key && !state.results.error && !state.results.isLoading && !state.results.isStale) return;
  if (pendingKey === key && state.results?.isLoading && !state.results.isStale) return;
  pending?.abort();
  const cached = cache.get(key);
  if (cached) { update({ results: cached }); markDrawn(key); return; }
  pending = new AbortController();
  pendingKey = key;
  const { signal } = pending;
  update({ results: { ...(state.results ?? { items: [] }), isLoading: true, isStale: false, error: null } });
  try {
    const page = await requestPage(one, 0, FIRST_PAGE, signal);
    if (signal.aborted) return;
    keep(resultsOf(page, one, key));
    markDrawn(key);
  } catch (error) {
    if (error.name === "AbortError") return;
    update({ results: { ...state.results, isLoading: false, error } });
  }
}

/** Search with a file instead of the terms of the address, in one request. Throws what the server says if it refuses. */
export async function searchByFile(file) {
  const one = { ...address, page: "search", open: null, region: null, terms: [] };
  const form = new FormData();
  form.append("query", JSON.stringify(bodyOf(queryParams(one))));
  form.append("image", file, file.name || "image");
  const size = sizeOfFile(file);
  const page = await send("POST", "search", form);
  const [value] = page.uploads, known = await size;
  if (known) rememberSize("upload", value, ...known);
  const next = { ...one, terms: [{ kind: "upload", value, weight: 1 }] };
  const key = keyOf(next);
  cache.set(key, resultsOf(page, next, key));
  navigate(next);
}

/** Return the parameters of a query as the body of a request has them, with the size of the first page. */
function bodyOf(params) {
  const body = { k: FIRST_PAGE };
  for (const [name, value] of params) body[name] = name === "extractor" ? [...(body[name] ?? []), value] : value;
  return body;
}

/** Return the upright size of an image file, [width, height]; null if the browser cannot decode it. */
const sizeOfFile = (file) => new Promise((resolve) => {
  const image = new Image(), source = URL.createObjectURL(file);
  const end = () => { URL.revokeObjectURL(source); resolve(image.naturalWidth ? [image.naturalWidth, image.naturalHeight] : null); };
  image.onload = image.onerror = end;
  image.src = source;
});

const resultsOf = (page, one, key) => ({
  key, isQuery: Boolean(page.hits), address: one, items: imagesOf(page, one), total: page.total ?? page.searched_count,
  nextOffset: page.next_offset, first: page, pageCount: 1, isLoading: false, error: null,
});

/** After the next frame, when the hits are visible; benchmarks/page.py reads this mark. */
const markDrawn = (key) => requestAnimationFrame(() => setTimeout(() => performance.mark("drawn", { detail: key }), 0));

function keep(results) {
  cache.delete(results.key);
  cache.set(results.key, results);
  if (cache.size > MAX_CACHED) cache.delete([...cache.keys()][0]);
  update({ results });
}

/** Load the next page of the results that are shown. */
export async function loadMore() {
  const results = state.results;
  if (!results?.nextOffset || results.isLoading || results.isLoadingMore || results.moreError) return;
  update({ results: { ...results, isLoadingMore: true } });
  const k = LATER_PAGES[Math.min(results.pageCount - 1, LATER_PAGES.length - 1)];
  try {
    const page = await requestPage(results.address, results.nextOffset, k, pending?.signal);
    if (state.results?.key !== results.key) return;
    const items = imagesOf(page, results.address);
    keep({ ...results, items: [...results.items, ...items], nextOffset: items.length ? page.next_offset : null, pageCount: results.pageCount + 1 });
  } catch (error) {
    if (error.name === "AbortError" || state.results?.key !== results.key) return;
    // 400: the server returns no more hits than this, and retrying would not change that.
    keep(error.status === 400 ? { ...results, nextOffset: null } : { ...results, moreError: error });
  }
}

/** Request the next page again after an error. */
export function retryMore() {
  update({ results: { ...state.results, moreError: null } });
  loadMore();
}

/** Discard all results, because the library has changed, and load those that are shown again. */
export function reloadResults() {
  cache.clear();
  if (state.results) state.results = { ...state.results, isStale: true };
  if (address.page === "search") loadResults();
}

/** Change the images that are shown without loading them again; null removes one. */
export function changeItems(change) {
  cache.clear();
  const { results } = state;
  if (!results?.items) return;
  const items = results.items.map(change).filter(Boolean);
  update({ results: { ...results, items, total: results.total - (results.items.length - items.length) } });
}

// ---- terms of the query

/** Toggle a term: add it, change its sign, or remove it if it is there with the same sign. */
function toggleTerm(terms, kind, value, weight) {
  const same = terms.find((term) => term.kind === kind && term.value === value);
  const others = terms.filter((term) => term !== same);
  if (same && Math.sign(same.weight) === Math.sign(weight)) return others;
  return [...others, { kind, value, weight }];
}

const toSearch = (terms, changes = {}) => navigate({ page: "search", open: null, terms, ...changes });

export const moreLike = (id) => toSearch(toggleTerm(address.terms, "image", String(id), 1));
export const lessLike = (id) => toSearch(toggleTerm(address.terms, "image", String(id), -1));
export const onlyLike = (id) => toSearch([{ kind: "image", value: String(id), weight: 1 }], { region: null });

const MAX_QUERY_IMAGES = 8;

/** Search with an evenly spaced sample of images; `sign` -1 adds them to the query as "less like". */
export function searchWith(ids, sign = 1) {
  const step = Math.max(1, ids.length / MAX_QUERY_IMAGES);
  const sample = Array.from({ length: Math.min(ids.length, MAX_QUERY_IMAGES) }, (_, i) => String(ids[Math.floor(i * step)]));
  const others = sign < 0 ? address.terms.filter((term) => !sample.includes(term.value)) : [];
  toSearch([...others, ...sample.map((value) => ({ kind: "image", value, weight: sign }))],
    { region: sign < 0 ? address.region : null, viewport: "", lasso: "" });
}

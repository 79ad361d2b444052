// What the page shows is in its address. This module parses, formats and changes it, and keeps it in the state.
// A query has the same parameters in the address as in the API, so that one can be pasted into the other.

import { state as store, update } from "./store.js";

/** @typedef {{kind: string, value: string, weight: number}} Term  kind: "image", "upload" or "text"; weight below 0: less like this */
/** @typedef {ReturnType<typeof parse> & Record<string, any>} Address */

const FLAGS = ["collapse_duplicates", "any_orientation", "feedback", "exact"];
const CHOICES = ["min_relevance", "verify", "fusion", "similarity"];
const SIGNS = { image: 1, text: 1, upload: 1, not_image: -1, not_text: -1, not_upload: -1 };
const MAP_PARAMETERS = ["method", "color", "viewport", "lasso"];
const SCROLL_DELAY = 200;   // milliseconds without scrolling until the place is saved
const PAGES = ["search", "browse", "map", "duplicates", "library"];

/**
 * Parse a parameter such as `not_text=2:red` into a term, or null if it is invalid.
 *
 * @returns {Term | null}
 */
function parseTerm(name, text) {
  const kind = name.replace("not_", "");
  const weighted = /^(\d+(?:\.\d+)?):(.+)$/s.exec(text);
  const weight = weighted ? Number(weighted[1]) : 1;
  const value = weighted ? weighted[2] : text;
  if (!weight || (kind === "image" && !/^\d+$/.test(value))) return null;
  return { kind, value, weight: SIGNS[name] * weight };
}

const parseNumber = (text, low, high, otherwise) => {
  const value = Number(text);
  return text === null || text === "" || !Number.isFinite(value) ? otherwise : Math.min(high, Math.max(low, value));
};

function parseRegion(text) {
  const numbers = (text ?? "").split(",").map(Number);
  const valid = numbers.length === 4 && numbers.every((n) => Number.isFinite(n) && n >= 0 && n <= 1);
  return valid && numbers[2] > 0 && numbers[3] > 0 ? numbers : null;
}

/** Parse an address. Parameters that are missing or invalid have their defaults. */
export function parse(search) {
  const params = new URLSearchParams(search);
  const page = params.get("page") ?? "";
  const parsed = {
    page: PAGES.includes(page) ? page : "search",
    terms: /** @type {Term[]} */ ([]),
    region: parseRegion(params.get("region")),
    extractors: params.getAll("extractor"),
    where: params.get("where") ?? "",
    alpha: parseNumber(params.get("alpha"), 0, 1, 0.5),
    diversity: parseNumber(params.get("diversity"), 0, 1, 0),
    open: /^\d+$/.test(params.get("open") ?? "") ? Number(params.get("open")) : null,
    kind: params.get("kind") ?? "copies",
    group: parseNumber(params.get("group"), 0, 1e9, 0),
    outcome: params.get("outcome") ?? "",
    by: params.get("by") ?? "",
    sort: params.get("sort") ?? "",
    order: params.get("order") ?? "",   // of images without a query: a field, "-" before it for falling values
  };
  for (const [name, text] of params) {
    const term = name in SIGNS && text ? parseTerm(name, text) : null;
    if (term) parsed.terms.push(term);
  }
  for (const name of FLAGS) parsed[name] = params.get(name) === "true";
  for (const name of [...CHOICES, ...MAP_PARAMETERS]) parsed[name] = params.get(name) ?? "";
  return parsed;
}

/** Return the index of the term whose image the region applies to, by the server's rule: the first positive
 * upload, else the first positive image; -1: none. */
export function regionTermIndex(terms) {
  const first = (kind) => terms.findIndex((term) => term.kind === kind && term.weight > 0);
  return first("upload") >= 0 ? first("upload") : first("image");
}

function appendTerm(params, { kind, value, weight }) {
  const size = Math.abs(weight);
  const bare = size === 1 && !/^\d+(\.\d+)?:/.test(value);
  params.append(weight < 0 ? `not_${kind}` : kind, bare ? value : `${size}:${value}`);
}

/** Return the parameters of the query of a state for the API, without `k` and `offset`. */
export function queryParams(one) {
  const params = new URLSearchParams();
  for (const term of one.terms) appendTerm(params, term);
  const hasImages = one.terms.some((term) => term.kind !== "text");
  if (one.region && regionTermIndex(one.terms) >= 0) params.set("region", one.region.map((n) => n.toFixed(4)).join(","));
  for (const name of one.extractors) params.append("extractor", name);
  if (one.where) params.set("where", one.where);
  if (one.alpha !== 0.5 && hasImages) params.set("alpha", one.alpha);
  if (one.diversity) params.set("diversity", one.diversity);
  if (one.sort) params.set("sort", one.sort);
  for (const name of FLAGS) if (one[name]) params.set(name, "true");
  for (const name of CHOICES) if (one[name]) params.set(name, one[name]);
  return params;
}

/** Return the text of an address. */
export function format(one) {
  const params = new URLSearchParams();
  if (one.page !== "search") params.set("page", one.page);
  for (const [name, value] of queryParams(one)) params.append(name, value);
  if (one.order) params.set("order", one.order);
  if (one.page === "duplicates") {
    if (one.kind !== "copies") params.set("kind", one.kind);
    if (one.group) params.set("group", one.group);
  }
  if (one.page === "library" && one.outcome) params.set("outcome", one.outcome);
  if (one.page === "browse" && one.by) params.set("by", one.by);
  if (one.page === "map") {
    for (const name of MAP_PARAMETERS) if (one[name]) params.set(name, one[name]);
  }
  if (one.open !== null) params.set("open", one.open);
  // Commas and colons are allowed in a query string and are easier to read unescaped.
  return "?" + params.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
}

/** The address that is shown; changed by `navigate` only. */
export let address = parse(location.search);
store.address = address;

function setAddress(next) {
  address = next;
  update({ address });
}

/** Change parts of the address. `replace`: without a new entry in the browser's history. */
export function navigate(changes, { replace = false } = {}) {
  const next = { ...address, ...changes };
  const search = format(next);
  if (search === format(address)) return;
  const openedFrom = originOf(next, replace);
  if (!replace) saveScroll();
  history[replace ? "replaceState" : "pushState"]({ scroll: replace ? scrollY : 0, openedFrom }, "", search);
  setAddress(next);
}

/** Return the address from which the image of a state was opened, and how many history entries back it is. */
function originOf(next, replace) {
  if (next.open === null) return undefined;
  const current = history.state?.openedFrom;
  if (replace) return current;
  return address.open === null ? { address: format(address), steps: 1 } : current && { ...current, steps: current.steps + 1 };
}

/** Close the open image. If it was opened on this page this goes back in the history, so that the back button
 * does not open it again. */
export function closeImage() {
  const origin = history.state?.openedFrom;
  if (origin?.address === format({ ...address, open: null })) history.go(-origin.steps);
  else navigate({ open: null }, { replace: true });
}

/** Return the scroll position at which this address was left, or the page was reloaded. */
export const savedScroll = () => history.state?.scroll ?? 0;

const saveScroll = () => history.replaceState({ ...history.state, scroll: scrollY }, "");

/** Follow links with `data-navigate` and the browser's back and forward buttons. */
export function startNavigation() {
  history.scrollRestoration = "manual";
  addEventListener("popstate", () => setAddress(parse(location.search)));
  // For a reload, which leaves no time to save it.
  let timer = /** @type {any} */ (0);
  addEventListener("scroll", () => { clearTimeout(timer); timer = setTimeout(saveScroll, SCROLL_DELAY); }, { passive: true });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? /** @type {HTMLAnchorElement | null} */ (event.target.closest("a[data-navigate]")) : null;
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    navigate(parse(link.search));
  });
}

export { address as state };

// The state of the page is its address. This module reads it, writes it, and tells who listens.
// A question has the same words in the address as in the API, so one can be pasted into the other.

const FLAGS = ["collapse_duplicates", "any_orientation", "feedback", "exact"];
const CHOICES = ["min_relevance", "verify", "fusion", "similarity"];
const SIGNED = { image: 1, text: 1, upload: 1, not_image: -1, not_text: -1, not_upload: -1 };
export const PAGES = ["search", "map", "duplicates", "library"];

/** A term is {kind: "image" | "upload" | "text", value, weight}; below 0: less like this. */
function term(name, raw) {
  const sign = SIGNED[name];
  const kind = name.replace("not_", "");
  const weighted = /^(\d+(?:\.\d+)?):(.+)$/s.exec(raw);
  const weight = weighted ? Number(weighted[1]) : 1;
  const value = weighted ? weighted[2] : raw;
  if (!weight || (kind === "image" && !/^\d+$/.test(value))) return null;
  return { kind, value, weight: sign * weight };
}

const number = (text, low, high, otherwise) => {
  const value = Number(text);
  return text === null || text === "" || !Number.isFinite(value) ? otherwise : Math.min(high, Math.max(low, value));
};

function box(text) {
  const numbers = (text ?? "").split(",").map(Number);
  const whole = numbers.length === 4 && numbers.every((n) => Number.isFinite(n) && n >= 0 && n <= 1);
  return whole && numbers[2] > 0 && numbers[3] > 0 ? numbers : null;
}

/** The state that an address means; what it does not say has its ordinary value. */
export function parse(search) {
  const given = new URLSearchParams(search);
  const page = given.get("page");
  const state = {
    page: PAGES.includes(page) ? page : "search",
    terms: [],
    region: box(given.get("region")),
    extractors: given.getAll("extractor"),
    where: given.get("where") ?? "",
    alpha: number(given.get("alpha"), 0, 1, 0.5),
    diversity: number(given.get("diversity"), 0, 1, 0),
    open: /^\d+$/.test(given.get("open") ?? "") ? Number(given.get("open")) : null,
    kind: given.get("kind") ?? "copies",
    group: number(given.get("group"), 0, 1e9, 0),
    outcome: given.get("outcome") ?? "",
    method: given.get("method") ?? "",
    color: given.get("color") ?? "",
    at: given.get("at") ?? "",
    lasso: given.get("lasso") ?? "",
  };
  for (const [name, raw] of given) {
    const found = name in SIGNED && raw ? term(name, raw) : null;
    if (found) state.terms.push(found);
  }
  for (const name of FLAGS) state[name] = given.get(name) === "true";
  for (const name of CHOICES) state[name] = given.get(name) ?? "";
  return state;
}

/** The place of the picture that a region is a part of, as the server sees it: the first that hits should be
 * like, uploads before images; -1 without one. */
export function regionPlace(terms) {
  const first = (kind) => terms.findIndex((term) => term.kind === kind && term.weight > 0);
  return first("upload") >= 0 ? first("upload") : first("image");
}

function addTerm(into, { kind, value, weight }) {
  const size = Math.abs(weight);
  const bare = size === 1 && !/^\d+(\.\d+)?:/.test(value);
  into.append(weight < 0 ? `not_${kind}` : kind, bare ? value : `${size}:${value}`);
}

/** What the API's search wants to know of a state, without a page of answers (`k`, `offset`). */
export function question(state) {
  const into = new URLSearchParams();
  for (const one of state.terms) addTerm(into, one);
  const pictures = state.terms.some((one) => one.kind !== "text");
  if (state.region && regionPlace(state.terms) >= 0) into.set("region", state.region.map((n) => n.toFixed(4)).join(","));
  for (const name of state.extractors) into.append("extractor", name);
  if (state.where) into.set("where", state.where);
  if (state.alpha !== 0.5 && pictures) into.set("alpha", state.alpha);
  if (state.diversity) into.set("diversity", state.diversity);
  for (const name of FLAGS) if (state[name]) into.set(name, "true");
  for (const name of CHOICES) if (state[name]) into.set(name, state[name]);
  return into;
}

/** The address of a state. */
export function write(state) {
  const into = new URLSearchParams();
  if (state.page !== "search") into.set("page", state.page);
  for (const [name, value] of question(state)) into.append(name, value);
  if (state.page === "duplicates") {
    if (state.kind !== "copies") into.set("kind", state.kind);
    if (state.group) into.set("group", state.group);
  }
  if (state.page === "library" && state.outcome) into.set("outcome", state.outcome);
  if (state.page === "map") {
    for (const name of ["method", "color", "at", "lasso"]) if (state[name]) into.set(name, state[name]);
  }
  if (state.open !== null) into.set("open", state.open);
  // Commas and colons may stand in a query as they are, and are easier to read so.
  return "?" + into.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
}

const listeners = [];
export let state = parse(location.search);

/** Call with (state, previous state) after every change. */
export function listen(heard) {
  listeners.push(heard);
}

function tell(next) {
  const before = state;
  state = next;
  for (const heard of listeners) heard(state, before);
}

/** Change parts of the state. `replace`: the back button does not come back to the state before. */
export function go(changes, { replace = false } = {}) {
  const next = { ...state, ...changes };
  const there = write(next);
  if (there === write(state)) return;
  const under = opened(next, replace);
  if (!replace) history.replaceState({ ...history.state, scroll: scrollY }, "");
  history[replace ? "replaceState" : "pushState"]({ scroll: replace ? scrollY : 0, under }, "", there);
  tell(next);
}

/** Of a state with an open picture: the address from which it was opened, and how many steps back it lies. */
function opened(next, replace) {
  if (next.open === null) return undefined;
  const before = history.state?.under;
  if (replace) return before;
  return state.open === null ? { address: write(state), steps: 1 } : before && { ...before, steps: before.steps + 1 };
}

/** Close the open picture. Where it was opened on this page, that is going back, so that the back button
 * does not open it again. */
export function shut() {
  const under = history.state?.under;
  if (under?.address === write({ ...state, open: null })) history.go(-under.steps);
  else go({ open: null }, { replace: true });
}

/** How far the page was scrolled when this state was left. */
export const remembered = () => history.state?.scroll ?? 0;

/** Follow links within the page and the buttons of the browser. */
export function start() {
  history.scrollRestoration = "manual";
  addEventListener("popstate", () => tell(parse(location.search)));
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[data-go]") : null;
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(parse(link.search));
  });
}

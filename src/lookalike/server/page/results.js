// The pictures of the library, or the answers to a question, page after page.

import { get } from "./api.js";
import { go, question, remembered, state } from "./address.js";
import { announce, el, fill } from "./dom.js";
import { facts } from "./library_info.js";
import { gallery } from "./gallery.js";
import { refuse } from "./toasts.js";
import { tile } from "./tile.js";
import { BANDS, count, counted, seconds } from "./wording.js";
import { welcome } from "./welcome.js";

const PAGE = 60;
const KEPT = 8;   // answers kept for the back button
const cache = new Map();

let running = null;   // aborts the request of a question that is no longer asked
export let current = null;   // {key, gallery, answer, items, next}

const asked = (one) => one.terms.some((term) => term.weight > 0);

/** What is asked for, as one text: two states with the same one show the same pictures. */
const keyOf = (one) => (asked(one) ? "?" : "") + question(one).toString();

function page(one, offset, signal) {
  // Without a question all pictures are shown, well mixed: neighbours in a folder look alike anyway.
  const params = asked(one) ? question(one) : new URLSearchParams(one.where ? { where: one.where } : { order: "spread" });
  params.set("k", PAGE);
  params.set("offset", offset);
  return get(asked(one) ? "search" : "images", params, { signal });
}

/** Show what the state asks for in `place`; the answer that is there stays until the next one is. */
export async function showResults(place) {
  const key = keyOf(state);
  if (state.terms.length && !asked(state)) { onlyLess(place); return; }
  if (current?.key === key && current.gallery.node.isConnected) { current.gallery.redraw(); return; }
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const old = cache.get(key);
  if (old) { draw(place, key, old.answer, old.pages); return; }
  place.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => place.classList.add("waiting"), 150);
  try {
    const answer = await page(state, 0, signal);
    draw(place, key, answer, [answer]);
    // After the next frame, when it can be seen; benchmarks/page.py reads it.
    requestAnimationFrame(() => setTimeout(() => performance.mark("drawn", { detail: key }), 0));
  } catch (error) {
    if (error.name === "AbortError") return;
    current?.gallery.close();
    current = null;
    fill(place, refuse(error, () => { place.replaceChildren(); showResults(place); }));
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) {
      place.classList.remove("waiting");
      place.removeAttribute("aria-busy");
    }
  }
}

/** A question that says only what is not meant has no answer. */
function onlyLess(place) {
  running?.abort();
  current?.gallery.close();
  current = null;
  fill(place, el("div", { class: "empty" }, el("h2", {}, "Less like this, but more like what?"),
    el("p", {}, "Say also what to look for: a picture or words.")));
}

/** Forget answers, because the library has changed. */
export function forget() {
  cache.clear();
  if (current) current.key = null;
}

function draw(place, key, answer, pages) {
  current?.gallery.close();
  const one = { key, answer, pages, state, bands: bands(answer) };
  one.gallery = gallery({
    label: asked(state) ? "Pictures that were found" : "Pictures of the library",
    draw: (item, box) => tile(item, box, state),
    heading: bandHeading,
    more: () => further(one),
  });
  current = one;
  cache.delete(key);
  cache.set(key, one);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value);
  const first = pictures(answer);
  fill(place, asked(state) ? null : welcome(answer), summary(one), first.length ? one.gallery.node : nothing(answer));
  pages.forEach((each, at) => one.gallery.append(sections(one, pictures(each)), at === pages.length - 1 && !each.next_offset));
  scrollTo({ top: remembered(), behavior: "instant" });
  announce(first.length ? found(answer) : "Nothing found.");
}

const pictures = (answer) => answer.hits ?? answer.images;

async function further(one) {
  const { next_offset: offset } = one.pages.at(-1);
  try {
    const answer = await page(one.state, offset, running?.signal);
    one.pages.push(answer);
    const some = pictures(answer);
    one.gallery.append(sections(one, some), !answer.next_offset || !some.length);
  } catch (error) {
    if (error.name === "AbortError") return;
    // 400: the server answers no deeper, and trying again would not change that.
    const again = error.status === 400 ? null : (notice) => { notice.remove(); further(one); };
    one.gallery.node.after(refuse(error, again));
  }
}

// ---- bands of relevance

const ORDER = ["near-copy", "strong", "plausible", "weak"];

/** Are hits in the order of their bands? Only then can a line be drawn between two of them. */
function bands(answer) {
  if (!answer.hits?.length || !answer.hits.some((hit) => hit.relevance)) return null;
  const levels = answer.hits.map((hit) => ORDER.indexOf(hit.relevance ?? "weak"));
  return levels.every((level, at) => !at || level >= levels[at - 1]) ? { last: null } : null;
}

function sections(one, hits) {
  if (!one.bands) return hits;
  const rows = [];
  for (const hit of hits) {
    const band = hit.relevance ?? "weak";
    if (ORDER.indexOf(band) > ORDER.indexOf(one.bands.last)) {
      rows.push({ heading: band, first: one.bands.last === null, height: band === "weak" ? 92 : one.bands.last === null ? 40 : 56 });
      one.bands.last = band;
    }
    rows.push(hit);
  }
  return rows;
}

function bandHeading({ heading, first }) {
  const { title, about } = BANDS[heading];
  if (heading !== "weak") {
    return el("li", { class: `band ${heading}` }, el("h2", {}, title), el("span", { class: "soft" }, about));
  }
  return el("li", { class: "band end" },
    el("p", { class: "end-line" }, el("span", {}, first ? "Nothing really alike was found" : "Nothing better found")),
    el("p", { class: "soft" }, first ? "These are the nearest all the same." : "What follows is no more alike than any other picture."));
}

// ---- what is said of the answer

function found(answer) {
  if (!answer.hits) return counted(answer.total ?? answer.images.length, "picture");
  const some = `${count(answer.hits.length)}${answer.next_offset ? " and more" : ""}`;
  return `${some} of ${counted(answer.searched_count, "picture")}`;
}

function summary(one) {
  const { answer } = one;
  if (!pictures(answer).length) return null;
  if (!answer.hits) {
    return el("h2", { class: "summary" }, state.where ? `${found(answer)} under the filter` : `All ${found(answer)}`);
  }
  const taken = answer.seconds?.total;
  return el("p", { class: "summary" },
    el("span", { "data-count": answer.hits.length }, answer.ranked_by === "captions" ? found(answer) : `The most alike of ${counted(answer.searched_count, "picture")}`),
    el("span", { class: "soft" }, [answer.ranked_by && `by ${answer.ranked_by.replaceAll("+", " + ")}`, answer.exact ? null : "approximate",
      taken !== undefined && seconds(taken)].filter(Boolean).join(" · ")));
}

function nothing(answer) {
  const filtered = state.where !== "";
  return el("div", { class: "empty" },
    el("h2", {}, asked(state) ? "Nothing found" : filtered ? "No picture passes the filter" : "The library is empty"),
    el("p", {}, filtered ? `${asked(state) ? "No picture that passes the filter answers this. " : ""}Take the filter away, or make it wider.`
      : answer.ranked_by === "captions" ? "No caption or keyword has these words. Try others, or a picture."
      : state.min_relevance ? "No picture is as alike as you ask for. Let weaker ones be shown, too."
        : asked(state) ? "Try other words, or a picture."
          : `${facts.writable ? "Add pictures on the page Library, or index" : "Index"} a folder with lookalike index, and this page shows it as it grows.`),
    filtered ? el("button", { type: "button", class: "main", onclick: () => go({ where: "" }) }, "Take the filter away") : null);
}

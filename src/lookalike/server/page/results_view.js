// @ts-check
// The images of the library or the hits of a query: the scale of relevance, the grid, and what to do if there is nothing.

import { announce } from "./messages.js";
import { navigate, savedScroll } from "./address.js";
import { seconds } from "./format.js";
import { Grid } from "./grid.js";
import { html, useEffect, useMemo, useRef, useState, useStore } from "./html.js";
import { isQuery, loadMore, loadResults, retryMore } from "./results.js";
import { changeSettings } from "./settings.js";
import { heightBelow, tileAttributes } from "./tile.js";
import { Button, ErrorMessage, lazy, Menu } from "./ui.js";
import { Welcome } from "./welcome.js";
import { count, t } from "./words.js";

const FirstRun = lazy(async () => (await import("./first_run.js")).FirstRun);
const BANDS = ["near-copy", "strong", "plausible", "weak"];
const DIVIDER_WIDTH = 84;   // pixels, of the divider between images

/** Return the number of hits of each band and the place of its first one, or null where hits are not in this order. */
export function bandsOf(items) {
  const bands = new Map();
  let level = 0;
  for (const [i, item] of items.entries()) {
    if (!item.relevance) return null;
    const next = BANDS.indexOf(item.relevance);
    if (next < level) return null;   // diversity and several extractors mix the bands
    level = next;
    const band = bands.get(item.relevance);
    if (band) band.count += 1; else bands.set(item.relevance, { first: i, count: 1 });
  }
  return bands.size ? bands : null;
}

/** Return what hits were ranked by, as people read it: an extractor, captions, … */
function rankingName(name) {
  const [kind, space] = name.startsWith("content (") ? ["content", name.slice(9, -1)] : [name, ""], text = t(`ranking ${kind}`, { space });
  return text === `ranking ${kind}` ? name : text;
}

/** Return the items of the grid: hits, and a divider before those that are no closer than any others. */
function withDivider(items, bands, row) {
  const weak = bands?.get("weak");
  if (!weak || weak.first === 0) return items;
  return [...items.slice(0, weak.first), { divider: t("lessCertain"), ratio: DIVIDER_WIDTH / row }, ...items.slice(weak.first)];
}

function Scale({ results, bands, top, onJump }) {
  const first = results.first;
  const taken = first.seconds?.total;
  const shown = BANDS.filter((band) => bands?.has(band));
  const isLast = (band) => band === shown[shown.length - 1] && results.nextOffset;
  const countOf = (band) => (band === "weak" ? t("rest") : `${count(bands.get(band).count)}${isLast(band) ? "+" : ""}`);
  const current = bands && shown.findLast((band) => bands.get(band).first <= Math.max(0, top));
  return html`<div class="scale-bands">
    ${bands ? html`<div class="bands" role="group" aria-label=${t("relevance")}>${shown.map((band) => html`
        <button type="button" key=${band} class=${`band ${band}`} aria-current=${band === current ? "true" : undefined} title=${t(`about ${band}`)}
          onclick=${() => onJump(bands.get(band).first + (band === "weak" && bands.get(band).first > 0 ? 1 : 0))}>
          <i class=${`dot ${band}`} />${t(`band ${band}`)} <b>${band === "weak" ? "" : countOf(band)}</b></button>`)}</div>`
      : html`<span class="count">${first.ranked_by?.startsWith("captions") ? foundText(results) : t("mostSimilar", { n: results.total })}</span>`}
    <span class="muted facts">${[first.ranked_by && t("rankedBy", { name: first.ranked_by.split("+").map(rankingName).join(" + ") }), first.exact === false ? t("approximate") : null,
      taken !== undefined && seconds(taken)].filter(Boolean).join(" · ")}</span></div>`;
}

const foundText = (results) => t("found", { n: results.items.length, more: results.nextOffset ? "+" : "", total: results.total });

/** The line above the grid; it stays in view. */
function ResultsBar({ results, bands, top, onJump, library, settings, rail }) {
  return html`<div class="results-bar">
    ${rail}
    ${results.isQuery ? html`<${Scale} results=${results} bands=${bands} top=${top} onJump=${onJump} />`
      : html`<h2 class="count">${t(results.address.where ? "passFilter" : "allImages", { n: results.total })}</h2>`}
    <${Menu} id="view-menu" label=${t("view")} icon="sliders" class="quiet-text" width=${280}>${() => html`
      <label class="menu-field"><span>${t("tileSize")}</span><input type="range" min="90" max="380" step="10" value=${settings.tile} oninput=${(event) => changeSettings({ tile: Number(event.target.value) })} /></label>
      <label class="menu-field"><span>${t("underImages")}</span><select value=${settings.captions} onchange=${(event) => changeSettings({ captions: event.target.value })}>
        ${[["", t("nothing")], ["name", t("fileName")], ...captionFieldsOf(library).map((name) => [name, name.replaceAll("_", " ")])].map(([value, text]) => html`<option key=${value} value=${value} selected=${value === settings.captions}>${text}</option>`)}</select></label>
      ${!results.isQuery && html`<label class="menu-field"><span>${t("order")}</span><select value=${results.address.order} onchange=${(event) => navigate({ order: event.target.value })}>
        ${ordersOf(library, results.address.where).map(([value, text]) => html`<option key=${value} value=${value} selected=${value === results.address.order}>${text}</option>`)}</select></label>`}`}<//>
  </div>`;
}

/** Return the orders in which images without a query can be shown: value in the address, and what people read. */
function ordersOf(library, where) {
  const fields = library.fields.filter((field) => field.images && !/^(file\.|id$|outcome$|caption$|note$|ocr_)/.test(field.name));
  return [["", t(where ? "orderIndexed" : "orderMixed")], ["-id", t("orderAdded")], ...fields.flatMap(({ name }) => {
    const text = { taken: t("byDate"), folder: t("byFolder") }[name] ?? name.replaceAll("_", " ");
    return [[name, t("orderRising", { name: text })], [`-${name}`, t("orderFalling", { name: text })]];
  })];
}

/** Return the fields whose values can stand under images. */
const captionFieldsOf = (library) => library.fields
  .filter((field) => field.images && !/^(file\.|id$|path$|name$|outcome$|size$|width$|height$|format$|latitude$|longitude$)/.test(field.name)).map((field) => field.name);

export function ResultsView({ rail }) {
  const address = useStore((state) => state.address), results = useStore((state) => state.results);
  const settings = useStore((state) => state.settings), selection = useStore((state) => state.selection);
  const library = useStore((state) => state.library);
  const [top, setTop] = useState(0);
  const grid = useRef(/** @type {any} */ (null)), box = useRef(/** @type {any} */ (null));
  useEffect(() => { loadResults(); }, [address]);
  const isShown = results?.first;
  const bands = useMemo(() => (isShown && results.isQuery ? bandsOf(results.items) : null), [results?.items]);
  const row = rowHeight(settings.tile);
  const items = useMemo(() => withDivider(results?.items ?? [], bands, row), [results?.items, bands, row]);
  const field = settings.captions;
  const attributes = useMemo(() => tileAttributes({ address, selection, captionField: field }), [address, selection, field]);
  const scroll = useMemo(savedScroll, [results?.key]);
  useEffect(() => {
    if (!isShown || results.isLoading) return;
    announce(!results.items.length ? t("nothingFound") : results.isQuery ? foundText(results) : t("allImages", { n: results.total }));
  }, [results?.key, results?.isLoading]);
  if (!results) return html`<div id="results" aria-busy="true" />`;
  if (results.onlyNegative) return html`<div id="results"><div class="empty"><h2>${t("onlyNegative")}</h2><p>${t("onlyNegativeAdvice")}</p></div></div>`;
  const hasBars = results.isQuery && Boolean(bands ?? results.items.some((item) => item.relevance));
  return html`<div id="results" class=${`results${results.isLoading ? " loading" : ""}`} aria-busy=${results.isLoading ? "true" : undefined} ref=${box}>
    ${results.error && html`<${ErrorMessage} error=${results.error} retry=${loadResults} />`}
    ${isShown && !results.isQuery && !results.address.where && results.items.length > 0 && html`<${Welcome} />`}
    ${isShown && html`<${ResultsBar} results=${results} bands=${bands} top=${top} settings=${settings} rail=${rail}
      library=${library} onJump=${(index) => grid.current?.scrollTo(index)} />`}
    ${isShown && results.isQuery && bands?.get("weak")?.first === 0 && html`<p class="note">${t("nothingClose")}</p>`}
    ${isShown && (results.items.length ? html`<${Grid} key=${results.key} items=${items} isComplete=${!results.nextOffset} onMore=${loadMore} api=${grid}
        total=${results.isQuery ? 0 : results.total} row=${row} below=${heightBelow({ hasBars, captionField: field })} scroll=${scroll}
        label=${t(results.isQuery ? "hits" : "imagesOfLibrary")} tileAttributes=${attributes} onTop=${setTop} />`
      : !results.error && html`<${Empty} results=${results} library=${library} />`)}
    ${results.moreError && html`<${ErrorMessage} error=${results.moreError} retry=${retryMore} />`}</div>`;
}

/** On a phone rows are lower, so that three images fit. */
export const rowHeight = (tile) => (innerWidth < 520 ? tile * 0.62 : innerWidth < 900 ? tile * 0.84 : tile);

function Empty({ results, library }) {
  const { address, first } = results;
  const isFiltered = address.where !== "";
  if (!library.images && library.writable && library.roots.length && !isFiltered && !results.isQuery) return html`<${FirstRun} />`;
  return html`<div class="empty">
    <h2>${results.isQuery ? t("nothingFound") : isFiltered ? t("noImagePasses") : t("libraryEmpty")}</h2>
    <p>${emptyAdvice(address, first, library, isFiltered)}</p>
    ${isFiltered && html`<${Button} label=${t("removeFilter")} class="main" onclick=${() => navigate({ where: "" })} />`}
    ${address.region && html`<${Button} label=${t("wholeImage")} class="main" onclick=${() => navigate({ region: null })} />`}</div>`;
}

function emptyAdvice(address, first, library, isFiltered) {
  if (isFiltered) return t(isQuery(address) ? "filterAdviceQuery" : "filterAdvice");
  if (first.ranked_by === "captions") return t("captionAdvice");
  if (address.min_relevance) return t("relevanceAdvice");
  if (address.region) return t("regionAdvice");
  if (isQuery(address)) return t("queryAdvice");
  return t(library.writable ? "emptyAdviceWritable" : "emptyAdvice");
}

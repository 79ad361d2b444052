// @ts-check
// Facets: the fields of the library with their values, to filter by.

import { navigate } from "./address.js";
import { formatConditions, parseConditions } from "./filter_text.js";
import { get } from "./api.js";
import { short } from "./format.js";
import { html, useEffect, useState, useStore } from "./html.js";
import { state } from "./store.js";
import { Button, debounce } from "./ui.js";
import { count, language, t } from "./words.js";

const LAST_FIELDS = ["id", "name", "folder", "path", "format", "outcome", "size", "width", "height", "latitude", "longitude"];
// What nobody filters by with a mouse; the filter as text knows them all.
const HIDDEN_FIELDS = new Set(["id", "outcome", "path", "name", "frames", "ocr_confidence", "ocr_outcome"]);
const OPEN_COUNT = 6;   // facets that are open at first
const SHORT = 7;        // values that are shown at first
const LONG_TEXT = 80;   // captions and the like are no categories: their words are searched
const UNITS = { size: "bytes", width: "px", height: "px", file_size: "bytes" };

/** Return the fields that are worth filtering by; metadata before what every file has. */
function facetFields(library) {
  const useful = library.fields.filter((field) => field.images && !HIDDEN_FIELDS.has(field.name) && !field.name.startsWith("file.")
    && ["number", "text", "date"].includes(field.kind) && field.low !== field.high && !field.examples.some((one) => String(one).length > LONG_TEXT));
  const rank = (name) => LAST_FIELDS.indexOf(name);
  return useful.sort((a, b) => rank(a.name) - rank(b.name));
}

/** Return the number of conditions that are set. */
export function countFilters(where) {
  return where ? parseConditions(where)?.length || 1 : 0;
}

/** Set the condition on a field. */
function setCondition(where, field, changes) {
  const others = (parseConditions(where) ?? []).filter((condition) => condition.field !== field);
  navigate({ where: formatConditions([...others, { field, ...changes }]) });
}

/** All fields, and `children` after them, which must not move when the counts arrive. */
export function Facets({ children }) {
  const where = useStore((store) => store.address).where, library = useStore((store) => store.library);
  const conditions = parseConditions(where);
  const fields = facetFields(library);
  const isSet = (field) => (conditions ?? []).some((one) => one.field === field.name);
  const [open, setOpen] = useState(() => new Set(fields.filter((field, i) => i < OPEN_COUNT || isSet(field)).map((field) => field.name)));
  const [counts, setCounts] = useState(/** @type {Record<string, any> | null} */ (null));
  // Images first: a browser opens six connections to a server, which these requests would fill.
  const isReady = useStore((store) => store.address.page !== "search" || (Boolean(store.results) && !store.results.isLoading));
  // All at once, so that nothing moves while one after the other arrives.
  useEffect(() => {
    const request = new AbortController();
    if (conditions && isReady) loadCounts([...open], where, request.signal).then((found) => setCounts((old) => ({ ...old, ...found })), () => setCounts((old) => old ?? {}));
    return () => request.abort();
  }, [where, open, library, isReady]);
  if (conditions && !counts) return null;
  const toggle = (name, isOpen) => {
    if (open.has(name) === isOpen) return;
    const next = new Set(open);
    if (isOpen) next.add(name); else next.delete(name);
    setOpen(next);
  };
  return html`<section class="rail-section facets" aria-label=${t("filters")}>
    ${!fields.length && html`<p class="muted">${t("noFields")}</p>`}
    ${conditions === null ? html`<p class="muted">${t("filterAsTextOnly")}</p>`
      : fields.map((field) => html`<${Facet} key=${field.name} field=${field} where=${where} isOpen=${open.has(field.name)} onToggle=${toggle}
          counts=${counts?.[field.name]} condition=${conditions.find((one) => one.field === field.name) ?? { field: field.name }} />`)}
    <${FilterText} where=${where} isOpen=${conditions === null} /></section>${children}`;
}

/** Counts of the library as it is now, by their request. @type {Map<string, any>} */
const known = new Map();
/** @type {any} */
let knownLibrary = null;

/** Return how often the values of fields occur under the conditions on the other fields, by field. */
async function loadCounts(names, where, signal) {
  if (knownLibrary !== state.library) known.clear();
  knownLibrary = state.library;
  const conditions = parseConditions(where) ?? [];
  const found = await Promise.all(names.map(async (field) => {
    const params = { field, where: formatConditions(conditions.filter((condition) => condition.field !== field)) };
    const key = JSON.stringify(params);
    if (!known.has(key)) known.set(key, await get("facets", params, { signal }));
    return known.get(key);
  }));
  return Object.fromEntries(found.map((one) => [one.field, one]));
}

/** The conditions that are set, each with a button that removes it. */
export function FilterChips() {
  const where = useStore((store) => store.address).where;
  if (!where) return null;
  const conditions = parseConditions(where);
  const chips = conditions ? conditions.map((condition) => [condition.field, formatConditions([condition])]) : [["", where]];
  return html`<ul class="filter-chips" aria-label=${t("filters")}>${chips.map(([field, text]) => html`<li key=${text}>
    <span>${text}</span><${Button} bare icon="close" label=${t("removeCondition", { text })} onclick=${() => (field ? setCondition(where, field, {}) : navigate({ where: "" }))} /></li>`)}
    ${chips.length > 1 && html`<li class="all"><button type="button" class="plain" onclick=${() => navigate({ where: "" })}>${t("removeFilter")}</button></li>`}</ul>`;
}

function Facet({ field, condition, where, isOpen, onToggle, counts }) {
  const isSet = Object.keys(condition).length > 1;
  const View = field.kind === "text" ? TextFacet : RangeFacet;
  return html`<details class="facet" data-field=${field.name} open=${isOpen} ontoggle=${(event) => onToggle(field.name, event.target.open)}>
    <summary>${field.name.replaceAll("_", " ")}${UNITS[field.name] && html` <small class="muted">${UNITS[field.name]}</small>`}${isSet && html` <span class="set">1</span>`}</summary>
    ${isOpen && counts && html`<${View} field=${field} condition=${condition} where=${where} counts=${counts} />`}</details>`;
}

/** Numbers and dates: a histogram with two handles, and the bounds as text. */
function RangeFacet({ field, condition, where, counts }) {
  const isDate = field.kind === "date";
  const [draft, setDraft] = useState(/** @type {any} */ (null));
  const { ranges } = counts;
  const day = (value) => String(value ?? "").slice(0, 10);
  const low = draft?.low ?? condition.low ?? condition.values?.[0], high = draft?.high ?? condition.high ?? condition.values?.[0];
  const highest = Math.max(1, ...ranges.map((range) => range.images));
  const first = low === undefined ? 0 : Math.max(0, ranges.findLastIndex((range) => range.low <= low));
  const last = high === undefined ? ranges.length : Math.max(first + 1, ranges.findIndex((range) => range.high >= high) + 1 || ranges.length);
  const set = (changes) => { setDraft(null); setCondition(where, field.name, { low: low ?? undefined, high: high ?? undefined, ...changes }); };
  const bound = (which, event) => {
    const text = event.target.value;
    let value = text === "" ? undefined : isDate ? text : Number(text);
    const other = which === "low" ? high : low;
    const isCrossed = value !== undefined && other !== undefined && (which === "low" ? value > other : value < other);
    set(isCrossed ? { low: which === "low" ? other : value, high: which === "low" ? value : other } : { [which]: value });
  };
  /** A handle stands at the border of a range; at the end it sets no bound. */
  const handle = (which) => {
    const place = which === "low" ? first : last;
    const valueAt = (i) => (which === "low" ? (i === 0 ? undefined : ranges[i].low) : i === ranges.length ? undefined : isDate ? dayBefore(ranges[i - 1].high) : ranges[i - 1].high);
    const limit = (i) => (which === "low" ? Math.min(i, last - 1) : Math.max(i, first + 1));
    return html`<input type="range" class=${which} min="0" max=${ranges.length} step="1" value=${place} aria-label=${`${field.name}: ${t(which === "low" ? "from" : "to")}`}
      aria-valuetext=${isDate ? day(valueAt(place) ?? field[which]) : short(valueAt(place) ?? field[which])}
      oninput=${(event) => { const i = limit(Number(event.target.value)); event.target.value = i; setDraft({ ...draft, [which]: valueAt(i) ?? field[which] }); }}
      onchange=${(event) => set({ [which]: valueAt(limit(Number(event.target.value))) })} />`;
  };
  const input = (which) => html`<input type=${isDate ? "date" : "number"} step="any" inputmode=${isDate ? undefined : "decimal"}
    value=${(which === "low" ? low : high) === undefined ? "" : isDate ? day(which === "low" ? low : high) : round(which === "low" ? low : high)}
    placeholder=${isDate ? "" : short(field[which])} min=${isDate ? day(field.low) : undefined} max=${isDate ? day(field.high) : undefined}
    aria-label=${`${field.name}: ${t(which === "low" ? "from" : "to")}`} onchange=${(event) => bound(which, event)} />`;
  return html`<div class="range">
    <div class="histogram"><svg viewBox=${`0 0 ${Math.max(1, ranges.length)} 10`} preserveAspectRatio="none" aria-hidden="true">${ranges.map((range, i) => html`
      <rect key=${i} x=${i + 0.06} width="0.88" y=${10 - barHeight(range.images, highest)} height=${barHeight(range.images, highest)} class=${i >= first && i < last ? "inside" : ""}>
        <title>${`${isDate ? day(range.low) : short(range.low)} – ${isDate ? day(range.high) : short(range.high)}: ${t("images", { n: range.images })}`}</title></rect>`)}</svg>
      ${ranges.length > 1 && html`${handle("low")}${handle("high")}`}</div>
    ${isDate && html`<p class="ticks muted" aria-hidden="true">${ticksOf(ranges).map(([i, text]) => html`<span key=${i} style=${`left:${(100 * i) / ranges.length}%`}>${text}</span>`)}</p>`}
    <div class="bounds">${input("low")}<span class="muted">${t("to")}</span>${input("high")}</div></div>`;
}

const round = (number) => Number(Number(number).toPrecision(6));
const barHeight = (images, highest) => (images ? 0.5 + 9.5 * images / highest : 0);

const MAX_TICKS = 5;

/** Return the places of a timeline that are named, [index of the range, year or month]. */
function ticksOf(ranges) {
  const nameBy = (length, format) => ranges.map(({ low }, i) => [i, format(low), low.slice(0, length)])
    .filter(([, , start], i, all) => i === 0 || all[i - 1][2] !== start);
  const years = nameBy(4, (day) => day.slice(0, 4));
  const named = years.length > 2 ? years : nameBy(7, (day) => new Date(day).toLocaleDateString(language, { month: "short", year: "2-digit", timeZone: "UTC" }));
  const step = Math.ceil(named.length / MAX_TICKS);
  return named.filter(([place], i) => i % step === 0 && place < 0.9 * ranges.length);   // at the end there is no room
}

/** A range of dates ends before its border. */
function dayBefore(text) {
  const date = new Date(`${text}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - 1);
  return date.toISOString().slice(0, 10);
}

/** Texts: their values with counts, the frequent ones first, and a search among all of them. */
function TextFacet({ field, condition, where, counts }) {
  const [search, setSearch] = useState("");
  const [isLong, setLong] = useState(false);
  const [matching, setMatching] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (!search) { setMatching(null); return; }
    const others = formatConditions((parseConditions(where) ?? []).filter((one) => one.field !== field.name));
    get("facets", { field: field.name, where: others, contains: search }).then(setMatching, () => {});
  }, [search, where]);
  const chosen = new Set(condition.values ?? []);
  const found = (matching ?? counts).values;
  // Not among the frequent ones, so not counted.
  const missing = [...chosen].filter((value) => !found.some((one) => one.value === value)).map((value) => ({ value, images: null }));
  const isCategory = found.some((one) => one.images > 1) || chosen.size > 0 || search || (found.length > 0 && found.length <= SHORT);
  const frequent = isLong ? found : found.slice(0, SHORT);
  const chosenOthers = found.filter((one) => chosen.has(one.value) && !frequent.includes(one));
  const shown = isCategory ? [...missing, ...chosenOthers, ...frequent] : [];
  const toggle = (value) => {
    if (chosen.has(value)) chosen.delete(value); else chosen.add(value);
    setCondition(where, field.name, { values: [...chosen] });
  };
  const hasSearch = !isCategory || found.length > SHORT || search;
  if (!counts.images && !chosen.size && !search && !condition.like) return html`<p class="muted small">${t("none")}</p>`;
  return html`<div class="values-control">
    ${hasSearch && html`<input type="search" value=${condition.like ?? search} placeholder=${t(isCategory ? "searchValues" : "contains")} aria-label=${`${field.name}: ${t("contains")}`}
      oninput=${isCategory ? (event) => searchSoon(setSearch, event.target.value) : undefined}
      onchange=${(event) => { if (!isCategory) setCondition(where, field.name, { like: event.target.value.trim().replaceAll(/[%_]/g, "") }); }} />`}
    <ul class="facet-values">${shown.map(({ value, images }) => html`<li key=${value}><label><input type="checkbox" checked=${chosen.has(value)} onchange=${() => toggle(value)} />
      <span class="value">${value === "" ? t("topFolder") : String(value)}</span><span class="muted">${images !== null && count(images)}</span></label></li>`)}</ul>
    ${isCategory && !isLong && found.length > SHORT && html`<button type="button" class="plain" onclick=${() => setLong(true)}>${t("moreValues", { n: found.length - SHORT })}</button>`}</div>`;
}

const searchSoon = debounce(180, (set, text) => set(text.trim()));

/** The whole filter as text, as for --where. */
function FilterText({ where, isOpen }) {
  return html`<details class="facet as-text" open=${isOpen}><summary>${t("asText")}</summary>
    <input type="text" value=${where} spellcheck=${false} autocomplete="off" placeholder="price < 50 and kind = 'mug'" aria-label=${t("filterAsText")}
      onchange=${(event) => navigate({ where: event.target.value.trim() })} />
    ${where && html`<${Button} label=${t("removeFilter")} icon="close" class="plain" onclick=${() => navigate({ where: "" })} />`}</details>`;
}

// @ts-check
// The map screen: similar images are close together. What a lasso encloses is selected, and listed beside the map.

import { navigate } from "./address.js";
import { get, thumbnail } from "./api.js";
import { countFilters, Facets, FilterChips } from "./facets.js";
import { Grid } from "./grid.js";
import { html, useEffect, useMemo, useRef, useState, useStore } from "./html.js";
import { Progress } from "./jobs.js";
import { availableSpaces } from "./library_info.js";
import { enclosedPoints } from "./map/geometry.js";
import { FAINT, groupColor, HIDDEN, SHOWN } from "./map/renderer.js";
import { parsePolygon } from "./map_address.js";
import { MapCanvas } from "./map_canvas.js";
import { useMap } from "./map_data.js";
import { announce, showToast } from "./messages.js";
import { clearSelection, selectOnly } from "./selection.js";
import { changeSettings } from "./settings.js";
import { tileAttributes } from "./tile.js";
import { Button, ErrorMessage, Loading } from "./ui.js";
import { count, language, t } from "./words.js";

const NOT_COLORS = ["id", "path", "name", "outcome", "caption", "folder"];   // fields with a value for each image
const LIST_PAGE = 90;       // images of the selection that are requested at once
const LIST_ROW = 112;       // height of rows of that list, in pixels
const BINS = 24;            // of the map in each direction, to find where a group is densest
const LABELLED = 0.015;     // share of the images from which a group is named on the map
const WIDE = matchMedia("(min-width: 900px)");

export function MapView() {
  const address = useStore((store) => store.address), library = useStore((store) => store.library);
  const selection = useStore((store) => store.selection), settings = useStore((store) => store.settings);
  const { layout, groups, kept, isFiltered, job, error, retry } = useMap(address, library);
  const [hidden, setHidden] = useState(/** @type {ReadonlySet<number>} */ (new Set()));
  const [pointed, setPointed] = useState(/** @type {number | null} */ (null));   // id of the image of the list under the pointer
  const [isSheetOpen, setSheetOpen] = useState(false), [isWide, setWide] = useState(WIDE.matches);
  useEffect(() => {
    const change = () => setWide(WIDE.matches);
    WIDE.addEventListener("change", change);
    return () => WIDE.removeEventListener("change", change);
  }, []);
  useEffect(() => { setHidden(new Set()); }, [groups]);
  const visibility = useMemo(() => (layout && (kept || hidden.size) ? Uint8Array.from(layout.ids, (id, i) =>
    (hidden.has(groups.groups[i]) ? HIDDEN : kept && !kept.has(id) ? FAINT : SHOWN)) : null), [layout, groups, kept, hidden]);
  const entries = useMemo(() => (layout ? entriesOf(layout, groups, kept) : []), [layout, groups, kept]);
  const labels = useMemo(() => (layout ? labelsOf(layout, groups, visibility, entries) : []), [layout, groups, visibility, entries]);
  const polygon = useMemo(() => parsePolygon(address.lasso), [address.lasso]);
  useLasso(address, layout && isFiltered ? layout : null, visibility, polygon, selection);

  const isOpen = isWide ? settings.rail : isSheetOpen;
  const setOpen = (/** @type {boolean} */ open) => { if (isWide) changeSettings({ rail: open }); else setSheetOpen(open); };
  const toggle = (/** @type {number} */ group) => { const next = new Set(hidden); if (!next.delete(group)) next.add(group); setHidden(next); };
  const filters = countFilters(address.where), hasImages = layout?.ids.length > 0;
  return html`<div class="map-screen">
    <header class="map-head"><h1>${t("screen map")}</h1><${Options} address=${address} library=${library} />
      ${layout && html`<${Facts} layout=${layout} kept=${kept} />`}
      ${address.method === "pca" && html`<${Button} label=${t("exactMap")} class="quiet-text" onclick=${() => showMethod("")} />`}
      <${Button} id="rail-button" icon="filter" label=${t("filters")} class="quiet-text" aria-expanded=${String(isOpen)} aria-controls="rail"
        aria-label=${filters ? t("filtersSet", { n: filters }) : undefined} onclick=${() => setOpen(!isOpen)}>${filters > 0 && html`<span class="set">${filters}</span>`}<//></header>
    <${FilterChips} />
    <div class=${`map-layout${isWide && isOpen ? " with-facets" : ""}${selection.size && layout ? " with-list" : ""}`}>
      ${isOpen && html`<aside id="rail" class=${isWide ? "rail" : "rail sheet"} aria-label=${t("filters")}
          onkeydown=${(event) => { if (event.key === "Escape" && !isWide) { event.stopPropagation(); setOpen(false); } }}>
        ${!isWide && html`<div class="sheet-head"><h2>${t("filters")}</h2><${Button} bare icon="close" label=${t("close")} class="quiet" onclick=${() => setOpen(false)} /></div>`}
        <${Facets} /></aside>`}
      <div class="map-main">
        ${error && html`<${ErrorMessage} error=${error} retry=${retry} />`}
        ${!layout && !error && (job ? html`<${Progress} job=${job} title=${t("layingOut")} note=${t("layingOutNote")}>
          ${address.method !== "pca" && html`<${Button} label=${t("roughMap")} class="plain" onclick=${() => showMethod("pca")} />`}<//>` : html`<${Loading} text=${t("loadingMap")} />`)}
        ${layout && !hasImages && html`<p class="empty">${t("nothingToLayOut")}</p>`}
        ${hasImages && html`<${MapCanvas} layout=${layout} groups=${groups} visibility=${visibility} selection=${selection} polygon=${polygon}
          viewport=${address.viewport} isOpen=${address.open !== null} pointed=${pointed} labels=${labels} theme=${settings.theme} />
          <${Legend} entries=${entries} names=${groups.names} hidden=${hidden} onToggle=${toggle} onAll=${() => setHidden(new Set())} />`}</div>
      ${selection.size > 0 && layout && html`<${SelectionList} selection=${selection} onPoint=${setPointed} />`}</div></div>`;
}

/** Show another layout: "pca" takes seconds where the usual one takes minutes. What was drawn on the one before is no place on it. */
const showMethod = (/** @type {string} */ method) => navigate({ method, viewport: "", lasso: "" });

/** Select what the lasso of the address encloses, once; forget the lasso when the selection is cleared. */
function useLasso(address, layout, visibility, polygon, selection) {
  const applied = useRef("");
  useEffect(() => {
    if (!layout || address.lasso === applied.current) return;
    const had = applied.current;
    applied.current = address.lasso;
    if (!polygon) { if (had) clearSelection(); return; }
    const ids = enclosedPoints({ x: layout.x, y: layout.y }, polygon).filter((i) => !visibility || visibility[i] === SHOWN).map((i) => layout.ids[i]);
    selectOnly(ids);
    if (ids.length) announce(t("selectedCount", { n: ids.length }));
    else { showToast(t("lassoEmpty"), { kind: "hint" }); applied.current = ""; navigate({ lasso: "" }, { replace: true }); }
  }, [address.lasso, layout, visibility]);
  useEffect(() => {
    if (!selection.size && address.lasso && applied.current === address.lasso) { applied.current = ""; navigate({ lasso: "" }, { replace: true }); }
  }, [selection]);
}

/** By what images are similar, and what their colours mean. */
function Options({ address, library }) {
  const spaces = availableSpaces().map(({ name }) => name);
  const fields = library.fields.filter((field) => field.images && !field.name.startsWith("file.") && ["text", "number", "date"].includes(field.kind)
    && !NOT_COLORS.includes(field.name)).map((field) => field.name);
  const option = (label, options, chosen, set) => html`<label class="option"><span>${label}</span>
    <select value=${chosen} onchange=${(event) => set(event.target.value)}>${options.map(([value, name]) => html`<option key=${value} value=${value} selected=${value === chosen}>${name}</option>`)}</select></label>`;
  return html`<div class="map-options">
    ${spaces.length > 1 && option(t("similarBy"), spaces.map((name) => [name, name]), address.extractors[0] ?? spaces[0], (name) => navigate({ extractors: [name], viewport: "", lasso: "" }))}
    ${option(t("colors"), [["", t("byCluster")], ["folder", t("byFolder")], ...fields.map((name) => [name, name.replaceAll("_", " ")])], address.color, (color) => navigate({ color }))}</div>`;
}

/** How many images there are, and what the layout keeps of their neighbours. */
function Facts({ layout, kept }) {
  const { ids, total, preservation } = layout;
  const shown = kept ? t("countOf", { n: kept.size, total: ids.length }) : total > ids.length ? t("countOf", { n: ids.length, total }) : t("images", { n: ids.length });
  return html`<p class="muted counts"><span>${shown}</span>${typeof preservation?.overlap === "number" && html`
    <span title=${t("neighboursKeptHelp", { n: preservation.neighbours })}>${t("neighboursKept", { n: preservation.neighbours, percent: Math.round(preservation.overlap * 100) })}</span>
    <span title=${t("trustworthinessHelp")}>${t("trustworthiness", { value: preservation.trustworthiness.toLocaleString(language, { maximumFractionDigits: 2 }) })}</span>`}</p>`;
}

/** Return the name of a group as people read it. */
function nameOfGroup(groups, group) {
  const name = groups.names[group], cluster = /^cluster (\d+)$/.exec(name ?? "");
  if (group < 0) return t("noValue");
  if (cluster) return t("cluster", { n: Number(cluster[1]) });
  if (name === "others") return t("otherValues");
  if (groups.color === "folder") return name === "(top folder)" ? t("topFolder") : name.split("/").slice(-2).join("/");
  return name;
}

/** Clusters without a name are shown by their typical images. */
const typicalOf = (groups, group) => (/^cluster \d+$/.test(groups.names[group] ?? "") ? groups.typical?.[group] ?? [] : []);

/** Return the groups that have images, with the number of those that satisfy the filter. */
function entriesOf(layout, groups, kept) {
  const counts = new Map();
  for (let i = 0; i < layout.ids.length; i += 1) if (!kept || kept.has(layout.ids[i])) counts.set(groups.groups[i], (counts.get(groups.groups[i]) ?? 0) + 1);
  return [...groups.names.keys(), -1].filter((group) => counts.has(group))
    .map((group) => ({ group, name: nameOfGroup(groups, group), typical: typicalOf(groups, group), images: counts.get(group) }));
}

/** Return the names of the larger groups, each where the group is densest. */
function labelsOf(layout, groups, visibility, entries) {
  const found = [];
  for (const { group, name, typical, images } of entries) {
    if (group < 0 || groups.names[group] === "others" || images < layout.ids.length * LABELLED) continue;
    const bins = new Map();
    for (let i = 0; i < layout.ids.length; i += 1) {
      if (groups.groups[i] !== group || (visibility && visibility[i] !== SHOWN)) continue;
      const bin = Math.floor(layout.x[i] * BINS) * 1000 + Math.floor(layout.y[i] * BINS), sum = bins.get(bin) ?? { n: 0, x: 0, y: 0 };
      bins.set(bin, { n: sum.n + 1, x: sum.x + layout.x[i], y: sum.y + layout.y[i] });
    }
    const densest = [...bins.values()].reduce((best, one) => (one.n > (best?.n ?? 0) ? one : best), /** @type {any} */ (null));
    if (densest) found.push({ group, x: densest.x / densest.n, y: densest.y / densest.n, content: typical.length ? typical.map((id) => html`<img key=${id} src=${thumbnail(id, 64)} alt="" />`) : name });
  }
  return found;
}

/** The groups; each entry hides and shows its images. */
function Legend({ entries, names, hidden, onToggle, onAll }) {
  return html`<section class="legend" aria-label=${t("legend")}><ul>${entries.map(({ group, name, typical, images }) => html`<li key=${group}>
    <button type="button" class="legend-entry" aria-pressed=${String(!hidden.has(group))} title=${t("showHide", { name: names[group] ?? name })} onclick=${() => onToggle(group)}>
      <i class="dot" style=${`background:${groupColor(group, names)}`} />${typical.map((id) => html`<img key=${id} src=${thumbnail(id, 64)} alt="" width="24" height="24" />`)}
      <span class=${typical.length ? "visually-hidden" : "name"}>${name}</span><span class="muted">${count(images)}</span></button></li>`)}
    ${hidden.size > 0 && html`<li><button type="button" class="plain" onclick=${onAll}>${t("showAllGroups")}</button></li>`}</ul></section>`;
}

/** The selected images as a list: what is encircled can be read, opened and changed without the canvas. */
function SelectionList({ selection, onPoint }) {
  const address = useStore((store) => store.address), captionField = useStore((store) => store.settings.captions);
  const [known, setKnown] = useState(/** @type {ReadonlyMap<number, any>} */ (new Map()));
  const [limit, setLimit] = useState(LIST_PAGE), [error, setError] = useState(/** @type {any} */ (null));
  const ids = useMemo(() => [...selection].slice(0, limit), [selection, limit]);
  useEffect(() => { setLimit(LIST_PAGE); }, [address.lasso]);
  useEffect(() => {
    const missing = ids.filter((id) => !known.has(id)), request = new AbortController();
    if (missing.length) {
      get("images", { where: `file.id in (${missing.join(", ")})`, k: missing.length }, { signal: request.signal }).then(({ images }) => {
        const found = new Map(images.map((image) => [image.id, image]));
        setError(null);
        setKnown((old) => new Map([...old, ...missing.map((id) => /** @type {[number, any]} */ ([id, found.get(id) ?? null]))]));
      }, (failure) => { if (failure.name !== "AbortError") setError(failure); });
    }
    return () => request.abort();
  }, [ids, known]);
  const items = useMemo(() => ids.map((id) => known.get(id)).filter(Boolean), [ids, known]);
  const isComplete = limit >= selection.size && ids.every((id) => known.has(id));
  const point = (event) => { const tile = event.target.closest?.("li[data-id]"); onPoint(tile ? Number(tile.dataset.id) : null); };
  useEffect(() => () => onPoint(null), []);
  return html`<section class="map-list" aria-label=${t("selectedImages")} onpointerover=${point} onfocusin=${point} onpointerleave=${() => onPoint(null)} onfocusout=${() => onPoint(null)}><h2>${t("selectedCount", { n: selection.size })}</h2>
    ${error && html`<${ErrorMessage} error=${error} retry=${() => { setError(null); setKnown(new Map(known)); }} />`}
    <${Grid} items=${items} isComplete=${isComplete} total=${selection.size} row=${LIST_ROW} label=${t("selectedImages")}
      onMore=${() => { if (ids.every((id) => known.has(id)) && limit < selection.size) setLimit(limit + LIST_PAGE); }}
      tileAttributes=${tileAttributes({ address, selection, captionField })} /></section>`;
}

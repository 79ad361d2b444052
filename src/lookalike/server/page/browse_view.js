// @ts-check
// All images without a query: by month, folder, place or the values of a field; and saved searches.

import { get, send, thumbnail } from "./api.js";
import { format, navigate } from "./address.js";
import { html, useEffect, useState, useStore } from "./html.js";
import { announce, tryOrToast } from "./messages.js";
import { Button, ErrorMessage, Loading } from "./ui.js";
import { language, number, t } from "./words.js";

const NOT_BROWSED = /^(file\.|id$|path$|name$|outcome$|size$|width$|height$|latitude$|longitude$|caption$|note$|folder$|taken$|frames$|ocr_)/;
const MAX_YEARS = 14;   // that are named under the timeline
const MAP_WIDTH = 1000, MAP_HEIGHT = 500;   // of the plain map of places: one unit is 0.36 degrees
const CELL = MAP_WIDTH / 720;   // half a degree, the size of a place
const GRATICULE = [30, 10, 5];  // degrees between two lines, the widest of which at least three fit; else one

/** Return the ways in which the library can be browsed: name in the address, and what people read. */
function waysOf(library) {
  const has = (name) => library.fields.some((field) => field.name === name && field.images);
  const others = library.fields.filter((field) => field.images && !NOT_BROWSED.test(field.name)).map((field) => field.name);
  return [...(has("taken") ? [["taken", t("byDate")]] : []), ["folder", t("byFolder")], ...(has("latitude") && has("longitude") ? [["place", t("byPlace")]] : []),
    ...others.map((name) => [name, name.replaceAll("_", " ")])];
}

export function BrowseView() {
  const address = useStore((store) => store.address), library = useStore((store) => store.library);
  const ways = waysOf(library), by = ways.some(([name]) => name === address.by) ? address.by : ways[0][0];
  const [found, setFound] = useState(/** @type {any} */ (null)), [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    let isHere = true;
    setError(null);
    get("images/groups", { by }).then((groups) => {
      if (!isHere) return;
      setFound(groups);
      announce(t("groups", { n: groups.total }));
    }, (failure) => { if (isHere) setError(failure); });
    return () => { isHere = false; };
  }, [by, library]);
  const shown = found?.by === by ? found : null;
  return html`<div class="browse">
    <header class="browse-head"><h1>${t("screen browse")}</h1>
      <div class="values" role="group" aria-label=${t("browseBy")}>${ways.map(([name, text]) => html`<button type="button" key=${name} class="value" aria-pressed=${String(name === by)}
        onclick=${() => navigate({ by: name })}>${text}</button>`)}</div></header>
    <${Saved} address=${address} writable=${library.writable} />
    ${error && html`<${ErrorMessage} error=${error} />`}
    ${!shown && !error && html`<${Loading} text=${t("loadingGroups")} />`}
    ${shown && (shown.groups.length ? html`
      ${shown.kind === "place" && html`<${Places} groups=${shown.groups} address=${address} />`}
      ${shown.kind === "date" && html`<${Timeline} groups=${shown.groups} />`}
      <${Groups} found=${shown} address=${address} />
      ${shown.others > 0 && html`<p class="muted">${t("inNoGroup", { n: shown.others })}</p>`}`
      : html`<div class="empty"><h2>${t("nothingToBrowse")}</h2></div>`)}</div>`;
}

/** Return the address of the images of a group. */
const hrefOf = (address, group) => format({ ...address, page: "search", terms: [], region: null, where: group.where, open: null });

/** Return the name of a group as people read it. */
function nameOfGroup(group, kind) {
  if (kind === "date") return new Date(`${group.name}-01T00:00:00`).toLocaleDateString(language, { month: "long", year: "numeric" });
  if (kind !== "place") return group.name || t("topFolder");
  const [north, south, east, west] = t("compass");
  const degrees = (value) => `${number(Math.abs(value), { maximumFractionDigits: 2 })}°`;
  return `${degrees(group.latitude)} ${group.latitude < 0 ? south : north}, ${degrees(group.longitude)} ${group.longitude < 0 ? west : east}`;
}

function Groups({ found, address }) {
  let year = "";
  return html`<ul class="browse-groups">${found.groups.map((group) => {
    const isNewYear = found.kind === "date" && group.name.slice(0, 4) !== year;
    year = group.name.slice(0, 4);
    return html`${isNewYear && html`<li key=${`year ${year}`} class="year"><h2>${year}</h2></li>`}
      <li key=${group.where} id=${found.kind === "date" ? `month-${group.name}` : undefined}><a href=${hrefOf(address, group)} data-navigate class="browse-group">
        <span class=${`covers of-${group.covers.length}`}>${group.covers.map((id) => html`<img key=${id} src=${thumbnail(id)} alt="" loading="lazy" />`)}</span>
        <b>${nameOfGroup(group, found.kind)}</b><span class="muted">${t("images", { n: group.images })}</span></a></li>`;
  })}</ul>`;
}

const monthsSince = (name) => Number(name.slice(0, 4)) * 12 + Number(name.slice(5, 7)) - 1;

/** A bar for each month from the first to the last; a click goes to it. */
function Timeline({ groups }) {
  const most = Math.max(...groups.map((group) => group.images));
  const last = monthsSince(groups[0].name), first = monthsSince(groups[groups.length - 1].name), months = last - first + 1;
  const step = Math.ceil(months / 12 / MAX_YEARS), years = [];
  for (let year = Math.ceil(first / 12); year <= last / 12; year += 1) if (year % step === 0) years.push(year);
  const go = (name) => document.getElementById(`month-${name}`)?.scrollIntoView({ block: "start" });
  return html`<div class="timeline" style=${`--months:${months}`}><div class="months" role="group" aria-label=${t("timeline")}>${groups.map((group) => {
    const label = `${nameOfGroup(group, "date")}: ${t("images", { n: group.images })}`;
    return html`<button type="button" key=${group.name} title=${label} aria-label=${label} style=${`left:${(100 * (monthsSince(group.name) - first)) / months}%`} onclick=${() => go(group.name)}>
      <i style=${`height:${Math.max(4, (group.images / most) * 100)}%`} /></button>`;
  })}</div><p aria-hidden="true">${years.map((year) => html`<span key=${year} style=${`left:${(100 * (year * 12 - first)) / months}%`}>${year}</span>`)}</p></div>`;
}

/** The places on a plain map of coordinates; nothing is fetched from the network. */
function Places({ groups, address }) {
  const most = Math.max(...groups.map((group) => group.images));
  const at = (group) => [((group.longitude + 180) / 360) * MAP_WIDTH, ((90 - group.latitude) / 180) * MAP_HEIGHT];
  const xs = groups.map((group) => at(group)[0]), ys = groups.map((group) => at(group)[1]);
  const extent = (values) => Math.max(...values) - Math.min(...values);
  const pad = Math.max(2 * CELL, 0.1 * extent(xs), 0.1 * extent(ys)), left = Math.max(0, Math.min(...xs) - pad), top = Math.max(0, Math.min(...ys) - pad);
  const width = Math.min(MAP_WIDTH, Math.max(...xs) + pad) - left, height = Math.max(width / 4, Math.min(MAP_HEIGHT, Math.max(...ys) + pad) - top);
  const unit = width / 1000, step = (GRATICULE.find((degrees) => degrees * 2 * CELL <= width / 3) ?? 1) * 2 * CELL, lines = [];
  // A map in another shape than its frame has room beside it.
  const reach = Math.max(width, 4 * height);
  for (let x = Math.floor((left - reach) / step) * step; x <= left + 2 * reach; x += step) lines.push(`M${x} ${top - reach}V${top + 2 * reach}`);
  for (let y = Math.floor((top - reach) / step) * step; y <= top + 2 * reach; y += step) lines.push(`M${left - reach} ${y}H${left + 2 * reach}`);
  const radius = (group) => Math.max(7 * unit, Math.min(CELL / 2, unit * (7 + 18 * Math.sqrt(group.images / most))));
  return html`<svg class="places" viewBox=${`${left} ${top} ${width} ${height}`} role="group" aria-label=${t("placesMap")}>
    <path d=${lines.join("")} class="graticule" stroke-width=${unit} />
    ${groups.map((group) => {
    const [x, y] = at(group), label = `${nameOfGroup(group, "place")}: ${t("images", { n: group.images })}`;
    return html`<a key=${group.where} href=${hrefOf(address, group)} data-navigate aria-label=${label}><circle cx=${x} cy=${y} r=${radius(group)}><title>${label}</title></circle></a>`;
  })}</svg>`;
}

/** Saved searches, and a form that saves the current one. */
function Saved({ address, writable }) {
  const [searches, setSearches] = useState(/** @type {any[]} */ ([])), [name, setName] = useState("");
  const load = () => tryOrToast(async () => setSearches((await get("searches")).searches));
  useEffect(() => { load(); }, []);
  const query = format({ ...address, page: "search", open: null }).replace(/^\?/, "");
  const save = async (event) => {
    event.preventDefault();
    if (await tryOrToast(() => send("PUT", `searches/${encodeURIComponent(name.trim())}`, { query })) === undefined) return;
    setName("");
    load();
  };
  const remove = async (one) => { if (await tryOrToast(() => send("DELETE", `searches/${encodeURIComponent(one.name)}`)) !== undefined) load(); };
  if (!searches.length && !(writable && query)) return null;
  return html`<section class="saved" aria-label=${t("savedSearches")}><h2>${t("savedSearches")}</h2>
    <ul class="values">${searches.map((one) => html`<li key=${one.name}><a class="button value" href=${`?${one.query}`} data-navigate>${one.name}</a>
      ${writable && html`<${Button} bare icon="close" label=${t("deleteSearch", { name: one.name })} class="quiet" onclick=${() => remove(one)} />`}</li>`)}</ul>
    ${writable && query && html`<form class="actions" onsubmit=${save}><input type="text" value=${name} maxlength="100" required aria-label=${t("nameOfSearch")} placeholder=${t("nameOfSearch")} oninput=${(event) => setName(event.target.value)} />
      <button type="submit" disabled=${!name.trim()}>${t("saveSearch")}</button></form>`}</section>`;
}

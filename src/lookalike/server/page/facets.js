// @ts-check
// Facets: the fields of the library with their values, to filter by.

import { navigate } from "./address.js";
import { formatConditions, parseConditions } from "./filter_text.js";
import { html, useStore } from "./html.js";
import { Button } from "./ui.js";
import { short } from "./format.js";
import { t } from "./words.js";

const LAST_FIELDS = ["id", "name", "folder", "path", "format", "outcome", "size", "width", "height", "latitude", "longitude"];
const HIDDEN_FIELDS = new Set(["id", "outcome", "path", "name"]);
const OPEN_COUNT = 6;   // facets that are open at first

/** Return the fields that are worth filtering by; metadata before what every file has. */
function facetFields(library) {
  const useful = library.fields.filter((field) => field.images && !HIDDEN_FIELDS.has(field.name) && !field.name.startsWith("file.")
    && ["number", "text", "date"].includes(field.kind) && field.low !== field.high);
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

export function Facets() {
  const where = useStore((state) => state.address).where, library = useStore((state) => state.library);
  const conditions = parseConditions(where);
  const fields = facetFields(library);
  return html`<section class="rail-section facets" aria-label=${t("filters")}>
    ${!fields.length && html`<p class="muted">${t("noFields")}</p>`}
    ${conditions === null ? html`<p class="muted">${t("filterAsTextOnly")}</p>`
      : fields.map((field, i) => html`<${Facet} key=${field.name} field=${field} where=${where} isOpen=${i < OPEN_COUNT}
          condition=${conditions.find((one) => one.field === field.name) ?? { field: field.name }} />`)}
    <${FilterText} where=${where} isOpen=${conditions === null} /></section>`;
}

/** The conditions that are set, each with a button that removes it. */
export function FilterChips() {
  const where = useStore((state) => state.address).where;
  if (!where) return null;
  const conditions = parseConditions(where);
  const chips = conditions ? conditions.map((condition) => [condition.field, formatConditions([condition])]) : [["", where]];
  return html`<ul class="filter-chips" aria-label=${t("filters")}>${chips.map(([field, text]) => html`<li key=${text}>
    <span>${text}</span><${Button} bare icon="close" label=${t("removeCondition", { text })} onclick=${() => (field ? setCondition(where, field, {}) : navigate({ where: "" }))} /></li>`)}
    ${chips.length > 1 && html`<li class="all"><button type="button" class="plain" onclick=${() => navigate({ where: "" })}>${t("removeFilter")}</button></li>`}</ul>`;
}

function Facet({ field, condition, where, isOpen }) {
  const isSet = Object.keys(condition).length > 1;
  const View = { number: NumberFacet, date: DateFacet, text: TextFacet }[field.kind];
  return html`<details class="facet" data-field=${field.name} open=${isOpen || isSet}>
    <summary>${field.name.replaceAll("_", " ")}${isSet && html` <span class="set">1</span>`}</summary>
    <${View} field=${field} condition=${condition} where=${where} /></details>`;
}

function Range({ type, field, condition, where, attributes }) {
  const value = (bound) => condition[bound] ?? condition.values?.[0] ?? "";
  const read = (node) => (node.value === "" ? undefined : type === "number" ? Number(node.value) : node.value);
  const change = (event) => {
    const [lowInput, highInput] = event.target.closest(".bounds").querySelectorAll("input");
    let [low, high] = [read(lowInput), read(highInput)];
    if (low !== undefined && high !== undefined && low > high) [low, high] = [high, low];
    setCondition(where, field.name, { low, high });
  };
  const input = (bound) => html`<input type=${type} value=${value(bound)} ...${attributes(bound)} onchange=${change} aria-label=${`${field.name}: ${t(bound === "low" ? "from" : "to")}`} />`;
  return html`<div class="bounds">${input("low")}<span class="muted">${t("to")}</span>${input("high")}</div>`;
}

const NumberFacet = (attributes) => html`<${Range} ...${attributes} type="number" attributes=${(bound) => ({ step: "any", inputmode: "decimal", placeholder: short(attributes.field[bound]) })} />`;

function DateFacet(attributes) {
  const day = (text) => String(text ?? "").slice(0, 10);
  return html`<${Range} ...${attributes} type="date" attributes=${() => ({ min: day(attributes.field.low), max: day(attributes.field.high) })} />`;
}

function TextFacet({ field, condition, where }) {
  const values = [...new Set([...(field.examples ?? []), ...(condition.values ?? [])])].filter((value) => String(value).length <= 40);
  const chosen = new Set(condition.values ?? []);
  const toggle = (value) => {
    if (chosen.has(value)) chosen.delete(value); else chosen.add(value);
    setCondition(where, field.name, { values: [...chosen] });
  };
  return html`<div class="values-control">
    <div class="values">${values.map((value) => html`<button type="button" key=${value} class="value" aria-pressed=${String(chosen.has(value))} onclick=${() => toggle(value)}>${String(value)}</button>`)}</div>
    <input type="search" value=${condition.like ?? ""} placeholder=${t("contains")} aria-label=${`${field.name}: ${t("contains")}`}
      onchange=${(event) => setCondition(where, field.name, { like: event.target.value.trim().replaceAll(/[%_]/g, "") })} /></div>`;
}

/** The whole filter as text, as for --where. */
function FilterText({ where, isOpen }) {
  return html`<details class="facet as-text" open=${isOpen}><summary>${t("asText")}</summary>
    <input type="text" value=${where} spellcheck=${false} autocomplete="off" placeholder="price < 50 and kind = 'mug'" aria-label=${t("filterAsText")}
      onchange=${(event) => navigate({ where: event.target.value.trim() })} />
    ${where && html`<${Button} label=${t("removeFilter")} icon="close" class="plain" onclick=${() => navigate({ where: "" })} />`}</details>`;
}

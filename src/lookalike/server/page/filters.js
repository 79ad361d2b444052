// Controls for the fields that this library has: ranges for numbers and dates, choices and words for texts.

import { go, state } from "./address.js";
import { button, el, fill, quietly } from "./dom.js";
import { facts } from "./library_info.js";
import { conditions, whereText } from "./filter_text.js";
import { short } from "./wording.js";

const LAST = ["id", "name", "folder", "path", "format", "outcome", "size", "width", "height", "latitude", "longitude"];
const HIDDEN = new Set(["id", "outcome"]);
const FEW = 6;   // fields that are shown at once

/** The fields that people filter by, what was said of the pictures before what every file has. */
function offered() {
  const useful = facts.fields.filter((field) => field.images && !HIDDEN.has(field.name) && !field.name.startsWith("file.")
    && ["number", "text", "date"].includes(field.kind) && field.low !== field.high);
  const place = (name) => LAST.indexOf(name);
  return useful.sort((a, b) => place(a.name) - place(b.name));
}

/** Draw the filters of the state. */
export function showFilters(place) {
  const said = conditions(state.where);
  const fields = offered();
  if (!fields.length) { fill(place, el("p", { class: "soft" }, "Nothing was said of these pictures that one could filter by.")); return; }
  const set = new Set((said ?? []).map((one) => one.field));
  const open = place.querySelector("details")?.open ?? false;
  const control = (field) => filter(field, said ?? []);
  const first = fields.filter((field, at) => at < FEW || set.has(field.name));
  const rest = fields.filter((field) => !first.includes(field));
  fill(place,
    said === null ? el("p", { class: "soft" }, "This filter says more than controls can; change it as text.") : null,
    ...(said === null ? [] : first.map(control)),
    rest.length && said !== null ? el("details", { open }, el("summary", {}, `${rest.length} more`), ...rest.map(control)) : null,
    asText());
}

function change(name, changes) {
  const others = (conditions(state.where) ?? []).filter((one) => one.field !== name);
  const where = whereText([...others, { field: name, ...changes }]);
  go({ where });
}

function filter(field, said) {
  const one = said.find((condition) => condition.field === field.name) ?? { field: field.name };
  const inner = field.kind === "number" ? range(field, one) : field.kind === "date" ? dates(field, one) : texts(field, one);
  return el("fieldset", { class: "filter", "data-field": field.name },
    el("legend", {}, field.name.replaceAll("_", " ")), inner);
}

function bounds(kind, field, one, attributes) {
  const input = (side) => el("input", {
    type: kind, value: one[side] ?? (one.values?.[0] ?? ""), ...attributes(side),
    "aria-label": `${field.name}: ${side === "low" ? "from" : "to"}`,
  });
  const low = input("low"), high = input("high");
  const read = (node) => (node.value === "" ? undefined : kind === "number" ? Number(node.value) : node.value);
  const heard = () => {
    let [from, to] = [read(low), read(high)];
    if (from !== undefined && to !== undefined && from > to) [from, to] = [to, from];
    change(field.name, { low: from, high: to });
  };
  for (const node of [low, high]) node.addEventListener("change", heard);
  return el("div", { class: "bounds" }, low, el("span", { class: "soft" }, "to"), high);
}

const range = (field, one) => bounds("number", field, one, (side) => ({ step: "any", inputmode: "decimal", placeholder: short(field[side]) }));

function dates(field, one) {
  const day = (text) => String(text ?? "").slice(0, 10);
  return bounds("date", field, one, () => ({ min: day(field.low), max: day(field.high) }));
}

function texts(field, one) {
  const values = [...new Set([...(field.examples ?? []), ...(one.values ?? [])])].map((value) => value.value ?? value)
    .filter((value) => String(value).length <= 40);
  const chosen = new Set(one.values ?? []);
  const toggle = (value) => {
    if (chosen.has(value)) chosen.delete(value); else chosen.add(value);
    change(field.name, { values: [...chosen] });
  };
  const contains = el("input", {
    type: "search", value: one.like ?? "", placeholder: "contains…", "aria-label": `${field.name} contains`,
    onchange: () => change(field.name, { like: contains.value.trim().replaceAll(/[%_]/g, "") }),
  });
  return el("div", { class: "texts" },
    el("div", { class: "values" }, values.map((value) => el("button", {
      type: "button", class: "value", "aria-pressed": String(chosen.has(value)), onclick: () => toggle(value),
    }, String(value)))), contains);
}

/** For everything else: the filter as the command line takes it. */
function asText() {
  const input = el("input", {
    type: "text", value: state.where, spellcheck: "false", autocomplete: "off", placeholder: "price < 50 and kind = 'mug'",
    "aria-label": "Filter as text", onchange: quietly(0, () => go({ where: input.value.trim() })),
  });
  return el("fieldset", { class: "filter as-text" }, el("legend", {}, "as text"), input,
    state.where ? button("Take the filter away", "close", () => go({ where: "" }), { class: "plain" }) : null);
}

/** How many conditions are set, for the button that opens the panel. */
export function filtersSet() {
  if (!state.where) return 0;
  return conditions(state.where)?.length || 1;
}


// Filter controls for the fields of the library: ranges for numbers and dates, values for texts.

import { navigate, state } from "./address.js";
import { button, debounce, el, fill } from "./dom.js";
import { formatConditions, parseConditions } from "./filter_text.js";
import { short } from "./format.js";
import { libraryInfo } from "./library_info.js";

const LAST_FIELDS = ["id", "name", "folder", "path", "format", "outcome", "size", "width", "height", "latitude", "longitude"];
const HIDDEN_FIELDS = new Set(["id", "outcome"]);
const VISIBLE_COUNT = 6;   // fields shown outside "more"

/** Return the fields that are worth filtering by; metadata before what every file has. */
function filterFields() {
  const useful = libraryInfo.fields.filter((field) => field.images && !HIDDEN_FIELDS.has(field.name) && !field.name.startsWith("file.")
    && ["number", "text", "date"].includes(field.kind) && field.low !== field.high);
  const rank = (name) => LAST_FIELDS.indexOf(name);
  return useful.sort((a, b) => rank(a.name) - rank(b.name));
}

/** Show the controls for the filter of the state. */
export function showFilters(container) {
  const conditions = parseConditions(state.where);
  const fields = filterFields();
  if (!fields.length) { fill(container, el("p", { class: "muted" }, "These images have no metadata to filter by.")); return; }
  const isSet = new Set((conditions ?? []).map((condition) => condition.field));
  const wasOpen = container.querySelector("details")?.open ?? false;
  const control = (field) => filterControl(field, conditions ?? []);
  const visible = fields.filter((field, i) => i < VISIBLE_COUNT || isSet.has(field.name));
  const others = fields.filter((field) => !visible.includes(field));
  fill(container,
    conditions === null ? el("p", { class: "muted" }, "The controls cannot show this filter; edit it as text.") : null,
    ...(conditions === null ? [] : visible.map(control)),
    others.length && conditions !== null ?
      el("details", { open: wasOpen }, el("summary", {}, `${others.length} more`), ...others.map(control)) : null,
    textControl());
}

function setCondition(field, changes) {
  const others = (parseConditions(state.where) ?? []).filter((condition) => condition.field !== field);
  navigate({ where: formatConditions([...others, { field, ...changes }]) });
}

function filterControl(field, conditions) {
  const condition = conditions.find((one) => one.field === field.name) ?? { field: field.name };
  const create = { number: numberControl, date: dateControl, text: valuesControl }[field.kind];
  return el("fieldset", { class: "filter", "data-field": field.name },
    el("legend", {}, field.name.replaceAll("_", " ")), create(field, condition));
}

function rangeControl(type, field, condition, attributes) {
  const input = (bound) => el("input", {
    type, value: condition[bound] ?? (condition.values?.[0] ?? ""), ...attributes(bound),
    "aria-label": `${field.name}: ${bound === "low" ? "from" : "to"}`,
  });
  const lowInput = input("low"), highInput = input("high");
  const read = (node) => (node.value === "" ? undefined : type === "number" ? Number(node.value) : node.value);
  const update = () => {
    let [low, high] = [read(lowInput), read(highInput)];
    if (low !== undefined && high !== undefined && low > high) [low, high] = [high, low];
    setCondition(field.name, { low, high });
  };
  for (const node of [lowInput, highInput]) node.addEventListener("change", update);
  return el("div", { class: "bounds" }, lowInput, el("span", { class: "muted" }, "to"), highInput);
}

function numberControl(field, condition) {
  return rangeControl("number", field, condition, (bound) => ({ step: "any", inputmode: "decimal", placeholder: short(field[bound]) }));
}

function dateControl(field, condition) {
  const day = (text) => String(text ?? "").slice(0, 10);
  return rangeControl("date", field, condition, () => ({ min: day(field.low), max: day(field.high) }));
}

function valuesControl(field, condition) {
  const values = [...new Set([...(field.examples ?? []), ...(condition.values ?? [])])].filter((value) => String(value).length <= 40);
  const chosen = new Set(condition.values ?? []);
  const toggle = (value) => {
    if (chosen.has(value)) chosen.delete(value); else chosen.add(value);
    setCondition(field.name, { values: [...chosen] });
  };
  const contains = el("input", {
    type: "search", value: condition.like ?? "", placeholder: "contains…", "aria-label": `${field.name} contains`,
    onchange: () => setCondition(field.name, { like: contains.value.trim().replaceAll(/[%_]/g, "") }),
  });
  return el("div", { class: "values-control" },
    el("div", { class: "values" }, values.map((value) => el("button", {
      type: "button", class: "value", "aria-pressed": String(chosen.has(value)), onclick: () => toggle(value),
    }, String(value)))), contains);
}

/** Create the input for the whole filter as text, as for --where. */
function textControl() {
  const input = el("input", {
    type: "text", value: state.where, spellcheck: "false", autocomplete: "off", placeholder: "price < 50 and kind = 'mug'",
    "aria-label": "Filter as text", onchange: debounce(0, () => navigate({ where: input.value.trim() })),
  });
  return el("fieldset", { class: "filter as-text" }, el("legend", {}, "as text"), input,
    state.where ? button("Remove the filter", "close", () => navigate({ where: "" }), { class: "plain" }) : null);
}

/** Return the number of conditions that are set. */
export function countFilters() {
  if (!state.where) return 0;
  return parseConditions(state.where)?.length || 1;
}

// The panel beside the results: extractors, options of the query, and filters.

import { navigate, state } from "./address.js";
import { button, debounce, el, fill } from "./dom.js";
import { countFilters, showFilters } from "./filters.js";
import { count } from "./format.js";
import { availableSpaces, isHash, libraryInfo } from "./library_info.js";

const WIDE_WINDOW = matchMedia("(min-width: 1180px)");
let isOpen = false;

function setOpen(open) {
  isOpen = open;
  showOptions();
  if (isOpen) document.getElementById("search-options").querySelector("button, input")?.focus({ preventScroll: true });
  else document.getElementById("search-options-button")?.focus();
}

/** Create the button that opens the panel; it shows how many options are set. */
export function optionsButton() {
  return button("Options", "sliders", () => setOpen(!isOpen), {
    id: "search-options-button", "aria-expanded": String(isOpen), "aria-controls": "search-options",
  });
}

/** Create the empty panel; `showOptions` fills it. */
export function optionsPanel() {
  return el("aside", { id: "search-options", class: "search-options", "aria-label": "Search options", onkeydown: (event) => {
    if (event.key === "Escape") { event.stopPropagation(); setOpen(false); }
  } });
}

const hasTerms = () => state.terms.length > 0;

/** Update the panel to the state. */
export function showOptions() {
  const panel = document.getElementById("search-options");
  const opener = document.getElementById("search-options-button");
  if (!panel || !opener) return;
  const setCount = countOptions() + countFilters();
  opener.setAttribute("aria-expanded", String(isOpen));
  opener.dataset.set = setCount || "";
  opener.setAttribute("aria-label", setCount ? `Options: ${setCount} set` : "Options");
  document.body.classList.toggle("options-open", isOpen);
  panel.hidden = !isOpen;
  if (panel.hidden) return;
  const focused = panel.contains(document.activeElement) ? controlsOf(panel).indexOf(document.activeElement) : -1;
  if (!panel.firstChild) {
    panel.append(
      el("div", { class: "search-options-head" }, el("h2", {}, "Options"),
        button("Close", "close", () => setOpen(false), { bare: true, class: "quiet" })),
      el("div", { class: "options" }), el("h3", {}, "Filter"), el("div", { class: "filters" }));
  }
  fill(panel.querySelector(".options"), optionControls());
  showFilters(panel.querySelector(".filters"));
  // Redrawing removes the control with the focus; the one in its place gets it.
  if (focused >= 0) (controlsOf(panel)[focused] ?? panel.querySelector("button"))?.focus({ preventScroll: true });
}

const controlsOf = (panel) => [...panel.querySelectorAll("button, input, summary")];

function countOptions() {
  if (!hasTerms()) return 0;
  const flags = ["collapse_duplicates", "any_orientation", "feedback", "exact", "min_relevance", "verify"];
  return state.extractors.length + Number(state.diversity > 0) + Number(state.alpha !== 0.5) + flags.filter((name) => state[name]).length;
}

function optionControls() {
  if (!hasTerms()) return [];
  const hasText = state.terms.some((term) => term.kind === "text");
  const hasImage = state.terms.some((term) => term.kind !== "text");
  return [
    extractorControl(),
    hasText && hasImage ? slider("alpha", "Text", "Image", "Image against text") : null,
    slider("diversity", "Most similar", "Most diverse", "Diversity"),
    segments("min_relevance", "Show", [["", "everything"], ["plausible", "plausible"], ["strong", "strong"], ["near-copy", "copies"]]),
    el("fieldset", { class: "checks" }, el("legend", { class: "visually-hidden" }, "More"),
      checkbox("collapse_duplicates", "Collapse near-copies into one"),
      checkbox("any_orientation", "Also rotated and mirrored"),
      libraryInfo.spaces.length && hasImage ? checkbox("verify", "Verify the best hits by keypoints (slower)", "orb") : null,
      checkbox("feedback", "Use relevance feedback")),
  ];
}

function extractorControl() {
  const spaces = availableSpaces();
  if (spaces.length < 2) return null;
  const standard = libraryInfo.spaces[0]?.name;
  const chosen = new Set(state.extractors.length ? state.extractors : [standard]);
  const toggle = (name) => {
    if (chosen.has(name) && chosen.size > 1) chosen.delete(name); else chosen.add(name);
    const extractors = [...chosen];
    navigate({ extractors: extractors.length === 1 && extractors[0] === standard ? [] : extractors });
  };
  return el("fieldset", {}, el("legend", {}, "Similar by"),
    el("div", { class: "values" }, spaces.map((space) => el("button", {
      type: "button", class: "value", "aria-pressed": String(chosen.has(space.name)),
      onclick: () => toggle(space.name), title: spaceTitle(space),
    }, space.name))));
}

const spaceTitle = (space) => [`${count(space.count)} vectors of ${space.dim} dimensions, ${space.similarity}`,
  isHash(space) ? "finds copies" : null, space.text ? "understands text" : null].filter(Boolean).join("; ");

function slider(name, low, high, label) {
  const set = debounce(160, (value) => navigate({ [name]: value }, { replace: true }));
  return el("fieldset", { class: "slider" }, el("legend", {}, label),
    el("input", { type: "range", min: 0, max: 1, step: 0.05, value: state[name], "aria-label": `${label}: from ${low} to ${high}`,
      oninput: (event) => set(Number(event.target.value)) }),
    el("span", { class: "muted" }, low), el("span", { class: "muted" }, high));
}

function segments(name, label, options) {
  return el("fieldset", {}, el("legend", {}, label),
    el("div", { class: "segments" }, options.map(([value, text]) => el("button", {
      type: "button", "aria-pressed": String(state[name] === value), onclick: () => navigate({ [name]: value }),
    }, text))));
}

/** Create a checkbox. `on`: the value of the state while it is checked. */
function checkbox(name, label, on = true) {
  const off = on === true ? false : "";
  return el("label", {}, el("input", {
    type: "checkbox", checked: Boolean(state[name]), onchange: (event) => navigate({ [name]: event.target.checked ? on : off }),
  }), label);
}

/** Open the panel at the start if the window is wide and options are set. */
export function openInitially() {
  isOpen = WIDE_WINDOW.matches && countOptions() + countFilters() > 0;
}

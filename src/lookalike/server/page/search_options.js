// The panel beside the pictures: by what they are compared, how answers are made, and filters.

import { go, state } from "./address.js";
import { button, el, fill, quietly } from "./dom.js";
import { facts, isHash, spaces } from "./library_info.js";
import { filtersSet, showFilters } from "./filters.js";
import { count } from "./wording.js";

const WIDE = matchMedia("(min-width: 1180px)");
let open = null;   // null: as the window's width says

export const isOpen = () => open ?? false;

function toggle(next) {
  open = next;
  showRefine();
  const panel = document.getElementById("refine");
  if (open) panel.querySelector("button, input")?.focus({ preventScroll: true });
  else document.getElementById("refine-button")?.focus();
}

/** The button that opens the panel; it says how much is set. */
export function refineButton() {
  return button("Refine", "sliders", () => toggle(!isOpen()), {
    id: "refine-button", "aria-expanded": String(isOpen()), "aria-controls": "refine",
  });
}

/** The panel itself; `showRefine` fills it. */
export function refinePanel() {
  return el("aside", { id: "refine", class: "refine", "aria-label": "Refine", onkeydown: (event) => {
    if (event.key === "Escape") { event.stopPropagation(); toggle(false); }
  } });
}

const asked = () => state.terms.length > 0;

/** Bring the panel to the state. */
export function showRefine() {
  const panel = document.getElementById("refine");
  const opener = document.getElementById("refine-button");
  if (!panel || !opener) return;
  const set = settings() + filtersSet();
  opener.setAttribute("aria-expanded", String(isOpen()));
  opener.dataset.set = set || "";
  opener.setAttribute("aria-label", set ? `Refine: ${set} set` : "Refine");
  document.body.classList.toggle("refining", isOpen());
  panel.hidden = !isOpen();
  if (panel.hidden) return;
  const focused = panel.contains(document.activeElement) ? trace(document.activeElement, panel) : null;
  if (!panel.firstChild) {
    panel.append(
      el("div", { class: "refine-head" }, el("h2", {}, "Refine"), button("Close", "close", () => toggle(false), { bare: true, class: "quiet" })),
      el("div", { class: "how" }), el("h3", {}, "Filter"), el("div", { class: "filters" }));
  }
  fill(panel.querySelector(".how"), how());
  showFilters(panel.querySelector(".filters"));
  if (focused) (panel.querySelectorAll("button, input, summary")[focused] ?? panel.querySelector("button"))?.focus({ preventScroll: true });
}

// Drawing again takes the focus away from what was pressed: it goes to what stands in the same place.
const trace = (node, panel) => [...panel.querySelectorAll("button, input, summary")].indexOf(node);

const settings = () => (asked() ? state.extractors.length + Number(state.diversity > 0) + Number(state.alpha !== 0.5)
  + ["collapse_duplicates", "any_orientation", "feedback", "exact", "min_relevance", "verify"].filter((name) => state[name]).length : 0);

function how() {
  if (!asked()) return [];
  const mixed = state.terms.some((term) => term.kind === "text") && state.terms.some((term) => term.kind !== "text");
  return [
    extractorChoice(),
    mixed ? slider("alpha", "Words", "Picture", "Picture against words") : null,
    slider("diversity", "Most alike", "Most varied", "Variety"),
    segments("min_relevance", "Show", [["", "everything"], ["plausible", "plausible"], ["strong", "strong"], ["near-copy", "copies"]]),
    el("fieldset", { class: "checks" }, el("legend", { class: "unseen" }, "More"),
      check("collapse_duplicates", "Fold near-copies into one"),
      check("any_orientation", "Also turned and mirrored"),
      facts.spaces.length && state.terms.some((term) => term.kind !== "text")
        ? check("verify", "Check the best by keypoints (slower)", "orb") : null,
      check("feedback", "Let decisions on relevance steer it")),
  ];
}

function extractorChoice() {
  const all = spaces();
  if (all.length < 2) return null;
  const standard = facts.spaces[0]?.name;
  const chosen = new Set(state.extractors.length ? state.extractors : [standard]);
  const toggleSpace = (name) => {
    if (chosen.has(name) && chosen.size > 1) chosen.delete(name); else chosen.add(name);
    const extractors = [...chosen];
    go({ extractors: extractors.length === 1 && extractors[0] === standard ? [] : extractors });
  };
  return el("fieldset", {}, el("legend", {}, "Alike by"),
    el("div", { class: "values" }, all.map((space) => el("button", {
      type: "button", class: "value", "aria-pressed": String(chosen.has(space.name)), onclick: () => toggleSpace(space.name),
      title: `${count(space.count)} vectors of ${space.dim} numbers, ${space.similarity}${isHash(space) ? "; finds copies" : ""}${space.text ? "; understands words" : ""}`,
    }, space.name))));
}

function slider(name, low, high, label) {
  const set = quietly(160, (value) => go({ [name]: value }, { replace: true }));
  return el("fieldset", { class: "slide" }, el("legend", {}, label),
    el("input", { type: "range", min: 0, max: 1, step: 0.05, value: state[name], "aria-label": `${label}: from ${low} to ${high}`,
      oninput: (event) => set(Number(event.target.value)) }),
    el("span", { class: "soft" }, low), el("span", { class: "soft" }, high));
}

function segments(name, label, options) {
  return el("fieldset", {}, el("legend", {}, label),
    el("div", { class: "segments" }, options.map(([value, text]) => el("button", {
      type: "button", "aria-pressed": String(state[name] === value), onclick: () => go({ [name]: value }),
    }, text))));
}

function check(name, label, on = true) {
  return el("label", {}, el("input", {
    type: "checkbox", checked: Boolean(state[name]), onchange: (event) => go({ [name]: event.target.checked ? on : on === true ? false : "" }),
  }), label);
}

/** Open at once where there is room and something is set. */
export function openAtFirst() {
  open = WIDE.matches && settings() + filtersSet() > 0;
}

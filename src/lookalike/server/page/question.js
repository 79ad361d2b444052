// The question as a row of pictures and words, each with its weight.

import { pictureOf } from "./api.js";
import { go, regionPlace, state } from "./address.js";
import { button, el, fill, icon } from "./dom.js";
import { understandsWords } from "./library_info.js";
import { choose, takesPhotos } from "./image_input.js";
import { drawBox } from "./region.js";

const WEIGHTS = [[0.25, "¼"], [0.5, "½"], [1, "1"], [2, "2"], [4, "4"]];

/** Draw the question of the state into its place in the header. */
export function showQuestion(place) {
  if (!place.firstChild) build(place);
  const chips = place.querySelector(".chips");
  const focused = chips.contains(document.activeElement);
  fill(chips, state.terms.map((term, at) => chip(term, at)));
  if (focused) (chips.querySelector("button") ?? place.querySelector("input")).focus();
  const input = place.querySelector("input");
  const words = understandsWords();
  input.disabled = !words;
  input.placeholder = state.terms.length ? (words ? "and words…" : "")
    : words ? "A picture, or words" : "Drop, paste or choose a picture";
  place.querySelector(".clear").hidden = !state.terms.length;
}

function build(place) {
  const input = el("input", { type: "text", name: "words", autocomplete: "off", enterkeyhint: "search", "aria-label": "Words to look for", spellcheck: "false" });
  const form = el("form", { class: "bar", onsubmit: submitted },
    el("ul", { class: "chips", "aria-label": "Parts of the question" }),
    input,
    el("span", { class: "keys" },
    button("Clear the question", "close", () => { go({ terms: [], region: null, open: null }); input.focus(); }, { bare: true, class: "quiet clear" }),
    takesPhotos() ? button("Take a photo", "camera", () => choose({ photo: true }), { bare: true, class: "quiet" }) : null,
    button("Choose a picture", "picture", () => choose(), { bare: true, class: "quiet" }),
    el("button", { type: "submit", class: "quiet submit", "aria-label": "Search", title: "Search" }, icon("search"))));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Backspace" && !input.value && state.terms.length) go({ terms: state.terms.slice(0, -1) });
  });
  place.append(form);
}

/** Words that begin with a minus sign say what is not meant. */
function submitted(event) {
  event.preventDefault();
  const input = event.target.elements.words;
  const text = input.value.trim();
  const less = /^[-−–]\s*(?=\S)/.exec(text);
  const value = less ? text.slice(less[0].length) : text;
  input.value = "";
  if (!value) { if (state.page !== "search") go({ page: "search", open: null }); return; }
  const others = state.terms.filter((term) => term.kind !== "text" || term.value !== value);
  go({ page: "search", open: null, terms: [...others, { kind: "text", value, weight: less ? -1 : 1 }] });
}

const isPicture = (term) => term.kind !== "text";

function chip(term, at) {
  const less = term.weight < 0;
  const size = Math.abs(term.weight);
  const name = isPicture(term) ? "picture" : `“${term.value}”`;
  const first = regionPlace(state.terms) === at;
  const menu = el("div", { popover: "auto", class: "menu", id: `term-${at}` });
  const opener = el("button", {
    type: "button", class: "face", popovertarget: menu.id,
    "aria-label": `${less ? "Less" : "More"} like this ${name}${size === 1 ? "" : `, counts ${size} times`}: change`,
  },
  el("span", { class: "sign", "aria-hidden": "true" }, less ? "−" : "+"),
  isPicture(term) ? pictured(term, first) : el("span", { class: "words" }, term.value),
  size === 1 ? null : el("span", { class: "weight", "aria-hidden": "true" }, `×${(WEIGHTS.find(([w]) => w === size) ?? [0, size])[1]}`));
  menu.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    fill(menu, choices(term, at, first, menu));
    const { left, bottom } = opener.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - 268))}px`;
    menu.style.top = `${bottom + 6}px`;
  });
  return el("li", { class: `chip${less ? " less" : ""}` }, opener,
    button(`Remove ${name}`, "close", () => remove(at), { bare: true, class: "away" }), menu);
}

function pictured(term, first) {
  const frame = el("span", { class: "small" }, el("img", { src: pictureOf(term), alt: "" }));
  if (first && state.region) {
    const [x, y, width, height] = state.region;
    const mark = el("i", { class: "part" });
    Object.assign(mark.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
    frame.append(mark);
  }
  return frame;
}

function change(at, changes) {
  go({ terms: state.terms.map((term, other) => (other === at ? { ...term, ...changes } : term)) });
}

function remove(at) {
  const terms = state.terms.filter((_, other) => other !== at);
  go({ terms, region: regionPlace(state.terms) === at ? null : state.region });
}

/** What can be done with one part of the question. */
function choices(term, at, first, menu) {
  const sign = Math.sign(term.weight);
  const size = Math.abs(term.weight);
  const pick = (name, options, chosen, set) => el("fieldset", { class: "pick" }, el("legend", {}, name),
    el("div", { class: "segments" }, options.map(([value, text, said]) => el("button", {
      type: "button", "aria-pressed": String(value === chosen), "aria-label": said ?? text, onclick: () => { menu.hidePopover(); set(value); },
    }, text))));
  return [
    pick("This is", [[1, "+ more like"], [-1, "− less like"]], sign, (value) => change(at, { weight: value * size })),
    pick("It counts", WEIGHTS.map(([value, text]) => [value, text, `${value} times`]), size, (value) => change(at, { weight: sign * value })),
    first ? button(state.region ? "Change the box" : "Search a part of it", "box", () => { menu.hidePopover(); drawBox(term); }) : null,
    first && state.region ? button("Search the whole picture", null, () => { menu.hidePopover(); go({ region: null }); }) : null,
  ];
}

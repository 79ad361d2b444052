// The query in the header: a row of images and texts, each with its weight.

import { termImage } from "./api.js";
import { navigate, regionTermIndex, state } from "./address.js";
import { button, el, fill, icon } from "./dom.js";
import { chooseImages, hasCamera } from "./image_input.js";
import { supportsText } from "./library_info.js";
import { editRegion, regionOutline } from "./region.js";

const WEIGHTS = [[0.25, "¼"], [0.5, "½"], [1, "1"], [2, "2"], [4, "4"]];

/** Show the query of the state in its element of the header. */
export function showQuery(container) {
  if (!container.firstChild) build(container);
  const chips = container.querySelector(".chips");
  const hadFocus = chips.contains(document.activeElement);
  fill(chips, state.terms.map(createChip));
  if (hadFocus) (chips.querySelector("button") ?? container.querySelector("input")).focus();
  const input = container.querySelector("input");
  const hasText = supportsText();
  input.disabled = !hasText;
  input.placeholder = state.terms.length ? (hasText ? "and text…" : "")
    : hasText ? "An image, or text" : "Drop, paste or choose an image";
  container.querySelector(".clear").hidden = !state.terms.length;
}

function build(container) {
  const input = el("input", {
    type: "text", name: "text", autocomplete: "off", enterkeyhint: "search",
    "aria-label": "Text to search for", spellcheck: "false",
  });
  const form = el("form", { class: "bar", onsubmit: handleSubmit },
    el("ul", { class: "chips", "aria-label": "Terms of the query" }),
    input,
    el("span", { class: "query-buttons" },
      button("Clear the query", "close", () => { navigate({ terms: [], region: null, open: null }); input.focus(); },
        { bare: true, class: "quiet clear" }),
      hasCamera() ? button("Take a photo", "camera", () => chooseImages({ photo: true }), { bare: true, class: "quiet" }) : null,
      button("Choose an image", "image", () => chooseImages(), { bare: true, class: "quiet" }),
      el("button", { type: "submit", class: "quiet submit", "aria-label": "Search", title: "Search" }, icon("search"))));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Backspace" && !input.value && state.terms.length) navigate({ terms: state.terms.slice(0, -1) });
  });
  container.append(form);
}

/** Add the text as a term; a minus sign before it makes the term negative. */
function handleSubmit(event) {
  event.preventDefault();
  const input = event.target.elements.text;
  const text = input.value.trim();
  const minus = /^[-−–]\s*(?=\S)/.exec(text);
  const value = minus ? text.slice(minus[0].length) : text;
  input.value = "";
  if (!value) { if (state.page !== "search") navigate({ page: "search", open: null }); return; }
  const others = state.terms.filter((term) => term.kind !== "text" || term.value !== value);
  navigate({ page: "search", open: null, terms: [...others, { kind: "text", value, weight: minus ? -1 : 1 }] });
}

const isImage = (term) => term.kind !== "text";

function createChip(term, index) {
  const isNegative = term.weight < 0;
  const weight = Math.abs(term.weight);
  const name = isImage(term) ? "image" : `“${term.value}”`;
  const takesRegion = regionTermIndex(state.terms) === index;
  const menu = el("div", { popover: "auto", class: "menu", id: `term-${index}` });
  const opener = el("button", {
    type: "button", class: "chip-button", popovertarget: menu.id,
    "aria-label": `${isNegative ? "Less" : "More"} like this ${name}${weight === 1 ? "" : `, weight ${weight}`}: change`,
  },
  el("span", { class: "sign", "aria-hidden": "true" }, isNegative ? "−" : "+"),
  isImage(term) ? chipImage(term, takesRegion) : el("span", { class: "chip-text" }, term.value),
  weight === 1 ? null : el("span", { class: "weight", "aria-hidden": "true" },
    `×${(WEIGHTS.find(([w]) => w === weight) ?? [0, weight])[1]}`));
  menu.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    fill(menu, menuItems(term, index, takesRegion, menu));
    const { left, bottom } = opener.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - 268))}px`;
    menu.style.top = `${bottom + 6}px`;
  });
  return el("li", { class: `chip${isNegative ? " less" : ""}` }, opener,
    button(`Remove ${name}`, "close", () => removeTerm(index), { bare: true, class: "chip-remove" }), menu);
}

function chipImage(term, takesRegion) {
  return el("span", { class: "chip-image" }, el("img", { src: termImage(term), alt: "" }),
    takesRegion && state.region ? regionOutline(state.region) : null);
}

function changeTerm(index, changes) {
  navigate({ terms: state.terms.map((term, other) => (other === index ? { ...term, ...changes } : term)) });
}

function removeTerm(index) {
  const terms = state.terms.filter((_, other) => other !== index);
  navigate({ terms, region: regionTermIndex(state.terms) === index ? null : state.region });
}

function menuItems(term, index, takesRegion, menu) {
  const sign = Math.sign(term.weight);
  const weight = Math.abs(term.weight);
  const choice = (label, options, chosen, set) => el("fieldset", {}, el("legend", {}, label),
    el("div", { class: "segments" }, options.map(([value, text, name]) => el("button", {
      type: "button", "aria-pressed": String(value === chosen), "aria-label": name ?? text,
      onclick: () => { menu.hidePopover(); set(value); },
    }, text))));
  return [
    choice("Search for images", [[1, "+ more like"], [-1, "− less like"]], sign,
      (value) => changeTerm(index, { weight: value * weight })),
    choice("Weight", WEIGHTS.map(([value, text]) => [value, text, `Weight ${value}`]), weight,
      (value) => changeTerm(index, { weight: sign * value })),
    takesRegion ?
      button(state.region ? "Change the region" : "Search a region of it", "box", () => { menu.hidePopover(); editRegion(term); }) : null,
    takesRegion && state.region ? button("Search the whole image", null, () => { menu.hidePopover(); navigate({ region: null }); }) : null,
  ];
}

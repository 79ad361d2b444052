// One picture among many, with "more like this" and "less like this".

import { thumbnail } from "./api.js";
import { go, state, write } from "./address.js";
import { button, el } from "./dom.js";
import { similarity, titleOf } from "./wording.js";

const SIZES = [256, 512];   // of thumbnails that the server keeps

/** The terms with this one added; asked again with the other sign, it changes sides; with the same, it goes. */
export function toggled(terms, kind, value, weight) {
  const same = terms.find((term) => term.kind === kind && term.value === value);
  const others = terms.filter((term) => term !== same);
  if (same && Math.sign(same.weight) === Math.sign(weight)) return others;
  return [...others, { kind, value, weight }];
}

const pressed = (one, id, sign) =>
  one.terms.some((term) => term.kind === "image" && term.value === String(id) && Math.sign(term.weight) === sign);

export const moreLike = (id) => go({ page: "search", open: null, terms: toggled(state.terms, "image", String(id), 1) });
export const lessLike = (id) => go({ page: "search", open: null, terms: toggled(state.terms, "image", String(id), -1) });
export const onlyLike = (id) => go({ page: "search", open: null, region: null, terms: [{ kind: "image", value: String(id), weight: 1 }] });

/** The <li> of an image or a hit. */
export function tile(item, box, one) {
  const title = titleOf(item);
  const pixels = Math.max(box.width, box.height) * Math.min(devicePixelRatio || 1, 2);
  const size = SIZES.find((each) => each >= pixels * 0.9) ?? SIZES.at(-1);
  const more = pressed(one, item.id, 1), less = pressed(one, item.id, -1);
  const judged = item.similarity === undefined ? "" : `, ${item.relevance ?? "similarity"} ${similarity(item.similarity)}`;
  const asks = one.terms.length > 0;
  return el("li", { class: `tile${more ? " more" : ""}${less ? " less" : ""}`, "data-id": item.id },
    el("a", {
      href: write({ ...one, open: item.id }), "data-go": true, "data-does": "open", "aria-label": title + judged,
      onkeydown: (event) => byKey(event, item.id),
    },
    el("img", { src: thumbnail(item.id, size), alt: "", decoding: "async", draggable: "true" }),
    el("span", { class: "caption" },
      item.relevance ? el("i", { class: `dot ${item.relevance}` }) : null,
      el("span", { class: "title" }, title),
      item.similarity === undefined ? null : el("b", {}, similarity(item.similarity))),
    item.copies ? el("span", { class: "copies" }, `+${item.copies}`) : null),
    el("div", { class: "sides" },
      button(`More like this: ${title}`, "plus", () => moreLike(item.id), { bare: true, "data-does": "more", class: "side plus", "aria-pressed": String(more) }),
      asks ? button(`Less like this: ${title}`, "minus", () => lessLike(item.id), { bare: true, "data-does": "less", class: "side minus", "aria-pressed": String(less) }) : null));
}

function byKey(event, id) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "+" || event.key === "=") { event.preventDefault(); moreLike(id); }
  if (event.key === "-" && state.terms.length) { event.preventDefault(); lessLike(id); }
}

// One image of a grid, with "more like this" and "less like this".

import { thumbnail } from "../api.js";
import { format, state } from "../address.js";
import { lessLike, moreLike } from "../results.js";
import { button, el } from "./dom.js";
import { scoreText, similarity, titleOf } from "../format.js";

const THUMBNAIL_SIZES = [256, 512];   // that the server caches, in pixels

const hasTerm = (one, id, sign) =>
  one.terms.some((term) => term.kind === "image" && term.value === String(id) && Math.sign(term.weight) === sign);

/** Create the <li> of an image or a hit for the state `one` of the page. */
export function createTile(item, box, one) {
  const title = titleOf(item);
  const pixels = Math.max(box.width, box.height) * Math.min(devicePixelRatio || 1, 2);
  const size = THUMBNAIL_SIZES.find((each) => each >= pixels * 0.9) ?? THUMBNAIL_SIZES.at(-1);
  const more = hasTerm(one, item.id, 1), less = hasTerm(one, item.id, -1);
  const score = typeof item.score !== "number" ? "" : `, ${scoreText(item)}`;
  return el("li", { class: `tile${more ? " more" : ""}${less ? " less" : ""}`, "data-id": item.id },
    el("a", {
      href: format({ ...one, open: item.id }), "data-navigate": true, "data-action": "open", "aria-label": title + score,
      onkeydown: (event) => handleKey(event, item.id),
    },
    el("img", { src: thumbnail(item.id, size), alt: "", decoding: "async", draggable: "true" }),
    el("span", { class: "caption" },
      item.relevance ? el("i", { class: `dot ${item.relevance}` }) : null,
      el("span", { class: "title" }, title),
      typeof item.score !== "number" ? null : el("b", {}, similarity(item.score))),
    item.copies ? el("span", { class: "copies" }, `+${item.copies}`) : null),
    el("div", { class: "tile-actions" },
      button(`More like this: ${title}`, "plus", () => moreLike(item.id),
        { bare: true, "data-action": "more", class: "tile-action plus", "aria-pressed": String(more) }),
      one.terms.length ?
        button(`Less like this: ${title}`, "minus", () => lessLike(item.id),
        { bare: true, "data-action": "less", class: "tile-action minus", "aria-pressed": String(less) }) : null));
}

function handleKey(event, id) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "+" || event.key === "=") { event.preventDefault(); moreLike(id); }
  if (event.key === "-" && state.terms.length) { event.preventDefault(); lessLike(id); }
}

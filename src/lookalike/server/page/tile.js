// @ts-check
// One image of a grid: thumbnail, relevance, caption, and its actions.

import { format } from "./address.js";
import { thumbnail } from "./api.js";
import { colorOf, foundIn, scoreText, similarity, titleOf, valueText } from "./format.js";
import { html, memo, useEffect, useRef, useState } from "./html.js";
import { lessLike, moreLike } from "./results.js";
import { toggle } from "./selection.js";
import { state, update } from "./store.js";
import { Button, Icon } from "./ui.js";
import { t } from "./words.js";

const THUMBNAIL_SIZES = [256, 512];   // that the server caches, in pixels
const RETRY_DELAYS = [1500, 6000];    // milliseconds until a thumbnail that failed is requested again
const NO_HOVER = matchMedia("(hover: none)");
const LONG_PRESS = 450;               // milliseconds

/** Return the smallest cached size that is sharp enough for a box. */
export function thumbnailSize(width, height) {
  const pixels = Math.max(width, height) * Math.min(devicePixelRatio || 1, 2);
  return THUMBNAIL_SIZES.find((each) => each >= pixels * 0.9) ?? THUMBNAIL_SIZES[THUMBNAIL_SIZES.length - 1];
}

/** A thumbnail. It is fetched once `isFetched` is true, and again after a failure, because the server may have been busy;
 * removing it ends the request. */
export function Thumbnail({ id, size, isFetched = true, alt = "" }) {
  const image = useRef(/** @type {any} */ (null)), hasBegun = useRef(false), retry = useRef(/** @type {any} */ (0));
  const [failures, setFailures] = useState(0);
  if (isFetched) hasBegun.current = true;
  useEffect(() => () => {
    clearTimeout(retry.current);
    if (image.current && !image.current.complete) image.current.src = "";
  }, []);
  const fail = () => {
    if (failures < RETRY_DELAYS.length) retry.current = setTimeout(() => setFailures(failures + 1), RETRY_DELAYS[failures]);
  };
  // The part after "#" is not sent; it makes the browser ask again.
  const source = thumbnail(id, size) + (failures ? `#${failures}` : "");
  return html`<img ref=${image} src=${hasBegun.current ? source : undefined} alt=${alt} decoding="async" draggable=${true} onerror=${fail} />`;
}

/** The finger that rests on a tile: its timer, and whether it has rested long enough. */
const touch = { timer: /** @type {any} */ (0), isLong: false };

/** Call `action` when a finger rests on an element. */
function longPress(action) {
  const end = () => clearTimeout(touch.timer);
  return {
    ontouchstart: () => {
      end();
      touch.isLong = false;
      touch.timer = setTimeout(() => { touch.isLong = true; action(); navigator.vibrate?.(10); }, LONG_PRESS);
    },
    ontouchmove: end, ontouchcancel: end,
    // Without its click, which would close the menu that has opened under the finger.
    ontouchend: (event) => { end(); if (touch.isLong) event.preventDefault(); },
    oncontextmenu: (event) => { if (NO_HOVER.matches) event.preventDefault(); },
  };
}

/** Return the attributes by which an image is chosen with a finger: a long press opens its menu; while images are selected,
 * a press or a tap selects this one, too. */
export const touchAttributes = (item, isSelecting) => ({
  ...longPress(() => { toggle(item.id); if (!isSelecting) update({ menu: item }); }),
  onclick: (event) => {
    if (!isSelecting || !NO_HOVER.matches) return;
    toggle(item.id);
    event.preventDefault();
    event.stopPropagation();
  },
});

function TileView({ item, index, x, y, width, height, below, isFetched, isTabbable, isSelected, isSelecting, sign, canSubtract, caption, count, href }) {
  const title = titleOf(item);
  const hasScore = typeof item.score === "number";
  // Most images scroll past: their buttons are added when a pointer or the focus comes.
  const [isNear, setNear] = useState(false);
  const hasControls = isNear || isSelecting || sign !== 0 || NO_HOVER.matches;
  return html`<li class=${`tile${sign > 0 ? " more" : sign < 0 ? " less" : ""}${isSelected ? " selected" : ""}`} data-id=${item.id} data-index=${index}
      onpointerenter=${() => setNear(true)} onfocusin=${() => setNear(true)}
      aria-setsize=${count} aria-posinset=${index + 1} style=${`transform:translate(${x}px,${y}px);width:${width}px;height:${height}px`}>
    <a href=${href} data-navigate data-action="open" tabindex=${isTabbable ? 0 : -1} aria-label=${title + (hasScore ? `, ${scoreText(item)}` : "")}
      style=${`height:${height - below}px;background-color:${colorOf(item)}`} draggable=${!isSelecting} title=${foundIn(item)}
      ...${touchAttributes(item, isSelecting)}>
      <${Thumbnail} id=${item.id} size=${thumbnailSize(width, height)} isFetched=${isFetched} />
      <span class="caption"><span class="title">${title}</span>${hasScore && html`<b>${similarity(item.score)}</b>`}</span>
      ${item.copies > 0 && html`<span class="copies">+${item.copies}</span>`}
    </a>
    ${hasScore && item.relevance && html`<i class=${`relevance ${item.relevance}`}><i style=${`width:${Math.round(100 * Math.min(1, Math.max(0.02, item.score)))}%`} /></i>`}
    ${caption && html`<span class="under">${caption}</span>`}
    ${hasControls && html`<button type="button" class="tick" tabindex="-1" data-action="select" aria-pressed=${String(isSelected)} aria-label=${t("selectImage", { title })} title=${t("select")}><${Icon} name="check" /></button>
      <div class="tile-actions">
      <${Button} bare tabindex="-1" label=${t("moreLikeThis", { title })} icon="plus" class="tile-action plus" data-action="more" aria-pressed=${String(sign > 0)} onclick=${() => moreLike(item.id)} />
      ${canSubtract && html`<${Button} bare tabindex="-1" label=${t("lessLikeThis", { title })} icon="minus" class="tile-action minus" data-action="less" aria-pressed=${String(sign < 0)} onclick=${() => lessLike(item.id)} />`}
      </div>`}</li>`;
}

/** A tile is drawn again only when one of its attributes changes. */
export const Tile = memo(TileView);

/** Return the function that gives the attributes of tiles on the present address, from what the state says of them. */
export function tileAttributes({ address, selection, captionField }) {
  const signs = new Map(address.terms.filter((term) => term.kind === "image").map((term) => [Number(term.value), Math.sign(term.weight)]));
  const canSubtract = address.terms.length > 0;
  return (item) => ({
    isSelected: selection.has(item.id), isSelecting: selection.size > 0, sign: signs.get(item.id) ?? 0, canSubtract,
    caption: captionField ? captionOf(item, captionField) : "", href: format({ ...address, open: item.id }),
  });
}

function captionOf(item, field) {
  if (field === "name") return item.path.split("/").at(-1);
  const value = item.metadata?.[field];
  return value === undefined || value === null ? " " : valueText(value);
}

/** Height in pixels of what stands under images. */
export const heightBelow = ({ hasBars, captionField }) => (hasBars ? 5 : 0) + (captionField ? 20 : 0);

export const captionField = () => state.settings.captions;

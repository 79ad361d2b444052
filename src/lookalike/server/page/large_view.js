// @ts-check
// One image large, with its neighbours in the list, its facts, and why it matched.

import { closeImage, navigate } from "./address.js";
import { get, originalFile, thumbnail } from "./api.js";
import { Compare } from "./compare.js";
import { Details, termFor } from "./details.js";
import { fileNameOf, isPlayable, placeInFile, titleOf } from "./format.js";
import { html, useEffect, useRef, useState, useStore } from "./html.js";
import { showTiles } from "./image_tiles.js";
import { announce, showToast } from "./messages.js";
import { lessLike, loadMore, moreLike } from "./results.js";
import { toggle } from "./selection.js";
import { state } from "./store.js";
import { Toasts } from "./toasts.js";
import { Button, ErrorMessage, Icon, isTyping } from "./ui.js";
import { t } from "./words.js";
import PhotoSwipe from "./vendor/photoswipe.js";

const SHOWN_SIZE = 1024;    // side of the thumbnails that are shown, in pixels
const DOUBLE_CLICK = 400;   // milliseconds between the halves of a double click
const ENLARGEMENT = 2;      // of images that are smaller than the screen

/** Return what PhotoSwipe shows of an image: a scaled version, over which tiles show the rest; an animation itself. */
function slideOf(image) {
  const width = image.width || SHOWN_SIZE, height = image.height || SHOWN_SIZE;
  const isAnimation = image.format === "gif" || /\.gif$/i.test(image.path);
  return {
    id: image.id, src: isAnimation ? originalFile(image.id) : thumbnail(image.id, SHOWN_SIZE), msrc: thumbnail(image.id, 256), w: width, h: height,
    alt: titleOf(image), hasTiles: !isAnimation && Math.max(width, height) > SHOWN_SIZE,
  };
}

export function LargeView() {
  const address = useStore((store) => store.address), siblings = useStore((store) => store.siblings);
  const selection = useStore((store) => store.selection);
  const id = /** @type {number} */ (address.open);
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isComparing, setComparing] = useState(false), [playing, setPlaying] = useState(/** @type {number | null} */ (null));
  const dialog = useRef(/** @type {any} */ (null)), stage = useRef(/** @type {any} */ (null)), viewer = useRef(/** @type {any} */ (null));
  const index = siblings.findIndex((item) => item.id === id);
  const hit = siblings[index];
  const image = known?.id === id ? known : null;
  const term = termFor(address, id);

  const load = () => {
    setError(null);
    get(`images/${id}`).then((found) => { if (state.address.open === id) { setKnown(found); announce(titleOf(found)); } },
      (failure) => { if (state.address.open === id) setError(failure); });
  };
  useEffect(() => { load(); if (index > siblings.length - 6 && address.page === "search") loadMore(); }, [id]);
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current.showModal();
    return () => {
      viewer.current?.destroy();
      const tile = document.querySelector(`.tile[data-id="${dialog.current?.dataset.id}"] a`);
      /** @type {any} */ (tile ?? opener)?.focus?.({ preventScroll: true });
    };
  }, []);

  // The viewer shows the list, or the one image that was opened by its address.
  const hasSize = Boolean(hit ?? image);
  useEffect(() => {
    if (!hasSize) return;
    const slides = hit ? siblings.map(slideOf) : [slideOf(image)];
    const place = Math.max(0, index);
    if (viewer.current && viewer.current.getNumItems() > 1 === slides.length > 1) {
      viewer.current.options.dataSource = slides;
      if (viewer.current.currIndex !== place) viewer.current.goTo(place);
      return;
    }
    viewer.current?.destroy();
    viewer.current = openViewer(stage.current, slides, place);
  }, [id, hasSize, siblings]);

  const step = (by) => { const next = siblings[index + by]; if (index >= 0 && next) navigate({ open: next.id }, { replace: true }); };
  const handleKey = (event) => {
    if (isTyping(event.target) || event.target.type === "range" || event.altKey || event.ctrlKey || event.metaKey) return;
    const action = {
      ArrowRight: () => step(1), ArrowLeft: () => step(-1), "+": () => moreLike(id), "=": () => moreLike(id), "-": () => lessLike(id),
      x: () => toggle(id), c: () => term && setComparing(!isComparing),   // PhotoSwipe itself zooms with z
    }[event.key];
    if (action) { event.preventDefault(); action(); }
  };
  const hasList = index >= 0;
  return html`<dialog class="large-view" ref=${dialog} data-id=${id} aria-label=${titleOf(image ?? hit ?? { path: t("image") })} onkeydown=${handleKey}
      oncancel=${(event) => { event.preventDefault(); closeImage(); }}>
    <div class="stage" ref=${stage} tabindex="-1">
      ${isComparing && term && html`<${Compare} term=${term} id=${id} image=${image ?? hit} />`}
      ${playing === id && image && html`<video class="player" key=${id} controls autoplay src=${originalFile(id) + placeInFile(image)}
        aria-label=${titleOf(image)} onerror=${() => { setPlaying(null); announce(t("cannotPlay")); showToast(t("cannotPlay"), { kind: "error" }); }} />`}
      ${hasList && index > 0 && html`<${Button} bare label=${t("previousImage")} icon="back" class="step previous" onclick=${() => step(-1)} />`}
      ${hasList && index < siblings.length - 1 && html`<${Button} bare label=${t("nextImage")} icon="forward" class="step next" onclick=${() => step(1)} />`}
      <div class="stage-actions">
        ${isPlayable(image) && html`<${Button} bare label=${t("play")} icon="play" aria-pressed=${String(playing === id)} onclick=${() => setPlaying(playing === id ? null : id)} />`}
        ${term && html`<${Button} bare label=${t("compareWithQuery")} icon="compare" aria-pressed=${String(isComparing)} onclick=${() => setComparing(!isComparing)} />`}
        <${Button} bare label=${t("select")} icon="check" aria-pressed=${String(selection.has(id))} onclick=${() => toggle(id)} />
        <a class="button" href=${originalFile(id)} download=${fileNameOf((image ?? hit)?.path ?? "")} aria-label=${t("download")} title=${t("download")}><${Icon} name="export" /></a></div></div>
    <${Button} bare label=${t("close")} icon="close" class="close-large" onclick=${closeImage} />
    ${error ? html`<div class="details"><${ErrorMessage} error=${error} retry=${load} /></div>` : html`<${Details} key=${id} id=${id} image=${image} hit=${hit} term=${term} reload=${load} />`}
    <${Toasts} />
  </dialog>`;
}

/** Open PhotoSwipe in an element. */
function openViewer(stage, slides, index) {
  const fit = ({ panAreaSize, elementSize }) => Math.min(panAreaSize.x / elementSize.x, panAreaSize.y / elementSize.y);
  const shown = (level) => Math.min(ENLARGEMENT, fit(level));
  let clicked = -Infinity;
  /** A double click zooms as a click does: its second half must not zoom back. */
  const zoomOnce = (point, event) => {
    if (event.timeStamp - clicked > DOUBLE_CLICK) viewer.currSlide.toggleZoom(point);
    clicked = event.timeStamp;
  };
  /** @type {any} */
  const viewer = new PhotoSwipe({
    dataSource: slides, index, appendToEl: stage, getViewportSizeFn: () => ({ x: stage.clientWidth, y: stage.clientHeight }),
    initialZoomLevel: shown, secondaryZoomLevel: (level) => Math.max(1, shown(level) * 2.5), maxZoomLevel: (level) => Math.max(4, shown(level) * 6),
    showHideAnimationType: "none", bgOpacity: 0, padding: { top: 12, bottom: 12, left: 12, right: 12 }, loop: false, preload: [1, 2],
    wheelToZoom: true, escKey: false, arrowKeys: false, trapFocus: false, returnFocus: false, pinchToClose: false, closeOnVerticalDrag: false,
    clickToCloseNonZoomable: false, imageClickAction: zoomOnce, tapAction: false, bgClickAction: false, doubleTapAction: "zoom",
    close: false, zoom: false, counter: false, arrowPrev: false, arrowNext: false, allowPanToNext: true,
  });
  viewer.on("change", () => {
    const { id } = viewer.currSlide.data;
    if (state.address.open !== null && state.address.open !== id) navigate({ open: id }, { replace: true });
  });
  viewer.init();
  showTiles(viewer, SHOWN_SIZE);
  viewer.element?.setAttribute("role", "presentation");   // the dialog around it has the name
  return viewer;
}

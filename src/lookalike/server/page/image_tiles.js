// @ts-check
// Tiles over the open image while it is larger than its scaled version: only those in view, at the scale of the view.

import { imageTile } from "./api.js";

const TILE_SIDE = 512;     // as the server cuts them, in pixels
const SETTLE_TIME = 120;   // milliseconds without a movement until tiles are requested

/**
 * Show tiles in a viewer of PhotoSwipe.
 *
 * @param {any} viewer
 * @param {number} scaledSide  longer side of what the viewer itself shows, in pixels
 */
export function showTiles(viewer, scaledSide) {
  /** @type {any} */
  let layer = null;
  let timer = /** @type {any} */ (0);

  /** The layer has the size of the image, and is scaled with what the viewer shows. */
  const place = (slide) => {
    if (layer?.slide === slide) layer.element.style.transform = `scale(${slide.currentResolution || slide.zoomLevels.initial})`;
  };
  const remove = () => { clearTimeout(timer); layer?.element.remove(); layer = null; };

  const draw = () => {
    const slide = viewer.currSlide;
    if (!slide?.container.isConnected) return;
    const { w, h, id } = slide.data, zoom = slide.currZoomLevel, longer = Math.max(w, h);
    const density = Math.min(devicePixelRatio || 1, 2);
    if (!slide.data.hasTiles || zoom * density * longer <= scaledSide * 1.1) { remove(); return; }
    if (layer?.slide !== slide) {
      remove();
      layer = { slide, element: Object.assign(document.createElement("div"), { className: "image-tiles" }), tiles: new Map() };
      slide.container.append(layer.element);
      place(slide);
    }
    const level = Math.max(0, Math.floor(Math.log2(1 / (zoom * density)) + 0.1));
    const side = Math.ceil(longer / 2 ** level), scale = longer / side;   // pixels of the image per pixel of the level
    const width = Math.round(w / scale), height = Math.round(h / scale);
    const { x, y } = viewer.viewportSize;
    const first = (pan) => Math.max(0, Math.floor(-pan / zoom / scale / TILE_SIDE));
    const last = (pan, size, whole) => Math.min(Math.ceil(whole / TILE_SIDE), Math.ceil((size - pan) / zoom / scale / TILE_SIDE));
    const wanted = new Set();
    for (let row = first(slide.pan.y); row < last(slide.pan.y, y, height); row += 1) {
      for (let column = first(slide.pan.x); column < last(slide.pan.x, x, width); column += 1) {
        const key = `${level} ${column} ${row}`;
        wanted.add(key);
        if (layer.tiles.has(key)) continue;
        const image = new Image();
        const left = column * TILE_SIDE, top = row * TILE_SIDE;
        // Half a pixel more at the right and the bottom, so that no line shows between tiles.
        Object.assign(image.style, { left: `${left * scale}px`, top: `${top * scale}px`,
          width: `${(Math.min(TILE_SIDE, width - left) + 0.5) * scale}px`, height: `${(Math.min(TILE_SIDE, height - top) + 0.5) * scale}px` });
        image.alt = "";
        image.decoding = "async";
        image.onload = image.onerror = () => { if (layer) tidy(wanted); };
        image.src = imageTile(id, level, column, row);
        layer.tiles.set(key, image);
        layer.element.append(image);
      }
    }
    tidy(wanted);
  };

  /** Remove the tiles of other places and scales once those in view are there. */
  const tidy = (wanted) => {
    if ([...wanted].some((key) => layer.tiles.get(key)?.complete === false)) return;
    for (const [key, image] of layer.tiles) if (!wanted.has(key)) { image.src = ""; image.remove(); layer.tiles.delete(key); }
  };

  const soon = () => { clearTimeout(timer); timer = setTimeout(draw, SETTLE_TIME); };
  viewer.on("zoomPanUpdate", ({ slide }) => { place(slide); soon(); });
  viewer.on("resolutionChanged", () => place(viewer.currSlide));
  viewer.on("change", () => { remove(); soon(); });
  viewer.on("loadComplete", soon);
  viewer.on("destroy", remove);
  soon();
}

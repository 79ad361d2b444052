// @ts-check
// Thumbnails of the map, loaded from the server: those in view, and only as large as they are drawn.

import { thumbnail } from "./api.js";

const SMALL = 128, LARGE = 256;      // sizes that the server caches, in pixels
const SHARP = 1.3;                   // enlargement of small ones from which large ones are loaded
const MAX_PIXELS = 16_000_000;       // of all thumbnails that are kept
const MAX_CONCURRENT = 8;            // few, so that those in view are requested first after the map has moved

/** Create the thumbnails for the renderer, of images with these ids. */
export function serverThumbnails(/** @type {number[]} */ ids) {
  /** @type {Map<number, {image: HTMLImageElement | null, size: number, wanted: number}>} */
  const known = new Map();           // by id, the least recently used first
  /** @type {number[]} */
  let queue = [];
  let loading = 0, wanted = SMALL, pixels = 0;

  const sizeFor = (/** @type {number} */ side) => (side > SMALL * SHARP ? LARGE : SMALL);

  /** Return the thumbnail of a point for the renderer; null if it is not loaded. */
  function get(/** @type {number} */ i, side = 0) {
    const entry = known.get(ids[i]);
    if (!entry?.image) return null;
    known.delete(ids[i]);
    known.set(ids[i], entry);
    return { image: entry.image, x: 0, y: 0, width: entry.image.naturalWidth, height: entry.image.naturalHeight, isSmall: entry.size < sizeFor(side) };
  }

  /** Load the thumbnails of points, the first ones first; those requested before and not yet begun are forgotten. */
  function load(/** @type {number[]} */ indices, /** @type {() => void} */ loaded, side = 0) {
    wanted = sizeFor(side);
    queue = indices.map((i) => ids[i]);
    startLoading(loaded);
  }

  function startLoading(/** @type {() => void} */ loaded) {
    while (loading < MAX_CONCURRENT && queue.length) {
      const id = /** @type {number} */ (queue.shift()), size = wanted;
      const entry = known.get(id) ?? { image: null, size: 0, wanted: 0 };
      if (entry.wanted >= size) continue;   // loaded, on its way, or failed
      entry.wanted = size;
      known.set(id, entry);
      const image = new Image();
      image.src = thumbnail(id, size);
      loading += 1;
      image.decode().then(() => { keep(entry, image, size); }, () => {}).then(() => { loading -= 1; startLoading(loaded); loaded(); });
    }
  }

  /** Keep a thumbnail, and drop those that were not drawn for longest. */
  function keep(/** @type {any} */ entry, /** @type {HTMLImageElement} */ image, /** @type {number} */ size) {
    if (size < entry.size) return;
    pixels += size * size - entry.size * entry.size;
    Object.assign(entry, { image, size });
    for (const [id, oldest] of known) {
      if (pixels < MAX_PIXELS) break;
      pixels -= oldest.size * oldest.size;
      known.delete(id);
    }
  }

  return { get, load };
}

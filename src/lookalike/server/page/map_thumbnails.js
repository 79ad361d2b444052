// Thumbnails of the map, loaded from the server.

import { thumbnail } from "./api.js";

const MAX_CACHED = 1200;
const MAX_CONCURRENT = 12;   // few, so that those in view are requested first after the map has moved

/** Create the thumbnails for the renderer, of images with these ids. */
export function serverThumbnails(ids) {
  const images = new Map();   // by id, the least recently used first
  let queue = [], loading = 0;

  function get(i) {
    const image = images.get(ids[i]);
    if (!image) return null;
    images.delete(ids[i]);
    images.set(ids[i], image);
    if (!image.complete || !image.naturalWidth) return null;
    return { image, x: 0, y: 0, width: image.naturalWidth, height: image.naturalHeight };
  }

  function load(indices, loaded) {
    queue = indices.map((i) => ids[i]);
    startLoading(loaded);
  }

  function startLoading(loaded) {
    while (loading < MAX_CONCURRENT && queue.length) {
      const id = queue.shift();
      if (images.has(id)) continue;
      const image = new Image();
      loading += 1;
      image.onload = image.onerror = () => { loading -= 1; startLoading(loaded); loaded(); };
      image.src = thumbnail(id, 128);
      images.set(id, image);
      if (images.size > MAX_CACHED) images.delete(images.keys().next().value);
    }
  }

  return { get, load };
}

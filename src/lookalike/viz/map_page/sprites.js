// Thumbnails of the exported map, from the sprite sheets that the file holds.

/** Decode Base64 text. */
export const decodeBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/**
 * Create the thumbnails for the renderer.
 *
 * @param {Int32Array} data.slots   place of each point's thumbnail in the sheets, row by row; -1: it has none
 * @param {Uint8Array} data.sizes   width and height of the thumbnail in each slot, w, h, w, h, …
 * @param {number} data.side        of a slot, in pixels
 * @param {number} data.across      slots in a row and in a column of a sheet
 */
export function spriteThumbnails({ slots, sizes, side, across }) {
  const perSheet = across * across;
  const sheets = new Map();   // decoded sheets by number; null while one is being decoded

  function get(i) {
    const slot = slots[i];
    const image = slot < 0 ? null : sheets.get(Math.floor(slot / perSheet));
    if (!image) return null;
    const place = slot % perSheet;
    return { image, x: (place % across) * side, y: Math.floor(place / across) * side, width: sizes[2 * slot], height: sizes[2 * slot + 1] };
  }

  function load(indices, loaded) {
    for (const i of indices) {
      const number = Math.floor(slots[i] / perSheet);
      if (slots[i] < 0 || sheets.has(number)) continue;
      sheets.set(number, null);
      const content = decodeBase64(document.getElementById(`sheet-${number}`).textContent);
      createImageBitmap(new Blob([content], { type: "image/webp" })).then((bitmap) => { sheets.set(number, bitmap); loaded(); });
    }
  }

  return { get, load };
}

// @ts-check
// The selected images. The selection is shared by all screens and lasts until it is cleared.

import { state, update } from "./store.js";

/** @type {number | null} */
let anchor = null;   // where a range begins that Shift extends

const change = (/** @type {Set<number>} */ selection) => update({ selection });

/** Select an image, or clear it. */
export function toggle(/** @type {number} */ id) {
  const next = new Set(state.selection);
  if (!next.delete(id)) next.add(id);
  anchor = id;
  change(next);
}

/** Select all images of a list between the one that was chosen last and this one. */
export function selectRange(/** @type {number} */ id, /** @type {number[]} */ ids) {
  const from = ids.indexOf(anchor ?? id), to = ids.indexOf(id);
  if (from < 0 || to < 0) { toggle(id); return; }
  change(new Set([...state.selection, ...ids.slice(Math.min(from, to), Math.max(from, to) + 1)]));
}

/** Add images to the selection. */
export const select = (/** @type {Iterable<number>} */ ids) => change(new Set([...state.selection, ...ids]));

/** Select these images only. */
export const selectOnly = (/** @type {Iterable<number>} */ ids) => change(new Set(ids));

/** Remove images from the selection, because they are gone. */
export const deselect = (/** @type {Iterable<number>} */ ids) => {
  const gone = new Set(ids);
  change(new Set([...state.selection].filter((id) => !gone.has(id))));
};

export const clearSelection = () => { anchor = null; change(new Set()); };

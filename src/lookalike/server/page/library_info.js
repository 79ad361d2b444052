// @ts-check
// Facts about the library: loaded at the start, and again when the library has changed.

import { get } from "./api.js";
import { state, update } from "./store.js";

export const libraryInfo = { spaces: [], images: 0, writable: false, captions: false, fields: [] };

/** Load the facts and the fields of the library. */
export async function loadLibraryInfo() {
  const [info, fields] = await Promise.all([get("info"), get("fields")]);
  Object.assign(libraryInfo, info, { fields: fields.fields ?? [] });
  update({ library: { ...info, fields: fields.fields ?? [] } });
}

/** Return the number of files that could not be indexed, which every view states in the same way. */
export const failureCount = (library) => Object.entries(library.outcomes ?? {})
  .filter(([name]) => name !== "indexed" && name !== "skipped").reduce((sum, [, n]) => sum + n, 0);

/** Return the spaces with vectors; hashes last, because they only find copies. */
export const availableSpaces = () => [...(state.library?.spaces ?? [])].filter((space) => space.count !== 0)
  .sort((a, b) => Number(isHash(a)) - Number(isHash(b)));

export const isHash = (space) => /hash$/.test(space.name);

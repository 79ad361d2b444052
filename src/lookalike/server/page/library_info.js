// Information about the library: loaded at the start, and again when the library has changed.

import { get } from "./api.js";

export const libraryInfo = { spaces: [], images: 0, writable: false, captions: false, fields: [] };

/** Load the information and the fields of the library. */
export async function loadLibraryInfo() {
  const [info, fields] = await Promise.all([get("info"), get("fields")]);
  Object.assign(libraryInfo, info, { fields: fields.fields ?? [] });
}

/** Return the spaces with vectors; hashes last, because they only find copies. */
export const availableSpaces = () => [...libraryInfo.spaces].filter((space) => space.count !== 0)
  .sort((a, b) => isHash(a) - isHash(b));

export const isHash = (space) => /hash$/.test(space.name);

/** Can the library be searched with text? It needs captions, or a space that understands text. */
export const supportsText = () => libraryInfo.captions || libraryInfo.spaces.some((space) => space.text);

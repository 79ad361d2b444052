// What the library is: asked for once, and again when it has changed.

import { get } from "./api.js";

export const facts = { spaces: [], images: 0, writable: false, captions: false, fields: [] };

/** Ask the server; the fields of the library come along. */
export async function learn() {
  const [info, fields] = await Promise.all([get("info"), get("fields")]);
  Object.assign(facts, info, { fields: fields.fields ?? [] });
}

/** The spaces that people choose from; hashes come last, they only find copies. */
export const spaces = () => [...facts.spaces].filter((space) => space.count !== 0)
  .sort((a, b) => isHash(a) - isHash(b));

export const isHash = (space) => /hash$/.test(space.name);

/** Can words be asked for? Either captions are there, or a space that understands words. */
export const understandsWords = () => facts.captions || facts.spaces.some((space) => space.text);

// @ts-check
// Earlier queries, kept in this browser.

import { format } from "./address.js";
import { termImage } from "./api.js";
import { changeSettings } from "./settings.js";
import { state } from "./store.js";

const MAX_RECENT = 12;

/** Remember the query of the present address. */
export function remember() {
  const { address, settings } = state;
  if (!address.terms.length) return;
  const image = address.terms.find((term) => term.kind !== "text" && term.weight > 0);
  const words = address.terms.filter((term) => term.kind === "text").map((term) => (term.weight < 0 ? `−${term.value}` : term.value)).join(" ");
  const search = format({ ...address, page: "search", open: null });
  const same = (other) => other.search === search || (image && other.image === termImage(image) && other.words === words);
  const recent = [{ search, words, image: image ? termImage(image) : "" }, ...settings.recent.filter((other) => !same(other))];
  changeSettings({ recent: recent.slice(0, MAX_RECENT) });
}

// Formats numbers, names and values for people.

/** Titles of the bands of relevance. */
export const BANDS = {
  "near-copy": { title: "Near-copies", about: "the same image, or almost" },
  strong: { title: "Strong", about: "clearly closer than the rest of this library" },
  plausible: { title: "Plausible", about: "may be relevant" },
  weak: { title: "Weak", about: "no more similar than others" },
};

/** What became of a file when it was indexed. */
export const OUTCOMES = {
  indexed: "indexed",
  too_small: "too small",
  too_large: "too large",
  unsupported: "not of a supported format",
  unreadable: "unreadable",
  truncated: "truncated",
  timed_out: "took too long",
  out_of_memory: "needed too much memory",
  missing: "missing",
  skipped: "not an image, or drawn by Lookalike",
};

const integerFormat = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n) => integerFormat.format(n);

/** Return a number and a noun, such as "1 image" or "2 images". */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Return a number with at most four significant digits. */
export const short = (n) => (Number.isInteger(n) ? count(n) : new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(n));

/** Describe what ranked a hit: its relevance with the similarity, or a score that is not a similarity. */
export const scoreText = (hit) => (typeof hit.similarity === "number"
  ? `${hit.relevance ?? "similarity"} ${similarity(hit.similarity)}`
  : `${hit.relevance ? `${hit.relevance}, ` : ""}score ${similarity(hit.score)}`);

export const similarity = (n) => (Math.abs(n) >= 100 ? n.toFixed(0) : n.toFixed(2));

export function bytes(n) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export const seconds = (s) => (s < 1 ? `${Math.max(1, Math.round(s * 1000))} ms` : `${s.toFixed(1)} s`);

/** Format a time, given in seconds or as ISO 8601. */
export const dateTime = (time) =>
  new Date(typeof time === "number" ? time * 1000 : time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export const nameOf = (path) => path.split("/").at(-1);
export const folderOf = (path) => path.split("/").slice(0, -1).join("/");

/** Return the title of an image: its caption, title or name in the metadata, else the name of its file. */
export function titleOf(image) {
  const title = image.metadata?.caption ?? image.metadata?.title ?? image.metadata?.name;
  return typeof title === "string" && title ? title : nameOf(image.path);
}

/** Return a value of the metadata as text. */
export const valueText = (value) => (Array.isArray(value) ? value.map(valueText).join(", ")
  : typeof value === "number" ? short(value)
    : value && typeof value === "object" ? Object.entries(value).map(([name, inner]) => `${name}: ${valueText(inner)}`).join(", ")
      : String(value));

// Numbers and names as people read them.

export const BANDS = {
  "near-copy": { title: "Near-copies", about: "the same picture, or almost" },
  strong: { title: "Strong", about: "stand far out of this library" },
  plausible: { title: "Plausible", about: "may be what you mean" },
  weak: { title: "Weak", about: "no more alike than others" },
};

export const OUTCOMES = {
  indexed: "indexed",
  too_small: "too small",
  too_large: "too large",
  unsupported: "no picture of a known kind",
  unreadable: "unreadable",
  truncated: "cut off",
  timed_out: "took too long",
  out_of_memory: "needed too much memory",
  missing: "gone",
};

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n) => plain.format(n);

export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A number with about three digits that matter. */
export const short = (n) => (Number.isInteger(n) ? count(n) : new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(n));

export const similarity = (n) => (Math.abs(n) >= 100 ? n.toFixed(0) : n.toFixed(2));

export function bytes(n) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) { n /= 1000; at += 1; }
  return `${at && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

export const seconds = (s) => (s < 1 ? `${Math.max(1, Math.round(s * 1000))} ms` : `${s.toFixed(1)} s`);

/** A time, from seconds or ISO 8601. */
export const moment = (at) => new Date(typeof at === "number" ? at * 1000 : at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export const nameOf = (path) => path.split("/").at(-1);
export const folderOf = (path) => path.split("/").slice(0, -1).join("/");

/** What an image is called where there is room for a line: its caption, else its file's name. */
export function titleOf(image) {
  const said = image.metadata?.caption ?? image.metadata?.title ?? image.metadata?.name;
  return typeof said === "string" && said ? said : nameOf(image.path);
}

export const valueText = (value) => (Array.isArray(value) ? value.map(valueText).join(", ")
  : typeof value === "number" ? short(value)
    : value && typeof value === "object" ? Object.entries(value).map(([name, inner]) => `${name}: ${valueText(inner)}`).join(", ")
      : String(value));

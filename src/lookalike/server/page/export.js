// @ts-check
// Export of selected images as a file: made in the browser from what the library says of them.

import { get } from "./api.js";
import { showToast, tryOrToast } from "./messages.js";
import { state } from "./store.js";
import { t } from "./words.js";

const PAGE_SIZE = 500;   // ids in one request

/** Return everything known of these images, in this order; hits keep their similarity. */
async function imagesOf(ids) {
  const hits = new Map((state.results?.items ?? []).map((item) => [item.id, item]));
  const found = new Map();
  for (let start = 0; start < ids.length; start += PAGE_SIZE) {
    const part = ids.slice(start, start + PAGE_SIZE);
    const page = await get("images", { where: `file.id in (${part.join(", ")})`, k: PAGE_SIZE });
    for (const image of page.images) found.set(image.id, image);
  }
  return ids.filter((id) => found.has(id)).map((id) => {
    const { path, size, width, height, format, mtime, metadata } = found.get(id);
    const hit = hits.get(id);
    return { id, path, ...(typeof hit?.score === "number" ? { similarity: hit.similarity ?? hit.score, relevance: hit.relevance } : {}), width, height, size, format, modified: mtime, ...flat(metadata) };
  });
}

const flat = (metadata) => Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, value]));

/** Return a value as a cell of CSV (RFC 4180). A text that a spreadsheet would run as a formula is quoted with an apostrophe. */
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Return rows as CSV, with a column for every name that any of them has. */
export function toCsv(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((cells) => cells.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

const FORMATS = {
  csv: ["images.csv", "text/csv", toCsv],
  json: ["images.json", "application/json", (rows) => JSON.stringify(rows, null, 2)],
  paths: ["images.txt", "text/plain", (rows) => rows.map((row) => row.path).join("\n") + "\n"],
};

/** Save the facts of images as a file. */
export async function exportSelection(ids, kind) {
  const rows = await tryOrToast(() => imagesOf(ids));
  if (!rows) return;
  const [name, type, format] = FORMATS[kind];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([format(rows)], { type: `${type};charset=utf-8` }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  showToast(t("exported", { n: rows.length, name }), { kind: "hint" });
}

/** Copy the paths of images, one a line. */
export async function copyPaths(ids) {
  const rows = await tryOrToast(() => imagesOf(ids));
  if (!rows) return;
  await tryOrToast(() => navigator.clipboard.writeText(FORMATS.paths[2](rows)));
  showToast(t("pathsCopied", { n: rows.length }), { kind: "hint" });
}

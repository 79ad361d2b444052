// @ts-check
// Formats numbers, names and values for people.

import { count, number, t } from "./words.js";

export { count };

/** Return a number and a noun, such as "1 image" or "2 images". */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Return a number with at most four significant digits. */
export const short = (n) => (Number.isInteger(n) ? count(n) : number(n, { maximumSignificantDigits: 4 }));

/** Describe what ranked a hit: its relevance with the similarity, or a score that is not a similarity. */
export function scoreText(hit) {
  const isSimilarity = typeof hit.similarity === "number";
  const value = similarity(isSimilarity ? hit.similarity : hit.score);
  if (!hit.relevance) return t(isSimilarity ? "similarityOf" : "scoreOf", { value });
  return isSimilarity ? `${t(`relevance ${hit.relevance}`)} ${value}` : `${t(`relevance ${hit.relevance}`)}, ${t("scoreOf", { value })}`;
}

/** Return where a word of the query was found, such as "text in the image"; "" for other queries. */
export const foundIn = (hit) => (hit.matched_in?.length ? t("foundIn", { fields: hit.matched_in.map((name) => (name === "ocr_text" ? t("textInImage") : name.replaceAll("_", " "))).join(", ") }) : "");

export const similarity = (n) => n > 0 && n < 0.005 ? `<${number(0.01, { minimumFractionDigits: 2 })}` : number(n, Math.abs(n) >= 100 ? { maximumFractionDigits: 0 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export function bytes(n) {
  const units = [t("bytes"), "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return `${number(n, { maximumFractionDigits: unit && n < 10 ? 1 : 0 })} ${units[unit]}`;
}

export const seconds = (s) => (s < 1 ? `${Math.max(1, Math.round(s * 1000))} ms` : `${number(s, { maximumFractionDigits: 1 })} s`);

/** Format a time, given in seconds or as ISO 8601. */
export const dateTime = (time) =>
  new Date(typeof time === "number" ? time * 1000 : time).toLocaleString(document.documentElement.lang || undefined, { dateStyle: "medium", timeStyle: "short" });

export const nameOf = (path) => path.split("/").at(-1);
/** Return the name of an image's file: without the page or the time in it, of which several images are. */
export const fileNameOf = (path) => nameOf(path).replace(/#(\d+|t=[\d.]+)$/, "");
/** Return the fragment by which browsers open a PDF at the page, or a video at the time, that an image shows. */
export function placeInFile(image) {
  const [, place] = /#(\d+|t=[\d.]+)$/.exec(image.path) ?? [];
  return place === undefined ? "" : image.format === "pdf" ? `#page=${Number(place)}` : place.startsWith("t=") ? `#${place}` : "";
}
/** The formats of videos that browsers play. */
export const isPlayable = (image) => ["mp4", "matroska"].includes(image?.format);
export const folderOf = (path) => path.split("/").slice(0, -1).join("/");

/** Return the title of an image: its caption, title or name in the metadata, else the name of its file. */
export function titleOf(image) {
  const title = image.metadata?.caption ?? image.metadata?.title ?? image.metadata?.name;
  return typeof title === "string" && title ? title : nameOf(image.path);
}

/** Return the colour that stands for an image until its thumbnail has arrived; "" where it is not known. */
export const colorOf = (image) => (/^#[0-9a-f]{6}$/.test(image.dominant_color ?? "") ? image.dominant_color : "");

/** Return a value of the metadata as text. */
export const valueText = (value) => (Array.isArray(value) ? value.map(valueText).join(", ")
  : typeof value === "number" ? short(value)
    : value && typeof value === "object" ? Object.entries(value).map(([name, inner]) => `${name}: ${valueText(inner)}`).join(", ")
      : String(value));

// @ts-check
// Export of images by the server: as a table, as JSON, as a list of paths, or with their files.

import { post } from "./api.js";
import { showToast, tryOrToast } from "./messages.js";
import { t } from "./words.js";

export const FORMATS = { csv: "images.csv", json: "images.json", paths: "images.txt", zip: "images.zip" };

/** Save images in a file of a format. */
export async function exportImages(ids, format) {
  const content = await tryOrToast(async () => (await post("images/export", { ids, format })).blob());
  if (!content) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = FORMATS[format];
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  showToast(t("exported", { n: ids.length, name: FORMATS[format] }), { kind: "hint" });
}

/** Copy the paths of images, one a line. */
export async function copyPaths(ids) {
  const isCopied = await tryOrToast(async () => {
    await navigator.clipboard.writeText(await (await post("images/export", { ids, format: "paths" })).text());
    return true;
  });
  if (isCopied) showToast(t("pathsCopied", { n: ids.length }), { kind: "hint" });
}

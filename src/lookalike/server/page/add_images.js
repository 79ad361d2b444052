// @ts-check
// Adding images to the library: files that are chosen or dropped are sent, and a job of the server indexes them.

import { send } from "./api.js";
import { pollNow } from "./job_progress.js";
import { showToast, tryOrToast } from "./messages.js";
import { t } from "./words.js";

const BATCH = 8;   // images in one request

/**
 * Send images to the library. One that the server refuses is named, and the others are added.
 *
 * @param {File[]} files
 */
export async function addImages(files) {
  const images = files.filter((file) => file.type.startsWith("image/") || !file.type);
  if (!images.length) {
    if (files.length) showToast(t("notAnImage", { name: files[0].name || "?" }));
    return;
  }
  document.body.classList.add("uploading");
  let added = 0;
  for (let start = 0; start < images.length; start += BATCH) {
    const batch = images.slice(start, start + BATCH);
    if (images.length > BATCH) showToast(t("sending", { done: start, total: images.length }), { kind: "hint", name: "sending" });
    added += await sendBatch(batch);
    pollNow();
  }
  document.body.classList.remove("uploading");
  if (added) showToast(t("sent", { n: added }), { kind: "hint", name: "sending" });
}

/** Send images in one request, or one by one where one of them is refused. Returns how many were taken. */
async function sendBatch(files) {
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name);
  try {
    await send("POST", "images/files", form);
    return files.length;
  } catch (error) {
    if (files.length === 1 || ![400, 413, 415, 422].includes(error.status)) {
      await tryOrToast(() => { throw files.length > 1 ? error : named(error, files[0]); });
      return 0;
    }
  }
  let taken = 0;
  for (const file of files) taken += await sendBatch([file]);
  return taken;
}

const named = (error, file) => Object.assign(error, { message: `${file.name}: ${error.message}` });

/** Return the files of a drop, those in folders, too. Must be called while the event is handled. */
export async function droppedFiles(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...data.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => { entry.file(done, failed); })];
  const reader = entry.createReader(), found = [];
  for (;;) {   // a folder is read in parts; the last one is empty
    const part = await new Promise((done, failed) => { reader.readEntries(done, failed); });
    if (!part.length) return (await Promise.all(found.map(filesOf))).flat();
    found.push(...part);
  }
}

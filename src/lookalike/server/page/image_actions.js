// @ts-check
// What changes images: tags, removal from the library, the trash.

import { get, send } from "./api.js";
import { loadLibraryInfo } from "./library_info.js";
import { showToast, tryOrToast } from "./messages.js";
import { changeItems, reloadResults } from "./results.js";
import { deselect } from "./selection.js";
import { fromServer, loadServerSentences, t } from "./words.js";

const POLL_INTERVAL = 400;   // milliseconds

/** Return the tags of an image. */
export const tagsOf = (image) => [image?.metadata?.tags ?? []].flat();

/** Add and remove tags of images. Returns whether the server did. */
export async function changeTags(ids, { add = /** @type {string[]} */ ([]), remove = /** @type {string[]} */ ([]) }) {
  if (await tryOrToast(() => send("PATCH", "images", { ids, add_tags: add, remove_tags: remove })) === undefined) return false;
  const changed = new Set(ids);
  changeItems((item) => (changed.has(item.id)
    ? { ...item, metadata: { ...item.metadata, tags: [...new Set([...tagsOf(item), ...add])].filter((tag) => !remove.includes(tag)) } } : item));
  await tryOrToast(loadLibraryInfo);
  const undo = () => changeTags(ids, { add: remove, remove: add });
  if (add.length) showToast(t("tagged", { n: ids.length, tag: add.join(", ") }), { kind: "hint", undo });
  return true;
}

/** Return metadata with other values; null removes one. */
const withValues = (metadata, values) => Object.fromEntries(Object.entries({ ...metadata, ...values }).filter(([, value]) => value !== null));

/** Set metadata of an image; null removes a value, so that the file or a sidecar has the word again. `reload` is called when the server has, and again when it is undone. */
export async function changeMetadata(image, values, reload) {
  if (await tryOrToast(() => send("PATCH", "images", { ids: [image.id], metadata: values })) === undefined) return false;
  changeItems((item) => (item.id === image.id ? { ...item, metadata: withValues(item.metadata, values) } : item));
  reload();
  await tryOrToast(loadLibraryInfo);
  const before = Object.fromEntries(Object.keys(values).map((name) => [name, image.metadata?.[name] ?? null]));
  const undo = () => changeMetadata({ ...image, metadata: withValues(image.metadata, values) }, before, reload);
  showToast(t("metadataSaved"), { kind: "hint", undo, name: "metadata" });
  return true;
}

async function dropped(ids) {
  const gone = new Set(ids);
  deselect(ids);
  changeItems((item) => (gone.has(item.id) ? null : item));
  await tryOrToast(loadLibraryInfo);
}

/** Remove images from the library; their files stay. */
export async function removeImages(ids) {
  if (await tryOrToast(() => send("DELETE", "images", { ids })) === undefined) return false;
  await dropped(ids);
  showToast(t("removed", { n: ids.length }), { kind: "hint" });
  return true;
}

/** Wait until a job has ended and return its result. */
async function resultOf(job) {
  let now = job;
  while (now.running || now.state === "waiting") {
    await new Promise((done) => { setTimeout(done, POLL_INTERVAL); });
    now = await get(`jobs/${now.id}`);
  }
  if (now.state !== "done") throw Object.assign(new Error(now.message), { status: 0 });
  return now.result;
}

/** Move the files of images to the trash, with a way back. */
export async function trashImages(ids) {
  const result = await tryOrToast(async () => resultOf(await send("POST", "images/trash", { ids })));
  if (!result) return false;
  await loadServerSentences();
  const moved = result.moved ?? [];
  await dropped(moved);
  const undo = async () => {
    if (await tryOrToast(async () => resultOf(await send("POST", "trash/undo", { record: result.record })) ?? true) === undefined) return;
    await tryOrToast(loadLibraryInfo);
    reloadResults();
    showToast(t("undone"), { kind: "hint" });
  };
  if (moved.length) showToast(t("trashedImages", { n: moved.length }), { kind: "hint", undo });
  if (result.refused?.length) showToast(t("trashRefused", { n: result.refused.length, reason: reasonOf(result.refused[0]) }));
  return moved.length > 0;
}

const reasonOf = (refused) => fromServer(typeof refused === "object" ? refused.reason ?? Object.values(refused).join(": ") : String(refused));

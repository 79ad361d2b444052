// @ts-check
// What a library without images shows: how many there are to index and how long it will take, and a button.

import { get, send } from "./api.js";
import { html, useEffect, useRef, useState, useStore } from "./html.js";
import { pollNow } from "./job_progress.js";
import { Progress } from "./jobs.js";
import { tryOrToast } from "./messages.js";
import { Button, ErrorMessage } from "./ui.js";
import { t } from "./words.js";

const RETRY_INTERVAL = 1000;   // milliseconds

/** Return how long something will take: "about 3 min". */
const duration = (seconds) => (seconds < 90 ? t("aboutSeconds", { n: Math.max(1, Math.round(seconds)) })
  : seconds < 5400 ? t("aboutMinutes", { n: Math.round(seconds / 60) }) : t("aboutHours", { n: Math.round(seconds / 3600) }));

export function FirstRun() {
  const job = useStore((store) => store.job);
  const isIndexing = Boolean(job?.running && job.kind === "index");
  const [estimate, setEstimate] = useState(/** @type {any} */ (null)), [error, setError] = useState(/** @type {any} */ (null));
  const [isStarting, setStarting] = useState(false);
  const isHere = useRef(true);
  useEffect(() => {
    const load = async () => {
      try {
        const found = await get("estimate", { sample: 32 });
        if (!isHere.current) return;
        if (found.running) setTimeout(load, RETRY_INTERVAL); else setEstimate(found);
      } catch (failure) { setError(failure); }
    };
    if (!isIndexing) load();
    return () => { isHere.current = false; };
  }, []);
  const start = async () => {
    setStarting(true);
    if (await tryOrToast(() => send("POST", "images", {})) !== undefined) pollNow();
    setStarting(false);
  };
  if (isIndexing) return html`<${Progress} job=${job} title=${t("isIndexing")} note=${t("gridFills")} />`;
  if (error) return html`<${ErrorMessage} error=${error} />`;
  if (!estimate) return html`<${Progress} job=${{}} title=${t("counting")} note=${t("countingNote")} />`;
  if (!estimate.to_index) return html`<div class="empty"><h2>${t("noImagesInFolder")}</h2><p>${t("noImagesInFolderAdvice")}</p></div>`;
  return html`<div class="empty first-run"><h2>${t("notIndexedYet")}</h2><p>${t("notIndexedYetNote")}</p>
    <${Button} class="main" disabled=${isStarting} onclick=${start} label=${t("indexImages", { n: estimate.to_index, time: duration(estimate.seconds) })} /></div>`;
}

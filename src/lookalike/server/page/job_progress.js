// @ts-check
// The server's current job, such as indexing, shown on every screen.

import { get } from "./api.js";
import { html, useStore } from "./html.js";
import { cancelJob, timeLeft } from "./jobs.js";
import { announce } from "./messages.js";
import { state, update } from "./store.js";
import { Button } from "./ui.js";
import { count, fromServer, loadServerSentences, t } from "./words.js";

const RUNNING_INTERVAL = 1000, IDLE_INTERVAL = 15000;   // milliseconds between two requests
const GROW_INTERVAL = 3000;                             // milliseconds between two looks at new images

let poll = () => {};
/** Ask the server now, because a job has been started. */
export const pollNow = () => poll();

/** Poll the server's jobs; `onEnd` is called with the final state of every job, `onGrow` now and then while images are indexed. */
export function watchJobs(onEnd, onGrow) {
  let timer = /** @type {any} */ (0), grown = 0;
  poll = async () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") {
      try {
        const last = state.job, job = await get("jobs/latest");
        if (job.running || (last && job.run !== last.run)) await loadServerSentences();
        update({ job });
        // A short job begins and ends between two requests; its run number shows that there was one.
        if (last && !job.running && (last.running || job.run !== last.run)) onEnd(job);
        if (job.running && job.indexed && performance.now() - grown > GROW_INTERVAL) { grown = performance.now(); onGrow(); }
        if (job.running && !last?.running) announce(job.kind === "index" ? t("isIndexing") : job.message);
      } catch { /* other requests report that the server is gone */ }
    }
    clearTimeout(timer);
    timer = setTimeout(poll, state.job?.running ? RUNNING_INTERVAL : IDLE_INTERVAL);
  };
  poll();
}

export function JobProgress() {
  const job = useStore((store) => store.job);
  if (!job?.running) return null;
  const { kind, done, total, failed, rate, message } = job;
  const hasTotal = typeof total === "number" && total > 0;
  const parts = kind && kind !== "index" ? [fromServer(message ?? "")] : [hasTotal ? t("indexingOf", { n: done ?? 0, total }) : t("indexing", { n: done ?? 0 }),
    rate ? t("perSecond", { n: Math.round(rate) }) : null, timeLeft(job.seconds_left), failed ? t("couldNotBeRead", { n: failed }) : null];
  return html`<div id="progress" class="progress"><p>${parts.filter(Boolean).join(" · ")}</p>
    <progress max="1" value=${hasTotal ? (done ?? 0) / total : undefined} aria-label=${kind === "index" ? t("isIndexing") : message || count(done ?? 0)} />
    ${job.id && html`<${Button} label=${t("cancel")} class="quiet-text" onclick=${() => cancelJob(job)} />`}</div>`;
}

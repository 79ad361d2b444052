// Shows the progress of the server's current job, such as indexing, on every screen.

import { get } from "./api.js";
import { announce, el, fill } from "./dom.js";
import { count } from "./format.js";

const RUNNING_INTERVAL = 1000, IDLE_INTERVAL = 15000;   // milliseconds between two requests

let poll = () => {};
/** Ask the server now, because a job has been started. */
export const pollNow = () => poll();

/** Poll the server's jobs; `onEnd` is called with the final state of every job. */
export function watchJobs(onEnd) {
  const container = document.getElementById("progress");
  let last = null, timer = 0;
  poll = async () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") {
      try {
        const job = await get("jobs/latest");
        showProgress(container, job);
        // A short job begins and ends between two requests; its run number shows that there was one.
        if (last && !job.running && (last.running || job.run !== last.run)) onEnd(job);
        if (job.running && !last?.running) announce(job.kind === "index" ? "The library is being indexed." : job.message);
        last = job;
      } catch { /* other requests report that the server is gone */ }
    }
    clearTimeout(timer);
    timer = setTimeout(poll, last?.running ? RUNNING_INTERVAL : IDLE_INTERVAL);
  };
  poll();
}

function showProgress(container, { running, kind, done, total, failed, rate, message }) {
  container.hidden = !running;
  if (!running) return;
  const hasTotal = typeof total === "number" && total > 0;
  if (!container.firstChild) container.append(el("p"), el("progress", { max: 1, "aria-label": "Indexing" }));
  const parts = kind && kind !== "index" ? [message] : [`Indexing ${count(done ?? 0)}${hasTotal ? ` of ${count(total)}` : ""} images`,
    rate ? `${count(rate)} per second` : null, failed ? `${count(failed)} could not be read` : null];
  fill(container.querySelector("p"), parts.filter(Boolean).join(" · "));
  const bar = container.querySelector("progress");
  if (hasTotal) bar.value = done / total; else bar.removeAttribute("value");
}

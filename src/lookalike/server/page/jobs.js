// @ts-check
// Jobs of the server: waiting for one, cancelling it, and how long it will take.

import { get, send } from "./api.js";
import { html } from "./html.js";
import { tryOrToast } from "./messages.js";
import { Button } from "./ui.js";
import { count, t } from "./words.js";

const POLL_INTERVAL = 700;   // milliseconds

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Wait until a job has ended and return its state. */
export async function waitForJob(job) {
  while (job.running) {
    await sleep(POLL_INTERVAL);
    job = await get(`jobs/${job.id}`);
  }
  return job;
}

/** Start a job by a request and return its result; an error is shown, and the result is then undefined. */
export async function runJob(path, body) {
  return tryOrToast(async () => {
    const job = await waitForJob(await send("POST", path, body));
    if (!job.result) throw Object.assign(new Error(job.message), { status: 500 });
    return job;
  });
}

export const cancelJob = (job) => tryOrToast(() => send("DELETE", `jobs/${job.id}`));

/** Return the time that is left in words: "about 3 min left". */
export function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return t("secondsLeft", { n: Math.max(1, Math.round(seconds)) });
  return seconds < 5400 ? t("minutesLeft", { n: Math.round(seconds / 60) }) : t("hoursLeft", { n: Math.round(seconds / 3600) });
}

/** The progress of a job that is waited for: a bar, what is done, the time left, and a button that cancels it. */
export function Progress({ job, title, note = "", children = null }) {
  const hasTotal = typeof job?.total === "number" && job.total > 0;
  const facts = [hasTotal ? t("doneOf", { done: job.done, total: job.total }) : job?.done ? count(job.done) : "", timeLeft(job?.seconds_left)];
  return html`<div class="empty" role="status"><h2>${title}</h2>
    <progress aria-label=${title} max="1" value=${hasTotal ? Math.min(1, job.done / job.total) : undefined} />
    <p>${facts.filter(Boolean).join(" · ") || note}</p>
    ${job?.id && html`<${Button} label=${t("cancel")} onclick=${() => cancelJob(job)} />`}${children}</div>`;
}

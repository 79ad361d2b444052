// Says on every screen how far a run of indexing is.

import { get } from "./api.js";
import { announce, el, fill } from "./dom.js";
import { count } from "./wording.js";

const RUNNING = 1000, IDLE = 15000;   // milliseconds between two looks

let soon = () => {};
/** Look at once: a run has been asked for. */
export const lookSoon = () => soon();

/** Look again and again; `grown` is called with the last state of every run that has ended. */
export function watchIndexing(grown) {
  const place = document.getElementById("progress");
  let last = null, timer = 0;
  async function look() {
    clearTimeout(timer);
    if (document.visibilityState === "visible") {
      try {
        const now = await get("jobs/latest");
        show(place, now);
        // A short run begins and ends between two looks; its run number tells that there was one.
        if (last && !now.running && (last.running || now.run !== last.run)) grown(now);
        if (now.running && !last?.running) announce(now.kind === "index" ? "The library is being indexed." : now.message);
        last = now;
      } catch { /* other requests say what is wrong with the server */ }
    }
    clearTimeout(timer);
    timer = setTimeout(look, last?.running ? RUNNING : IDLE);
  }
  soon = look;
  look();
}

/** One line, and a bar where the end is known. */
export function show(place, { running, kind, done, total, failed, rate, message }) {
  place.hidden = !running;
  if (!running) return;
  const known = typeof total === "number" && total > 0;
  if (!place.firstChild) place.append(el("p"), el("progress", { max: 1, "aria-label": "Indexing" }));
  const parts = kind && kind !== "index" ? [message] : [`Indexing ${count(done ?? 0)}${known ? ` of ${count(total)}` : ""} pictures`,
    rate ? `${count(rate)} a second` : null, failed ? `${count(failed)} could not be read` : null];
  fill(place.querySelector("p"), parts.filter(Boolean).join(" · "));
  const bar = place.querySelector("progress");
  if (known) bar.value = done / total; else bar.removeAttribute("value");
}

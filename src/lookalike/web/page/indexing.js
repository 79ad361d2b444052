// Says on every screen how far a run of indexing is.

import { get } from "./api.js";
import { announce, el, fill } from "./dom.js";
import { count } from "./wording.js";

const RUNNING = 1000, IDLE = 15000;   // milliseconds between two looks

/** Look again and again; `grown` is called when a run has ended. */
export function watchIndexing(grown) {
  const place = document.getElementById("progress");
  let was = false;
  async function look() {
    let now = { running: false };
    if (document.visibilityState === "visible") {
      try { now = await get("indexing"); } catch { /* other requests say what is wrong with the server */ }
      show(place, now);
      if (was && !now.running) { announce("Indexing has ended."); grown(); }
      else if (!was && now.running) announce("The library is being indexed.");
      was = now.running;
    }
    setTimeout(look, was ? RUNNING : IDLE);
  }
  look();
}

/** One line, and a bar where the end is known. */
export function show(place, { running, done, total, failed, rate }) {
  place.hidden = !running;
  if (!running) return;
  const known = typeof total === "number" && total > 0;
  if (!place.firstChild) place.append(el("p"), el("progress", { max: 1, "aria-label": "Indexing" }));
  const parts = [`Indexing ${count(done ?? 0)}${known ? ` of ${count(total)}` : ""} pictures`,
    rate ? `${count(rate)} a second` : null, failed ? `${count(failed)} could not be read` : null];
  fill(place.querySelector("p"), parts.filter(Boolean).join(" · "));
  const bar = place.querySelector("progress");
  if (known) bar.value = done / total; else bar.removeAttribute("value");
}

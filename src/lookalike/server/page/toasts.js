// What went wrong, said on the page.

import { button, el } from "./dom.js";

const ASKED_WRONGLY = [400, 422];   // the same question has the same answer

/** A message's parts; what stands in backticks is to be typed, and is not broken anywhere. */
const withCode = (text) => text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));

/** A failure in place of what it prevented, with a way to try again. */
export function refuse(error, again) {
  const said = error.status === undefined ? `The page made a mistake: ${error.message}` : error.message;
  const notice = el("div", { class: "refusal", role: "alert" },
    el("p", {}, withCode(said)),
    again && !ASKED_WRONGLY.includes(error.status) ? button("Try again", null, () => again(notice)) : null);
  if (error.status === undefined) console.error(error);
  return notice;
}

/** A failure that prevented nothing else: it stands above the page until it is closed. */
export function say(message, { kind = "error", for: ms = kind === "error" ? 0 : 5000, undo = null } = {}) {
  const notice = el("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status" },
    el("p", {}, message),
    undo ? button("Undo", "undo", () => { notice.remove(); undo(); }) : null,
    button("Close this message", "close", () => notice.remove(), { bare: true, class: "close" }));
  const place = document.getElementById("notices");
  // The same message twice would be read out twice and tell nothing new.
  for (const other of place.children) if (other.querySelector("p").textContent === message) other.remove();
  place.append(notice);
  if (ms) setTimeout(() => notice.remove(), ms);
}

/** Do something that may fail, and say so where it does; what it gave, or undefined. */
export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") {
      say(error.status === undefined ? `The page made a mistake: ${error.message}` : error.message);
      if (error.status === undefined) console.error(error);
    }
    return undefined;
  }
}

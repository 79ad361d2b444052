// Messages on the page: errors in place of what failed, and toasts above the page.

import { button, el } from "./dom.js";

const INVALID_REQUEST = [400, 422];   // sending the same request again would have the same result

/** Split a message at its backticks; quoted parts become <code>. */
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));

/** Return the message of an error. One without a status is a bug of the page: it is logged, too. */
function messageOf(error) {
  if (error.status !== undefined) return error.message;
  console.error(error);
  return `Error in the page: ${error.message}`;
}

/** Return an element that shows an error in place of what failed. `retry(element)`: called by "Try again". */
export function errorMessage(error, retry) {
  const element = el("div", { class: "error-message", role: "alert" },
    el("p", {}, withCode(messageOf(error))),
    retry && !INVALID_REQUEST.includes(error.status) ? button("Try again", null, () => retry(element)) : null);
  return element;
}

/** Show a message above the page; an error until it is closed, a hint for five seconds. */
export function showToast(message, { kind = "error", undo = null } = {}) {
  const toast = el("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    el("p", {}, message),
    undo ? button("Undo", "undo", () => { toast.remove(); undo(); }) : null,
    button("Close this message", "close", () => toast.remove(), { bare: true, class: "close" }));
  const container = document.getElementById("toasts");
  for (const other of container.children) if (other.querySelector("p").textContent === message) other.remove();
  container.append(toast);
  if (kind !== "error") setTimeout(() => toast.remove(), 5000);
}

/** Run an action that may fail; if it fails, show its error as a toast and return undefined. */
export async function tryOrToast(action) {
  try {
    return await action();
  } catch (error) {
    if (error.name !== "AbortError") showToast(messageOf(error));
    return undefined;
  }
}

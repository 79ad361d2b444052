// @ts-check
// Messages above the page, and announcements to screen readers.

import { state, update } from "./store.js";
import { t } from "./words.js";

const INVALID_REQUEST = [400, 404, 422];   // sending the same request again would have the same result
const HINT_TIME = 6000, UNDO_TIME = 15000;   // milliseconds

let lastId = 0;

export const canRetry = (error) => !INVALID_REQUEST.includes(error.status);

/** Return the message of an error for people. One without a status is a bug of the page: it is logged, too. */
export function messageOf(error) {
  if (error.status !== undefined) return error.message;
  console.error(error);
  return t("pageError");
}

/**
 * Show a message above the page; an error until it is closed, a hint for some seconds.
 *
 * @param {string} text
 * @param {{kind?: "error" | "hint", undo?: (() => void) | null, name?: string}} [options]  `name`: it replaces the one of this name
 */
export function showToast(text, { kind = "error", undo = null, name = text } = {}) {
  const toast = { id: lastId += 1, text, kind, undo, name };
  update({ toasts: [...state.toasts.filter((other) => other.name !== name), toast] });
  if (kind !== "error") setTimeout(() => closeToast(toast.id), undo ? UNDO_TIME : HINT_TIME);
}

export const closeToast = (/** @type {number} */ id) => update({ toasts: state.toasts.filter((toast) => toast.id !== id) });

/** Run an action that may fail; if it fails, show its error as a toast and return undefined. */
export async function tryOrToast(action) {
  try {
    return await action();
  } catch (error) {
    if (error.name !== "AbortError") showToast(messageOf(error));
    return undefined;
  }
}

let announcing = 0;
/** Announce a text to screen readers. */
export function announce(/** @type {string} */ text) {
  const region = document.getElementById("announcement");
  if (!region) return;
  clearTimeout(announcing);
  region.textContent = "";
  announcing = setTimeout(() => { region.textContent = text; }, 50);
}

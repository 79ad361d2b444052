// @ts-check
// Feedback about images: sends it and undoes it.

import { send } from "./api.js";
import { showToast, tryOrToast } from "./messages.js";
import { t } from "./words.js";

const sent = /** @type {any[]} */ ([]);   // {decision, restore} that can be undone, the latest last

/**
 * Store a decision and confirm it in a toast with an "Undo" button.
 *
 * @param {{kind: string, image: number, others?: number[]}} decision
 * @param {string} message     of the toast
 * @param {() => void} [restore] brings the screen back to its state before the decision
 * @returns {Promise<boolean>} false if the server refused, which is shown
 */
export async function sendFeedback(decision, message, restore = () => {}) {
  const response = await tryOrToast(() => send("POST", "feedback", decision));
  if (response === undefined) return false;
  const entry = { decision, restore };
  sent.push(entry);
  showToast(message, { kind: "hint", undo: () => undo(entry) });
  return true;
}

/** Undo the latest decision. */
export function undoLatest() {
  const entry = sent.at(-1);
  if (entry) undo(entry); else showToast(t("nothingToUndo"), { kind: "hint" });
}

async function undo(entry) {
  if (!sent.includes(entry)) return;
  const response = await tryOrToast(() => send("DELETE", "feedback", entry.decision));
  if (response === undefined) return;
  sent.splice(sent.indexOf(entry), 1);
  entry.restore();
  showToast(t("undone"), { kind: "hint" });
}

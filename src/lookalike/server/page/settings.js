// @ts-check
// What a person has chosen for this browser: theme, language, size of tiles, what stands under them.

import { state, update } from "./store.js";
import { loadLanguage } from "./words.js";

const KEY = "lookalike";
const DEFAULTS = { theme: "", language: "", tile: 190, captions: "", rail: true, recent: [] };

/** Read the settings and apply them. */
export async function loadSettings() {
  let stored = {};
  try { stored = JSON.parse(localStorage.getItem(KEY) ?? "{}"); } catch { /* storage is blocked or broken: defaults */ }
  state.settings = { ...DEFAULTS, ...stored };
  document.documentElement.dataset.theme = state.settings.theme;
  await loadLanguage(document.documentElement.lang);   // which early.js has chosen
}

/** Change settings, apply and keep them. */
export function changeSettings(changes) {
  const settings = { ...state.settings, ...changes };
  try { localStorage.setItem(KEY, JSON.stringify(settings)); } catch { /* they last until the page is closed */ }
  document.documentElement.dataset.theme = settings.theme;
  if ("language" in changes) { location.reload(); return; }
  update({ settings });
}

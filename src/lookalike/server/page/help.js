// @ts-check
// The keys of the page.

import { html } from "./html.js";
import { update } from "./store.js";
import { Button, Dialog } from "./ui.js";
import { t } from "./words.js";

/** @type {[string, [string, string][]][]} */
const KEYS = [
  ["keysEverywhere", [["/", "keySearch"], ["?", "shortcuts"], ["1 … 5", "keyScreens"], ["Esc", "keyEscape"]]],
  ["keysGrid", [["← → ↑ ↓", "keyMove"], ["Enter", "keyOpen"], ["+ −", "keyMoreLess"], ["x", "keySelect"], ["Shift + ← →", "keyRange"], ["Ctrl + A", "keyAll"]]],
  ["keysLarge", [["← →", "keyNeighbours"], ["c", "keyCompare"], ["z", "keyZoom"], ["+ −", "keyMoreLess"]]],
  ["keysMap", [["← → ↑ ↓", "keyPan"], ["+ −", "keyZoom"], ["0", "showAll"], ["l", "lasso"], ["x", "keySelectMiddle"], ["Enter", "keyOpenMiddle"]]],
  ["keysRegion", [["← → ↑ ↓", "keyMoveBox"], ["Shift + ← →", "keySizeBox"], ["Esc", "wholeImage"]]],
];

export function Help() {
  const close = () => update({ dialog: "" });
  return html`<${Dialog} label=${t("shortcuts")} class="help" onClose=${close}>
    <header class="dialog-head"><h2>${t("shortcuts")}</h2><${Button} bare label=${t("close")} icon="close" class="quiet" onclick=${close} /></header>
    <div class="help-groups">${KEYS.map(([title, keys]) => html`<section key=${title}><h3>${t(title)}</h3><dl>${keys.map(([key, text]) => html`
      <div key=${key}><dt>${key.split(" ").map((part) => (/^(\+|…)$/.test(part) && key.length > 3 && part !== key ? ` ${part} ` : html`<kbd>${part}</kbd>`))}</dt><dd>${t(text)}</dd></div>`)}</dl></section>`)}</div><//>`;
}

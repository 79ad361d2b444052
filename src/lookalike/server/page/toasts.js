// @ts-check
// Shows the messages above the page.

import { html, useStore } from "./html.js";
import { closeToast } from "./messages.js";
import { Button } from "./ui.js";
import { t } from "./words.js";

export function Toasts() {
  const toasts = useStore((state) => state.toasts);
  return html`<div id="toasts" class="toasts">${toasts.map(({ id, text, kind, undo }) => html`
    <div key=${id} class=${`toast ${kind}`} role=${kind === "error" ? "alert" : "status"}><p>${text}</p>
      ${undo && html`<${Button} label=${t("undo")} icon="undo" onclick=${() => { closeToast(id); undo(); }} />`}
      <${Button} bare label=${t("closeMessage")} icon="close" class="close" onclick=${() => closeToast(id)} /></div>`)}</div>`;
}

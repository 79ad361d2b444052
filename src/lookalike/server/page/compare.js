// @ts-check
// Two images, such as the query and a hit, on top of each other: a slider between them, or their difference.

import { termImage, thumbnail } from "./api.js";
import { html, useState } from "./html.js";
import { Segments } from "./ui.js";
import { t } from "./words.js";

export function Compare({ term, id, image, names = [t("theQuery"), t("theHit")] }) {
  const [mode, setMode] = useState("slider");
  const [split, setSplit] = useState(50);
  const ratio = image?.width && image?.height ? image.width / image.height : 1;
  return html`<div class=${`compare by-${mode}`}>
    <div class="compare-images" style=${`--ratio:${ratio}`}>
      <img src=${thumbnail(id, 1024)} alt=${names[1]} />
      <img src=${termImage(term, 1024)} alt=${names[0]} style=${mode === "slider" ? `clip-path:inset(0 ${100 - split}% 0 0)` : ""} />
      ${mode === "slider" && html`<i class="split" style=${`left:${split}%`} />
        <input type="range" min="0" max="100" value=${split} aria-label=${t("splitLabel")} oninput=${(event) => setSplit(Number(event.target.value))} />`}
      ${mode !== "difference" && html`<span class="side left">${names[0]}</span><span class="side right">${names[1]}</span>`}</div>
    <${Segments} label=${t("compareWithQuery")} value=${mode} onChange=${setMode}
      options=${[["slider", t("slider")], ["difference", t("difference")], ["beside", t("sideBySide")]]} /></div>`;
}

// @ts-check
// The introduction above the library's images, shown while there is no query.

import { html, useStore } from "./html.js";
import { chooseImages, hasCamera } from "./image_input.js";
import { Button } from "./ui.js";
import { t } from "./words.js";

const isLocal = () => ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

export function Welcome() {
  const library = useStore((state) => state.library);
  const instructions = hasCamera() ? (library.text ? "askPhoneText" : "askPhone") : library.text ? "askText" : "ask";
  return html`<section class="welcome">
    <h1>${t("whatLooksLikeThis")}</h1>
    <p class="muted">${t(instructions)} ${t(isLocal() ? "comparedHere" : "comparedThere", { n: library.images })}</p>
    <p class="welcome-actions">
      <${Button} label=${t("chooseImage")} icon="image" class="main" onclick=${() => chooseImages()} />
      ${hasCamera() && html`<${Button} label=${t("takePhoto")} icon="camera" onclick=${() => chooseImages({ photo: true })} />`}
    </p></section>`;
}

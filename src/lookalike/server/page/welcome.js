// The introduction above the library's images, shown while there is no query.

import { state } from "./address.js";
import { button, el } from "./dom.js";
import { count } from "./format.js";
import { chooseImages, hasCamera } from "./image_input.js";
import { libraryInfo, supportsText } from "./library_info.js";

const isLocal = () => ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** Return the introduction, or null while a filter is set or the library is empty. */
export function welcome(response) {
  if (state.where || !response.images.length) return null;
  return el("section", { class: "welcome" },
    el("h1", {}, "What looks like this?"),
    el("p", { class: "muted" }, instructions(), " ",
      `It is compared with ${count(libraryInfo.images ?? response.total)} images `,
      `${isLocal() ? "on this machine" : "on this server"} and is sent nowhere else.`),
    el("p", { class: "welcome-actions" },
      button("Choose an image", "image", () => chooseImages(), { class: "main" }),
      hasCamera() ? button("Take a photo", "camera", () => chooseImages({ photo: true })) : null));
}

/** On a phone nothing can be dropped. */
function instructions() {
  if (hasCamera()) return `Choose an image or take a photo${supportsText() ? ", or describe what you are looking for" : ""}.`;
  return supportsText()
    ? "Drop an image anywhere, paste one, or describe what you are looking for."
    : "Drop an image anywhere, or paste one.";
}

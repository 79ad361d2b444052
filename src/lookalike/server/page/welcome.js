// What a visitor sees before a question is asked.

import { button, el } from "./dom.js";
import { choose, takesPhotos } from "./image_input.js";
import { facts, understandsWords } from "./library_info.js";
import { state } from "./address.js";
import { count } from "./wording.js";

const here = () => ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** The invitation above the library's pictures; none where somebody looks through a filter. */
export function welcome(answer) {
  if (state.where || !answer.images.length) return null;
  return el("section", { class: "welcome" },
    el("h1", {}, "What looks like this?"),
    el("p", { class: "soft" }, ways(), " ",
      `It is compared with ${count(facts.images ?? answer.total)} pictures ${here() ? "on this machine" : "on this server"} and goes nowhere else.`),
    el("p", { class: "ways" },
      button("Choose a picture", "picture", () => choose(), { class: "main" }),
      takesPhotos() ? button("Take a photo", "camera", () => choose({ photo: true })) : null));
}

/** What can be done here: on a phone nothing can be dropped. */
function ways() {
  if (takesPhotos()) return `Choose a picture or take a photo${understandsWords() ? ", or write what you look for" : ""}.`;
  return understandsWords() ? "Drop a picture anywhere, paste one, or write what you look for." : "Drop a picture anywhere, or paste one.";
}

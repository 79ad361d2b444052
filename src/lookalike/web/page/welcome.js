// What a visitor sees before a question is asked.

import { button, el } from "./dom.js";
import { choose, takesPhotos } from "./given.js";
import { facts } from "./facts.js";
import { state } from "./address.js";
import { count } from "./wording.js";

const here = () => ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

/** The invitation above the library's pictures; none where somebody looks through a filter. */
export function welcome(answer) {
  if (state.where || !answer.images.length) return null;
  const words = facts.captions || facts.spaces?.some((space) => space.words);
  return el("section", { class: "welcome" },
    el("h1", {}, "What looks like this?"),
    el("p", { class: "soft" }, `Drop a picture anywhere, paste one${words ? ", or write what you look for" : ""}. `,
      `It is compared with ${count(facts.images ?? answer.total)} pictures ${here() ? "on this machine" : "on this server"} and goes nowhere else.`),
    el("p", { class: "ways" },
      button("Choose a picture", "picture", () => choose(), { class: "main" }),
      takesPhotos() ? button("Take a photo", "camera", () => choose({ photo: true })) : null));
}

// Messages of the screens that are not yet drawn by components.

import { canRetry, messageOf } from "../messages.js";
import { button, el } from "./dom.js";

export { showToast, tryOrToast } from "../messages.js";

/** Split a message at its backticks; quoted parts become <code>. */
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));

/** Return an element that shows an error in place of what failed. `retry(element)`: called by "Try again". */
export function errorMessage(error, retry) {
  const element = el("div", { class: "error-message", role: "alert" },
    el("p", {}, withCode(messageOf(error))),
    retry && canRetry(error) ? button("Try again", null, () => retry(element)) : null);
  return element;
}

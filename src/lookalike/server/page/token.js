// Asks for the token that a server wants which can be reached from other machines.

import { send } from "./api.js";
import { button, el, fill } from "./dom.js";

/** Ask, and call `then` once the server is content. */
export function askForToken(then) {
  if (document.querySelector("dialog.token")) return;
  const wrong = el("p", { class: "wrong", role: "alert" });
  const input = el("input", { type: "password", name: "token", autocomplete: "current-password", required: true, "aria-label": "Token" });
  const form = el("form", { method: "dialog" },
    el("h2", {}, "This library asks for a token"),
    el("p", { class: "soft" }, "Whoever started the server sees it where it was started."),
    input, wrong, el("p", { class: "actions" }, button("Open", null, () => {}, { type: "submit", class: "main" })));
  const dialog = el("dialog", { class: "token", "aria-label": "Token", oncancel: (event) => event.preventDefault() }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("POST", "session", { token: input.value.trim() });
      dialog.remove();
      then();
    } catch (error) {
      fill(wrong, error.message);
      input.select();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}

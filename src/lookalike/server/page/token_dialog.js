// Asks for the token of a server that other machines can reach.

import { send } from "./api.js";
import { button, el, fill } from "./dom.js";

/** Ask for the token, and call `onAccepted` once the server accepts it. */
export function askForToken(onAccepted) {
  if (document.querySelector("dialog.token")) return;
  const errorText = el("p", { class: "token-error", role: "alert" });
  const input = el("input", { type: "password", name: "token", autocomplete: "current-password", required: true, "aria-label": "Token" });
  const form = el("form", { method: "dialog" },
    el("h2", {}, "This library requires a token"),
    el("p", { class: "muted" }, "The server printed it when it was started."),
    input, errorText, el("p", { class: "actions" }, button("Open", null, () => {}, { type: "submit", class: "main" })));
  const dialog = el("dialog", { class: "token", "aria-label": "Token", oncancel: (event) => event.preventDefault() }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("POST", "session", { token: input.value.trim() });
      dialog.remove();
      onAccepted();
    } catch (error) {
      fill(errorText, error.message);
      input.select();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}

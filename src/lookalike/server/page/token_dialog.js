// @ts-check
// Asks for the token of a server that other machines can reach.

import { send } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { t } from "./words.js";

/** `onAccepted`: called once the server accepts the token. */
export function TokenDialog({ onAccepted }) {
  const dialog = useRef(/** @type {any} */ (null)), input = useRef(/** @type {any} */ (null));
  const [error, setError] = useState("");
  useEffect(() => dialog.current.showModal(), []);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await send("POST", "session", { token: input.current.value.trim() });
      onAccepted();
    } catch (failure) {
      setError(failure.message);
      input.current.select();
    }
  };
  return html`<dialog ref=${dialog} class="token" aria-label=${t("token")} oncancel=${(event) => event.preventDefault()}>
    <form method="dialog" onsubmit=${submit}><h2>${t("tokenRequired")}</h2><p class="muted">${t("tokenPrinted")}</p>
      <input ref=${input} type="password" name="token" autocomplete="current-password" required aria-label=${t("token")} />
      <p class="token-error" role="alert">${error}</p>
      <p class="actions"><button type="submit" class="main">${t("open")}</button></p></form></dialog>`;
}

// @ts-check
// The header: the name, words and images to search for, the screens, and the menu.

import { format, navigate } from "./address.js";
import { Colors } from "./colors.js";
import { html, useRef, useStore } from "./html.js";
import { chooseImages, hasCamera } from "./image_input.js";
import { changeSettings } from "./settings.js";
import { state, update } from "./store.js";
import { Button, Icon, Menu, Segments } from "./ui.js";
import { LANGUAGES, language, t } from "./words.js";

/** Screens in the order of the navigation: name in the address and key of the label, icon. */
export const SCREENS = [["search", "search"], ["browse", "browse"], ["map", "map"], ["duplicates", "copies"], ["library", "library"]];

const NARROW = matchMedia("(max-width: 520px)");   // longer words are cut off there

export function Header() {
  const address = useStore((state) => state.address);
  return html`<header class="top">
    <a class="brand" href="?" data-navigate aria-label="Lookalike"><img src="page/icon.svg" alt="" width="26" height="26" /><span>Lookalike</span></a>
    <${SearchBar} address=${address} />
    <nav class="pages" aria-label=${t("pages")}>${SCREENS.map(([page, icon]) => html`
      <a key=${page} href=${format({ ...address, page, open: null })} data-navigate aria-current=${page === address.page ? "page" : undefined}><${Icon} name=${icon} /><span>${t(`screen ${page}`)}</span></a>`)}</nav>
    <${Menu} id="main-menu" bare icon="menu" label=${t("menu")} class="quiet main-menu">${(close) => html`<${MainMenu} close=${close} />`}<//>
  </header>`;
}

function SearchBar({ address }) {
  const input = useRef(/** @type {any} */ (null));
  const library = useStore((state) => state.library);
  const hasText = Boolean(library?.text), hasTerms = address.terms.length > 0;
  /** Add the text as a term; a minus sign before it makes the term negative. */
  const submit = (event) => {
    event.preventDefault();
    const text = input.current.value.trim();
    const minus = /^[-−–]\s*(?=\S)/.exec(text);
    const value = minus ? text.slice(minus[0].length) : text;
    input.current.value = "";
    if (!value) { if (address.page !== "search") navigate({ page: "search", open: null }); return; }
    const others = address.terms.filter((term) => term.kind !== "text" || term.value !== value);
    navigate({ page: "search", open: null, terms: [...others, { kind: "text", value, weight: minus ? -1 : 1 }] });
  };
  const back = (event) => {
    if (event.key === "Backspace" && !input.current.value && hasTerms) navigate({ terms: address.terms.slice(0, -1) });
    if (event.key === "Escape") input.current.blur();
  };
  return html`<search class="query" id="query" aria-label=${t("query")}><form class="bar" onsubmit=${submit}>
    <${Icon} name="search" />
    <input type="text" name="text" ref=${input} autocomplete="off" enterkeyhint="search" spellcheck=${false} aria-label=${t("textToSearch")} aria-keyshortcuts="/"
      disabled=${!hasText} placeholder=${t(hasTerms ? (hasText ? "andText" : "andImage") : NARROW.matches ? (hasText ? "screen search" : "image") : hasText ? "imageOrText" : "dropPasteChoose")} onkeydown=${back} />
    ${hasCamera() && html`<${Button} bare icon="camera" label=${t("takePhoto")} class="quiet" onclick=${() => chooseImages({ photo: true })} />`}
    <${Menu} id="color-menu" bare icon="palette" label=${t("askColors")} class="quiet" width=${300}>${() => html`<${Colors} />`}<//>
    <${Button} bare icon="image" label=${t("chooseImage")} class="quiet" onclick=${() => chooseImages()} />
  </form></search>`;
}

function MainMenu({ close }) {
  const settings = useStore((state) => state.settings);
  return html`
    <fieldset><legend>${t("theme")}</legend><${Segments} label=${t("theme")} value=${settings.theme} onChange=${(theme) => changeSettings({ theme })}
      options=${[["", t("themeAuto")], ["light", t("themeLight")], ["dark", t("themeDark")]]} /></fieldset>
    <fieldset><legend>${t("language")}</legend><${Segments} label=${t("language")} value=${language} onChange=${(name) => changeSettings({ language: name })}
      options=${Object.entries(LANGUAGES)} /></fieldset>
    <${Button} label=${t("shortcuts")} class="menu-item" onclick=${() => { close(); update({ dialog: "help" }); }}><kbd>?</kbd><//>
    ${state.library && html`<p class="muted small">${state.library.name} · Lookalike ${state.library.version}</p>`}`;
}

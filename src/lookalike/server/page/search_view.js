// @ts-check
// The search screen: the query and the filters on the left, the images on the right.

import { countFilters, Facets, FilterChips } from "./facets.js";
import { html, useEffect, useRef, useState, useStore } from "./html.js";
import { countOptions, Options } from "./options.js";
import { QueryPanel, RecentQueries } from "./query_panel.js";
import { headingOf } from "./results.js";
import { ResultsView } from "./results_view.js";
import { changeSettings } from "./settings.js";
import { Button } from "./ui.js";
import { t } from "./words.js";

const WIDE = matchMedia("(min-width: 900px)");

export function SearchView() {
  const address = useStore((state) => state.address), settings = useStore((state) => state.settings);
  const [isSheetOpen, setSheetOpen] = useState(false);
  const [isWide, setWide] = useState(WIDE.matches);
  const rail = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const change = () => setWide(WIDE.matches);
    WIDE.addEventListener("change", change);
    return () => WIDE.removeEventListener("change", change);
  }, []);
  const isOpen = isWide ? settings.rail : isSheetOpen;
  const setOpen = (open) => {
    if (isWide) changeSettings({ rail: open }); else setSheetOpen(open);
    if (open) setTimeout(() => rail.current?.querySelector("button, summary, input")?.focus({ preventScroll: true }), 0);
    else document.getElementById("rail-button")?.focus();
  };
  const set = countFilters(address.where) + countOptions(address);
  const opener = html`<${Button} id="rail-button" icon="filter" label=${t("filters")} class="quiet-text" aria-expanded=${String(isOpen)} aria-controls="rail"
    aria-label=${set ? t("filtersSet", { n: set }) : undefined} onclick=${() => setOpen(!isOpen)}>${set > 0 && html`<span class="set">${set}</span>`}<//>`;
  const hasQuery = address.terms.length > 0;
  return html`<div class=${`search-layout${isWide && (isOpen || hasQuery) ? " with-rail" : ""}`}>
    <aside class=${`rail${isWide ? "" : " narrow"}`} aria-label=${t("queryAndFilters")}>
      <${QueryPanel} />
      ${(isWide ? isOpen : isSheetOpen) && html`<div id="rail" key=${String(hasQuery)} ref=${rail} class=${isWide ? "rail-body" : "sheet"}
          onkeydown=${(event) => { if (event.key === "Escape" && !isWide) { event.stopPropagation(); setOpen(false); } }}>
        ${!isWide && html`<div class="sheet-head"><h2>${t("filters")}</h2><${Button} bare icon="close" label=${t("close")} class="quiet" onclick=${() => setOpen(false)} /></div>`}
        <${Options} /><${Facets}><${RecentQueries} /><//></div>`}
    </aside>
    <div class="search-main">${headingOf(address) && html`<h1 class="visually-hidden">${headingOf(address)}</h1>`}<${FilterChips} /><${ResultsView} rail=${opener} /></div>
  </div>`;
}

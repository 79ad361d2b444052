// @ts-check
// The query beside its hits: the image large with its region, further images and words with their weights.

import { navigate, regionTermIndex } from "./address.js";
import { get, sizeOf, termImage } from "./api.js";
import { html, useEffect, useState, useStore } from "./html.js";
import { remember } from "./recent.js";
import { RegionImage, START_BOX, boxStyle } from "./region.js";
import { Button, Icon, Menu, Segments, debounce } from "./ui.js";
import { t } from "./words.js";

const WEIGHTS = [[0.25, "¼"], [0.5, "½"], [1, "1"], [2, "2"], [4, "4"]];
const REGION_DELAY = 120;   // milliseconds without a change until a region is searched

const isImage = (term) => term.kind !== "text";

const searchRegion = debounce(REGION_DELAY, (region, isNew) => navigate({ region, open: null }, { replace: !isNew }));

export function QueryPanel() {
  const address = useStore((state) => state.address), results = useStore((state) => state.results);
  const { terms, region } = address;
  const main = regionTermIndex(terms);
  useEffect(() => { if (results?.isQuery && results.items?.length) remember(); }, [results?.key]);
  if (!terms.length) return null;
  return html`<section class="query-panel" aria-label=${t("query")}>
    ${main >= 0 && html`<${MainImage} key=${terms[main].value} term=${terms[main]} region=${region} />`}
    <ul class="chips" aria-label=${t("terms")}>
      ${terms.map((term, index) => html`<${Term} key=${`${term.kind} ${term.value}`} term=${term} index=${index} isMain=${index === main} terms=${terms} region=${region} />`)}</ul>
    <p class="query-actions">
      ${main >= 0 && !region && html`<${Button} label=${t("searchRegion")} icon="box" class="quiet-text" onclick=${() => navigate({ region: START_BOX })} />`}
      ${region && html`<${Button} label=${t("wholeImage")} icon="close" class="quiet-text" onclick=${() => navigate({ region: null })} />`}
      <${Button} label=${t("clearQuery")} icon="close" class="quiet-text clear" onclick=${() => navigate({ terms: [], region: null, open: null })} /></p>
  </section>`;
}

/** The image with its region. Its place is reserved before it loads: its size comes from the list it was in, or is asked for. */
function MainImage({ term, region }) {
  const [size, setSize] = useState(sizeOf(term));
  const [isGone, setGone] = useState(false);
  useEffect(() => {
    if (size) return;
    if (term.kind === "image") get(`images/${term.value}`).then((image) => setSize([image.width || 1, image.height || 1]), () => setGone(true));
    else {
      const image = new Image();
      image.onload = () => setSize([image.naturalWidth, image.naturalHeight]);
      image.onerror = () => setGone(true);
      image.src = termImage(term, 1024);
    }
  }, []);
  if (isGone) return html`<p class="note">${t("queryImageGone")}</p>`;
  return html`<div class="main-image" style=${size ? `--ratio:${size[0] / size[1]}` : ""}>
    ${size && html`<${RegionImage} source=${termImage(term, 1024)} region=${region} onChange=${(next) => searchRegion(next, !region)} onMissing=${() => setGone(true)} />`}</div>`;
}

function Term({ term, index, isMain, terms, region }) {
  const weight = Math.abs(term.weight), isNegative = term.weight < 0;
  const name = isImage(term) ? t("image") : `“${term.value}”`;
  const shown = WEIGHTS.find(([each]) => each === weight)?.[1] ?? weight;
  const opener = html`<span class="sign" aria-hidden="true">${isNegative ? "−" : "+"}</span>
    ${isImage(term) ? html`<span class="chip-image"><img src=${termImage(term)} alt="" />${isMain && region && html`<i class="region" style=${boxStyle(region)} />`}</span>`
      : html`<span class="chip-text">${term.value}</span>`}
    ${weight !== 1 && html`<span class="weight" aria-hidden="true">×${shown}</span>`}`;
  const label = t(isNegative ? "lessTerm" : "moreTerm", { name }) + (weight === 1 ? "" : `, ${t("weight")} ${weight}`);
  return html`<li class=${`chip${isNegative ? " less" : ""}`}>
    <${Menu} id=${`term-${index}`} class="chip-button" label=${label} opener=${opener}>${(close) => html`<${TermMenu} term=${term} index=${index} terms=${terms} close=${close} />`}<//>
    <${Button} bare label=${t("removeTerm", { name })} icon="close" class="chip-remove" onclick=${() => removeTerm(terms, index, region)} /></li>`;
}

function TermMenu({ term, index, terms, close }) {
  const sign = Math.sign(term.weight), weight = Math.abs(term.weight);
  const change = (changes) => { close(); navigate({ terms: terms.map((one, other) => (other === index ? { ...one, ...changes } : one)) }); };
  return html`
    <fieldset><legend>${t("searchForImages")}</legend><${Segments} label=${t("searchForImages")} value=${sign}
      options=${[[1, t("plusMoreLike")], [-1, t("minusLessLike")]]} onChange=${(value) => change({ weight: value * weight })} /></fieldset>
    <fieldset><legend>${t("weight")}</legend><${Segments} label=${t("weight")} value=${weight}
      options=${WEIGHTS.map(([value, text]) => [value, text, `${t("weight")} ${value}`])} onChange=${(value) => change({ weight: sign * Number(value) })} /></fieldset>
    ${isImage(term) && terms.length > 1 && html`<${Button} label=${t("onlyThis")} icon="search" onclick=${() => { close(); navigate({ terms: [{ ...term, weight: 1 }], region: null }); }} />`}`;
}

function removeTerm(terms, index, region) {
  navigate({ terms: terms.filter((_, other) => other !== index), region: regionTermIndex(terms) === index ? null : region });
}

/** Earlier queries, as small images and words. */
export function RecentQueries() {
  const recent = useStore((state) => state.settings).recent;
  const address = useStore((state) => state.address);
  const others = recent.filter((one) => one.search !== address.search);
  if (!others.length) return null;
  return html`<section class="recent"><h3>${t("recentQueries")}</h3><ul>${others.map((one) => html`
    <li key=${one.search}><a href=${one.search} data-navigate title=${one.words || t("image")} aria-label=${t("searchAgain", { name: one.words || t("image") })}>
      ${one.image ? html`<img src=${one.image} alt="" loading="lazy" onerror=${(event) => event.target.closest("li").remove()} />` : html`<span><${Icon} name="search" /></span>`}
      ${one.words && html`<b>${one.words}</b>`}</a></li>`)}</ul></section>`;
}

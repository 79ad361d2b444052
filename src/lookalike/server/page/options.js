// @ts-check
// Options of a query: extractors, diversity, least relevance, …

import { navigate } from "./address.js";
import { html, useStore } from "./html.js";
import { availableSpaces, isHash } from "./library_info.js";
import { Segments, debounce } from "./ui.js";
import { count, t } from "./words.js";

const FLAGS = ["collapse_duplicates", "any_orientation", "feedback", "verify"];

/** Return the number of options that are set. */
export function countOptions(address) {
  if (!address.terms.length) return 0;
  return address.extractors.length + Number(address.diversity > 0) + Number(address.alpha !== 0.5)
    + [...FLAGS, "min_relevance", "exact"].filter((name) => address[name]).length;
}

export function Options() {
  const address = useStore((state) => state.address), library = useStore((state) => state.library);
  if (!address.terms.length) return null;
  const hasText = address.terms.some((term) => term.kind === "text");
  const hasImage = address.terms.some((term) => term.kind !== "text");
  const set = countOptions(address);
  return html`<details class="rail-section options"><summary>${t("options")}${set > 0 && html` <span class="set">${set}</span>`}</summary>
    <${Extractors} address=${address} library=${library} />
    ${hasText && hasImage && html`<${Slider} name="alpha" value=${address.alpha} label=${t("imageAgainstText")} low=${t("text")} high=${t("image")} />`}
    <${Slider} name="diversity" value=${address.diversity} label=${t("diversity")} low=${t("mostSimilarEnd")} high=${t("mostDiverseEnd")} />
    <fieldset><legend>${t("show")}</legend><${Segments} label=${t("show")} value=${address.min_relevance} onChange=${(value) => navigate({ min_relevance: value })}
      options=${[["", t("everything")], ["plausible", t("band plausible")], ["strong", t("band strong")], ["near-copy", t("copies")]]} /></fieldset>
    <fieldset class="checks"><legend class="visually-hidden">${t("more")}</legend>
      ${FLAGS.filter((name) => name !== "verify" || hasImage).map((name) => html`<label key=${name}><input type="checkbox" checked=${Boolean(address[name])}
        onchange=${(event) => navigate({ [name]: event.target.checked ? (name === "verify" ? "orb" : true) : name === "verify" ? "" : false })} />${t(name)}</label>`)}</fieldset>
  </details>`;
}

function Extractors({ address, library }) {
  const spaces = availableSpaces();
  if (spaces.length < 2) return null;
  const standard = library.spaces[0]?.name;
  const chosen = new Set(address.extractors.length ? address.extractors : [standard]);
  const toggle = (name) => {
    if (chosen.has(name) && chosen.size > 1) chosen.delete(name); else chosen.add(name);
    const extractors = [...chosen];
    navigate({ extractors: extractors.length === 1 && extractors[0] === standard ? [] : extractors });
  };
  return html`<fieldset><legend>${t("similarBy")}</legend><div class="values">${spaces.map((space) => html`
    <button type="button" key=${space.name} class="value" aria-pressed=${String(chosen.has(space.name))} title=${spaceTitle(space)} onclick=${() => toggle(space.name)}>${space.name}</button>`)}</div></fieldset>`;
}

const spaceTitle = (space) => [t("vectorsOf", { n: space.count, dim: count(space.dim), similarity: space.similarity }),
  isHash(space) ? t("findsCopies") : null, space.text ? t("understandsText") : null].filter(Boolean).join("; ");

const setSlider = debounce(160, (name, value) => navigate({ [name]: value }, { replace: true }));

function Slider({ name, value, label, low, high }) {
  return html`<fieldset class="slider"><legend>${label}</legend>
    <input type="range" min="0" max="1" step="0.05" value=${value} aria-label=${`${label}: ${low} – ${high}`} oninput=${(event) => setSlider(name, Number(event.target.value))} />
    <span class="muted">${low}</span><span class="muted">${high}</span></fieldset>`;
}

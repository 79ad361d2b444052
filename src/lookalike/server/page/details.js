// @ts-check
// The facts of an image beside it, with what can be done with it.

import { closeImage, format } from "./address.js";
import { get, originalFile, thumbnail } from "./api.js";
import { Explanation } from "./explanation.js";
import { sendFeedback } from "./feedback.js";
import { bytes, colorOf, count, dateTime, folderOf, foundIn, nameOf, placeInFile, scoreText, similarity, titleOf, valueText } from "./format.js";
import { html, useEffect, useState, useStore } from "./html.js";
import { changeMetadata, changeTags, removeImages, tagsOf, trashImages } from "./image_actions.js";
import { showToast, tryOrToast } from "./messages.js";
import { lessLike, moreLike, onlyLike, reloadResults } from "./results.js";
import { state } from "./store.js";
import { Button, ErrorMessage } from "./ui.js";
import { t } from "./words.js";

const NEIGHBOURS = 12;

/** Return the first image term that a hit resembles, unless it is the hit itself. */
export function termFor(address, id) {
  const term = address.terms.find((one) => one.kind !== "text" && one.weight > 0);
  return term && !(term.kind === "image" && Number(term.value) === id) ? term : null;
}

export function Details({ id, image, hit, term, reload }) {
  const address = useStore((store) => store.address), library = useStore((store) => store.library);
  const known = image ?? hit;
  return html`<div class="details">
    ${known && html`<div class="details-head"><h2>${titleOf(known)}</h2>
      ${typeof hit?.score === "number" && html`<p class="score">${hit.relevance && html`<i class=${`dot ${hit.relevance}`} />`}<strong>${scoreText(hit)}</strong>
        ${hit.rank && html`<span class="muted">${t("rank", { n: hit.rank })}</span>`}</p>`}
      ${hit?.matched_in?.length > 0 && html`<p class="muted">${foundIn(hit)}</p>`}
      <p class="actions"><${Button} label=${t("onlyThis")} icon="search" class="main" title=${t("searchAlone")} onclick=${() => onlyLike(id)} />
        <${Button} label=${t("more")} icon="plus" aria-label=${t("moreLikeThis", { title: titleOf(known) })} onclick=${() => moreLike(id)} />
        ${address.terms.length > 0 && html`<${Button} label=${t("less")} icon="minus" aria-label=${t("lessLikeThis", { title: titleOf(known) })} onclick=${() => lessLike(id)} />`}</p></div>`}
    ${image && library.writable && term?.kind === "image" && html`<${Feedback} id=${id} term=${term} />`}
    ${term && html`<${Explanation} term=${term} hit=${id} extractor=${address.extractors[0] ?? ""} size=${known?.width ? [known.width, known.height] : null} />`}
    <${Neighbours} id=${id} extractor=${address.extractors[0] ?? ""} />
    ${image && html`<${Tags} image=${image} />`}
    ${image && html`<${Properties} image=${image} hit=${hit} reload=${reload} />`}
    ${image && library.writable && html`<${Removal} image=${image} />`}</div>`;
}

function Feedback({ id, term }) {
  const judge = async (kind, message) => {
    if (await sendFeedback({ kind, image: Number(term.value), others: [id] }, message) && state.address.feedback) reloadResults();
  };
  return html`<p class="actions feedback"><span class="muted">${t("isRelevant")}</span>
    <${Button} label=${t("yes")} onclick=${() => judge("relevant", t("savedRelevant"))} />
    <${Button} label=${t("no")} onclick=${() => judge("not-relevant", t("savedNotRelevant"))} /></p>`;
}

function Neighbours({ id, extractor }) {
  const address = useStore((store) => store.address);
  const [hits, setHits] = useState(/** @type {any[] | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    get(`images/${id}/neighbours`, { k: NEIGHBOURS, ...(extractor ? { extractor } : {}) })
      .then((found) => setHits(found.hits.filter((hit) => hit.id !== id)), setError);
  }, [id]);
  return html`<section><h3>${t("nearest")}</h3>
    ${error ? html`<${ErrorMessage} error=${error} />` : html`<div class="strip" aria-busy=${hits ? undefined : "true"}>
      ${hits && !hits.length && html`<p class="muted">${t("none")}</p>`}
      ${hits?.map((hit) => html`<a key=${hit.id} class="thumbnail" href=${format({ ...address, open: hit.id })} data-navigate
        aria-label=${`${titleOf(hit)}, ${scoreText(hit)}`} title=${`${titleOf(hit)}, ${scoreText(hit)}`} style=${`background-color:${colorOf(hit)}`}><img src=${thumbnail(hit.id)} alt="" /></a>`)}</div>`}</section>`;
}

function Properties({ image, hit, reload }) {
  const [isEditing, setEditing] = useState(false), { writable } = useStore((store) => store.library);
  const metadata = image.metadata ?? {};
  if (isEditing) return html`<${Editor} image=${image} reload=${reload} close=${() => setEditing(false)} />`;
  const rows = [
    ...Object.entries(metadata).filter(([name]) => name !== "tags").map(([name, value]) => [name.replaceAll("_", " "), valueText(value)]),
    ...Object.entries(image.facts ?? {}).filter(([name]) => !(name in metadata)).map(([name, value]) => [name.replaceAll("_", " "), valueText(value)]),
    [t("orientation"), hit?.orientation],
    [t("compared"), hit?.coverage ? t("onlyCentre", { n: Math.round(100 * hit.coverage) }) : null],
    [t("matchingKeypoints"), hit?.inliers ? count(hit.inliers) : null],
    ...Object.entries(hit?.scores_by_space ?? {}).map(([name, value]) => [t("rankedBy", { name }), similarity(value)]),
    [t("file"), html`<a href=${originalFile(image.id) + placeInFile(image)} target="_blank" rel="noopener" title=${t("openOriginal")}>${nameOf(image.path)}</a>`],
    [t("companions"), image.companions?.join(", ")],
    [t("folder"), folderOf(image.path)],
    [t("size"), image.width ? [`${count(image.width)} × ${count(image.height)}`, bytes(image.size), image.format].filter(Boolean).join(", ") : null],
    [t("modified"), image.mtime ? dateTime(image.mtime) : null],
  ];
  const copy = async () => {
    if (await tryOrToast(() => navigator.clipboard.writeText(image.file ?? image.path).then(() => true))) showToast(t("pathsCopied", { n: 1 }), { kind: "hint" });
  };
  return html`<section><dl class="properties">${rows.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== "null").map(([name, value]) => html`
      <div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <p class="actions"><${Button} label=${t("copyPath")} icon="copy" class="quiet-text" onclick=${copy} />
      ${writable && html`<${Button} label=${t("editMetadata")} icon="edit" class="quiet-text" onclick=${() => setEditing(true)} />`}</p></section>`;
}

const USUAL_FIELDS = ["title", "caption", "label"];
const FIXED_FIELDS = /^(tags|frames|note|ocr_\w+)$/;   // tags have a control of their own; the others are what the program found

/** Return a text that was typed as a value of a field, of the type that its values have; null for none. */
function valueOf(name, text, old) {
  if (!text) return null;
  if (Array.isArray(old)) return text.split(",").map((part) => part.trim()).filter(Boolean);
  const { kind } = state.library.fields.find((field) => field.name === name) ?? {};
  const isNumber = kind ? kind === "number" : String(Number(text)) === text;
  return isNumber && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** The metadata of an image as a form, with a line for a field that it does not have. */
function Editor({ image, reload, close }) {
  const values = { ...image.facts, ...image.metadata };
  const names = [...new Set([...USUAL_FIELDS, ...Object.keys(values)])].filter((name) => !FIXED_FIELDS.test(name)
    && (typeof values[name] !== "object" || Array.isArray(values[name])));
  const textOf = (name) => [values[name] ?? ""].flat().join(", ");
  const save = async (event) => {
    event.preventDefault();
    const given = new FormData(event.target), newName = String(given.get("name")).trim();
    const changed = names.map((name) => [name, String(given.get(`field ${name}`)).trim()]).filter(([name, text]) => text !== textOf(name));
    if (newName) changed.push([newName, String(given.get("value")).trim()]);
    if (!changed.length || await changeMetadata(image, Object.fromEntries(changed.map(([name, text]) => [name, valueOf(name, text, values[name])])), reload)) close();
  };
  return html`<section><form class="editor" onsubmit=${save}>
    ${names.map((name) => html`<label key=${name}><span>${name.replaceAll("_", " ")}</span><input type="text" name=${`field ${name}`} defaultValue=${textOf(name)} autocomplete="off" /></label>`)}
    <div><input type="text" name="name" maxlength="200" placeholder=${t("newField")} aria-label=${t("newField")} autocomplete="off" /><input type="text" name="value" placeholder=${t("value")} aria-label=${t("value")} autocomplete="off" /></div>
    <p class="actions"><button class="main">${t("save")}</button><${Button} label=${t("cancel")} onclick=${close} /></p></form></section>`;
}

function Removal({ image }) {
  const [asked, setAsked] = useState("");
  const confirm = async () => { if (await (asked === "trash" ? trashImages : removeImages)([image.id])) closeImage(); };
  return html`<p class="removal actions">${asked ? html`<span class="muted">${t(asked === "trash" ? "filesGo" : "fileStays")}</span>
      <${Button} label=${t(asked === "trash" ? "moveToTrash" : "remove")} class="danger" onclick=${confirm} /><${Button} label=${t("cancel")} class="plain" onclick=${() => setAsked("")} />`
    : html`<${Button} label=${t("removeFromLibrary")} class="plain" onclick=${() => setAsked("remove")} /><${Button} label=${t("moveToTrash")} class="plain" onclick=${() => setAsked("trash")} />`}</p>`;
}

/** The tags of an image, to be added and removed on a writable server. */
function Tags({ image }) {
  const isWritable = useStore((store) => store.library).writable;
  const [tags, setTags] = useState(tagsOf(image));
  if (!isWritable && !tags.length) return null;
  const change = async (next, changes) => { if (await changeTags([image.id], changes)) setTags(next); };
  const add = (event) => {
    event.preventDefault();
    const tag = event.target.elements.tag.value.trim();
    event.target.reset();
    if (tag && !tags.includes(tag)) change([...tags, tag], { add: [tag] });
  };
  return html`<section class="tags"><h3>${t("tags")}</h3><ul class="filter-chips">${tags.map((tag) => html`<li key=${tag}>
      <a href=${format({ ...state.address, page: "search", open: null, terms: [], region: null, where: `tags = '${tag.replaceAll("'", "''")}'` })} data-navigate>${tag}</a>
      ${isWritable && html`<${Button} bare icon="close" label=${t("removeTerm", { name: tag })} onclick=${() => change(tags.filter((one) => one !== tag), { remove: [tag] })} />`}</li>`)}
    ${isWritable && html`<li class="all"><form onsubmit=${add}><input type="text" name="tag" autocomplete="off" maxlength="200" placeholder=${t("newTag")} aria-label=${t("newTag")} /></form></li>`}</ul></section>`;
}

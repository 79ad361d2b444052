// @ts-check
// What can be done with the selected images.

import { copyPaths, exportImages, FORMATS } from "./export.js";
import { html, useState, useStore } from "./html.js";
import { changeTags, removeImages, trashImages } from "./image_actions.js";
import { isQuery, searchWith } from "./results.js";
import { clearSelection } from "./selection.js";
import { Button, Menu } from "./ui.js";
import { t } from "./words.js";

export function ActionBar() {
  const selection = useStore((state) => state.selection), address = useStore((state) => state.address);
  const library = useStore((state) => state.library);
  const [asked, setAsked] = useState("");   // "remove" or "trash", which need a second press
  if (!selection.size) return null;
  const ids = [...selection];
  const search = (sign) => { searchWith(ids, sign); clearSelection(); };
  const confirm = () => { setAsked(""); (asked === "trash" ? trashImages : removeImages)(ids); };
  return html`<section class="action-bar" aria-label=${t("selection")}>
    <${Button} bare icon="close" label=${t("clearSelection")} class="quiet" onclick=${clearSelection} />
    <b role="status">${t("selectedCount", { n: ids.length })}</b>
    ${asked ? html`<span>${t(asked === "trash" ? "filesGo" : "fileStays")}</span>
        <${Button} label=${t(asked === "trash" ? "moveToTrash" : "remove")} class="danger" onclick=${confirm} /><${Button} label=${t("cancel")} onclick=${() => setAsked("")} />` : html`
      <${Button} label=${t("moreLikeThese")} icon="plus" class="main" onclick=${() => search(1)} />
      ${isQuery(address) && html`<${Button} label=${t("lessLikeThese")} icon="minus" onclick=${() => search(-1)} />`}
      ${library?.writable && html`<${Menu} id="tag-menu" label=${t("tag")} icon="tag" width=${260}>${(close) => html`<${TagMenu} ids=${ids} close=${close} library=${library} />`}<//>`}
      <${Menu} id="export-menu" label=${t("export")} icon="export" width=${220}>${(close) => html`
        ${Object.keys(FORMATS).map((format) => html`<button type="button" key=${format} class="menu-item" onclick=${() => { close(); exportImages(ids, format); }}>${t(`export ${format}`)}</button>`)}
        <button type="button" class="menu-item" onclick=${() => { close(); copyPaths(ids); }}>${t("copyPaths")}</button>`}<//>
      ${library?.writable && html`<${Menu} id="removal-menu" bare label=${t("removeMenu")} icon="trash" class="quiet" width=${240}>${(close) => html`
        <button type="button" class="menu-item" onclick=${() => { close(); setAsked("remove"); }}>${t("removeFromLibrary")}</button>
        <button type="button" class="menu-item danger" onclick=${() => { close(); setAsked("trash"); }}>${t("moveToTrash")}</button>`}<//>`}`}
  </section>`;
}

function TagMenu({ ids, close, library }) {
  const known = library.fields.find((field) => field.name === "tags")?.examples ?? [];
  const add = (tag) => { close(); if (tag.trim()) changeTags(ids, { add: [tag.trim()] }); };
  return html`<form onsubmit=${(event) => { event.preventDefault(); add(event.target.elements.tag.value); event.target.reset(); }}>
      <input type="text" name="tag" autocomplete="off" maxlength="200" placeholder=${t("newTag")} aria-label=${t("newTag")} /></form>
    ${known.length > 0 && html`<div class="values">${known.map((tag) => html`<button type="button" key=${tag} class="value" onclick=${() => add(tag)}>${tag}</button>`)}</div>`}`;
}

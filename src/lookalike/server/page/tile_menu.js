// @ts-check
// What can be done with one image, as a sheet from below after a long press on a phone. The image is selected meanwhile.

import { originalFile, thumbnail } from "./api.js";
import { navigate } from "./address.js";
import { fileNameOf, titleOf } from "./format.js";
import { html, useStore } from "./html.js";
import { lessLike, moreLike, onlyLike } from "./results.js";
import { deselect } from "./selection.js";
import { update } from "./store.js";
import { Dialog, Icon } from "./ui.js";
import { t } from "./words.js";

export function TileMenu() {
  const item = useStore((store) => store.menu), address = useStore((store) => store.address);
  if (!item) return null;
  const close = () => update({ menu: null });
  const act = (action) => () => { close(); deselect([item.id]); action(); };
  const title = titleOf(item);
  const entry = (icon, label, onclick) => html`<button type="button" class="menu-item" onclick=${onclick}><span>${label}</span><${Icon} name=${icon} /></button>`;
  return html`<${Dialog} label=${title} class="tile-menu" onClose=${close}>
    <header><img src=${thumbnail(item.id)} alt="" /><h2>${title}</h2></header>
    ${entry("check", t("selectMore"), close)}
    ${entry("plus", t("menuMore"), act(() => moreLike(item.id)))}
    ${address.terms.length > 0 && entry("minus", t("menuLess"), act(() => lessLike(item.id)))}
    ${entry("search", t("searchAlone"), act(() => onlyLike(item.id)))}
    ${entry("image", t("open"), act(() => navigate({ open: item.id })))}
    <a class="button menu-item" href=${originalFile(item.id)} download=${fileNameOf(item.path)} onclick=${act(() => {})}><span>${t("download")}</span><${Icon} name="export" /></a>
    ${entry("close", t("cancel"), act(() => {}))}<//>`;
}

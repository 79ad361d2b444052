// @ts-check
// What can be done with the selected images.

import { send } from "./api.js";
import { copyPaths, exportSelection } from "./export.js";
import { html, useState, useStore } from "./html.js";
import { showToast, tryOrToast } from "./messages.js";
import { loadLibraryInfo } from "./library_info.js";
import { isQuery, reloadResults, searchWith } from "./results.js";
import { clearSelection, deselect } from "./selection.js";
import { Button, Menu } from "./ui.js";
import { t } from "./words.js";

export function ActionBar() {
  const selection = useStore((state) => state.selection), address = useStore((state) => state.address);
  const library = useStore((state) => state.library);
  const [isAsking, setAsking] = useState(false);
  if (!selection.size) return null;
  const ids = [...selection];
  const search = (sign) => { searchWith(ids, sign); clearSelection(); };
  const remove = async () => {
    setAsking(false);
    const gone = [];
    for (const id of ids) {
      if (await tryOrToast(() => send("DELETE", `images/${id}`)) === undefined) break;
      gone.push(id);
    }
    deselect(gone);
    await tryOrToast(loadLibraryInfo);
    reloadResults();
    if (gone.length) showToast(t("removed", { n: gone.length }), { kind: "hint" });
  };
  return html`<div class="action-bar" role="toolbar" aria-label=${t("selection")}>
    <${Button} bare icon="close" label=${t("clearSelection")} class="quiet" onclick=${clearSelection} />
    <b role="status">${t("selectedCount", { n: ids.length })}</b>
    ${isAsking ? html`<span>${t("fileStays")}</span><${Button} label=${t("remove")} class="danger" onclick=${remove} /><${Button} label=${t("cancel")} onclick=${() => setAsking(false)} />` : html`
      <${Button} label=${t("moreLikeThese")} icon="plus" class="main" onclick=${() => search(1)} />
      ${isQuery(address) && html`<${Button} label=${t("lessLikeThese")} icon="minus" onclick=${() => search(-1)} />`}
      <${Menu} id="export-menu" label=${t("export")} icon="export" width=${220}>${(close) => html`
        ${["csv", "json", "paths"].map((kind) => html`<button type="button" key=${kind} class="menu-item" onclick=${() => { close(); exportSelection(ids, kind); }}>${t(`export ${kind}`)}</button>`)}
        <button type="button" class="menu-item" onclick=${() => { close(); copyPaths(ids); }}>${t("copyPaths")}</button>`}<//>
      ${library?.writable && html`<${Button} label=${t("removeFromLibrary")} icon="close" onclick=${() => setAsking(true)} />`}`}
  </div>`;
}

// @ts-check
// The sheet of duplicates: every group with the file to keep and the reason, one below the other.

import { get, send, sentence, thumbnail } from "./api.js";
import { format, navigate } from "./address.js";
import { Compare } from "./compare.js";
import { sendFeedback, undoLatest } from "./feedback.js";
import { bytes, folderOf, nameOf } from "./format.js";
import { html, useEffect, useMemo, useRef, useState, useStore } from "./html.js";
import { Progress, runJob } from "./jobs.js";
import { loadLibraryInfo } from "./library_info.js";
import { announce, showToast, tryOrToast } from "./messages.js";
import { select, selectRange, toggle } from "./selection.js";
import { state, update } from "./store.js";
import { touchAttributes } from "./tile.js";
import { Button, Dialog, ErrorMessage, Icon, Menu, Segments, isTyping } from "./ui.js";
import { fromServer, t } from "./words.js";

const KINDS = ["exact", "copies", "near"];
const ACCEPTED = ["exact", "copy"];   // kinds of groups that can be accepted at once, the most certain first
const PAGE_SIZE = 40, MAX_PAGE = 200;
const RETRY_INTERVAL = 1000;   // milliseconds until a search that still runs is asked for again

/** @typedef {{groups: any[], head: any, next: number | null}} Sheet */

/** Load groups; `wanted` is how many, so that those already shown are shown again. */
async function loadGroups(params, wanted, onPending, isCurrent) {
  /** @type {Sheet} */
  let sheet = { groups: [], head: null, next: 0 };
  while (sheet.next !== null && (sheet.head === null || sheet.groups.length < wanted)) {
    const page = await get("duplicates", { ...params, offset: sheet.groups.length, k: Math.min(MAX_PAGE, Math.max(PAGE_SIZE, wanted - sheet.groups.length)) });
    if (!isCurrent()) return null;
    if (page.running) {
      onPending(page);
      await new Promise((resolve) => { setTimeout(resolve, RETRY_INTERVAL); });
      if (!isCurrent()) return null;
      continue;
    }
    sheet = { groups: [...sheet.groups, ...page.groups], head: page, next: page.next_offset };
  }
  return sheet;
}

export function DuplicatesView() {
  const address = useStore((store) => store.address), library = useStore((store) => store.library);
  const { kind } = address;
  const [show, setShow] = useState("open");
  const [sheet, setSheet] = useState(/** @type {Sheet | null} */ (null));
  const [pending, setPending] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [pair, setPair] = useState(/** @type {any} */ (null));
  const [current, setCurrent] = useState(address.group), [selected, setSelected] = useState(1);
  const turn = useRef(0);

  const load = async (wanted = PAGE_SIZE, keepOld = false) => {
    turn.current += 1;
    const own = turn.current, isCurrent = () => own === turn.current;
    setError(null);
    if (!keepOld) { setSheet(null); setPending({}); }
    try {
      const found = await loadGroups({ kind, show }, wanted, (job) => { if (!keepOld) setPending(job); }, isCurrent);
      if (!found) return;
      setSheet(found);
      setPending(null);
      if (!keepOld) announce(found.head.total ? t("groups", { n: found.head.total }) : t("noDuplicates"));
    } catch (failure) {
      if (isCurrent()) { setError(failure); setPending(null); }
    }
  };
  useEffect(() => { load(); return () => { turn.current += 1; }; }, [kind, show]);
  const groups = sheet?.groups ?? [];
  const siblings = useMemo(() => groups.flatMap((group) => group.members), [groups]);
  useEffect(() => { update({ siblings }); }, [siblings]);

  /** Do something with groups, during which they are dimmed, and show the sheet as it is then. */
  const act = async (ids, action) => {
    setBusy((old) => new Set([...old, ...ids]));
    if (await action() !== false) await load(Math.max(PAGE_SIZE, groups.length), true);
    setBusy((old) => new Set([...old].filter((id) => !ids.includes(id))));
  };
  const again = () => load(Math.max(PAGE_SIZE, groups.length), true);
  const actions = {
    keep: (group, member) => act([group.id], () => sendFeedback({ kind: "keep", image: member.id }, t("isKept", { name: nameOf(member.path) }), again)),
    separate: (group, member) => act([group.id], () => sendFeedback({ kind: "not-duplicate", image: group.members[0].id, others: [member.id] },
      t("isNoDuplicate", { name: nameOf(member.path), other: nameOf(group.members[0].path) }), again)),
    done: (group, done) => act([group.id], async () => {
      if (await tryOrToast(() => send("POST", "duplicates/done", { groups: [group.id], done })) === undefined) return false;
      if (done) showToast(t("groupDone"), { kind: "hint", undo: () => actions.done(group, false) });
      return true;
    }),
    trash: (ids, /** @type {string | null} */ all = null) => act(ids, async () => reportTrash(await runJob("duplicates/trash", all ? { kind: all, groups: ids.slice(0, 1) } : { groups: ids }), again)),
    compare: (group, member) => setPair([group.members[0], member]),
  };

  const choose = (index) => {
    const next = Math.min(groups.length - 1, Math.max(0, index));
    setCurrent(next);
    setSelected(1);
    navigate({ group: next }, { replace: true });
    document.querySelectorAll(".dup-group")[next]?.scrollIntoView({ block: "nearest" });
  };
  const onKey = useRef((/** @type {KeyboardEvent} */ _) => {});
  onKey.current = (event) => {
    if (isTyping(event.target) || event.altKey || !groups.length || document.querySelector("dialog[open], :popover-open")) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() === "a") { event.preventDefault(); select(siblings.map((one) => one.id)); }
      return;
    }
    const group = groups[Math.min(current, groups.length - 1)], others = group.members.length - 1;
    const member = group.members[Math.min(selected, others)];
    const writes = library.writable && !busy.has(group.id);
    const isButton = event.target instanceof HTMLElement && event.target.closest("button, a");
    const action = {
      ArrowDown: () => choose(current + 1), j: () => choose(current + 1), ArrowUp: () => choose(current - 1), k: () => choose(current - 1),
      ArrowRight: () => setSelected(selected % others + 1), ArrowLeft: () => setSelected((selected + others - 2) % others + 1),
      " ": () => actions.compare(group, member),
      n: () => writes && member.kind !== "exact" && actions.separate(group, member),
      x: () => toggle(member.id),
      d: () => writes && actions.done(group, !isDone(sheet, group)),
      u: undoLatest,
      ...Object.fromEntries(group.members.slice(0, 9).map((one, i) => [String(i + 1), () => writes && (i === 0 || one.kind !== "exact") && actions.keep(group, one)])),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || (event.key === " " && isButton)) return;
    event.preventDefault();
    action();
  };
  useEffect(() => {
    const listen = (event) => onKey.current(event);
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);

  return html`<div class="duplicates">
    <header class="duplicates-head"><h1>${t("screen duplicates")}</h1>
      <${Segments} label=${t("kindOfDuplicates")} value=${kind} onChange=${(value) => navigate({ kind: value, group: 0 })}
        options=${KINDS.map((value) => [value, t(`kind ${value}`), t(`about ${value}`)])} />
      <${Segments} label=${t("groupsShown")} value=${show} onChange=${setShow} options=${["open", "done", "all"].map((value) => [value, t(`show ${value}`)])} />
      <${Undo} onUndone=${again} /></header>
    ${sheet && html`<${Summary} sheet=${sheet} library=${library} onTrash=${(all) => actions.trash(groups.filter((one) => spareKind(one) === all).map((one) => one.id), all)} />`}
    ${error && html`<${ErrorMessage} error=${error} retry=${() => load()} />`}
    ${pending && html`<${Progress} job=${pending} title=${t("comparing")} note=${t("comparingNote")} />`}
    ${sheet && (groups.length ? html`<ol class="dup-groups">${groups.map((group, index) => html`<${Group} key=${group.id} group=${group} index=${index} isCurrent=${index === current}
        selected=${index === current ? selected : 0} isBusy=${busy.has(group.id)} isDone=${isDone(sheet, group)} writable=${library.writable} actions=${actions} />`)}</ol>
      ${sheet.next !== null && html`<${More} onVisible=${() => load(groups.length + PAGE_SIZE, true)} />`}
      <p class="muted shortcuts">${t("duplicateKeys").split(" · ").map((text) => html`<span key=${text}>${text}</span>`)}</p>`
      : html`<div class="empty"><h2>${t(sheet.head.done_count && show === "open" ? "allGroupsDone" : "noDuplicates")}</h2>
        <p>${sheet.head.searched ? `${t("wereCompared", { n: sheet.head.searched })}${sheet.head.missing ? ` ${sentence(sheet.head.missing)}` : ""}` : t("nothingToCompare")}</p></div>`)}
    ${pair && html`<${Dialog} label=${t("comparePair")} class="pair-dialog" onClose=${() => setPair(null)}>
      <${Compare} term=${{ kind: "image", value: String(pair[0].id) }} id=${pair[1].id} image=${pair[1]} names=${[pair[0].path, pair[1].path]} />
      <p class="muted">${sentence(pair[1].evidence)}</p><${Button} label=${t("close")} onclick=${() => setPair(null)} /><//>`}
  </div>`;
}

const isDone = (sheet, group) => sheet.head.done.includes(group.id) || sheet.doneIds?.has(group.id);

/** Return the loosest kind of the spare files of a group; "" if it has none. */
const spareKind = (group) => group.members.filter((member) => member.spare).map((member) => member.kind).sort((a, b) => ACCEPTED.indexOf(b) - ACCEPTED.indexOf(a))[0] ?? "";

/** What the sheet has in all, and groups that are accepted at once: by kind, because that says how certain they are. */
function Summary({ sheet, library, onTrash }) {
  const [asked, setAsked] = useState("");
  const { total, reclaimable, done_count: done, hidden, acceptable } = sheet.head;
  const facts = [t("groups", { n: total }), reclaimable ? t("canBeFreed", { size: bytes(reclaimable) }) : "", done ? t("groupsDone", { n: done }) : "", hidden ? t("pairsHidden", { n: hidden }) : ""];
  return html`<div class="dup-summary"><p class="muted" role="status">${facts.filter(Boolean).join(" · ")}</p>
    ${!library.writable ? html`<p class="muted small">${t("readOnlyDuplicates")}</p>`
      : asked ? html`<span>${t("trashAsk", { n: acceptable[asked] })} <span class="muted">${t(`certain ${asked}`)}</span></span>
          <${Button} label=${t("moveToTrash")} icon="trash" class="danger" onclick=${() => { setAsked(""); onTrash(asked); }} /><${Button} label=${t("cancel")} onclick=${() => setAsked("")} />`
        : ACCEPTED.filter((kind) => acceptable[kind]).map((kind, i) => html`<${Button} key=${kind} label=${t(`accept ${kind}`, { n: acceptable[kind] })} icon="check"
            class=${i ? "" : "main"} onclick=${() => setAsked(kind)} />`)}</div>`;
}

function Group({ group, index, isCurrent, selected, isBusy, isDone: done, writable, actions }) {
  const spare = group.members.filter((member) => member.spare);
  return html`<li class=${`dup-group${isBusy ? " busy" : ""}${done ? " done" : ""}`} aria-current=${isCurrent ? "true" : undefined} aria-busy=${isBusy ? "true" : undefined} data-group=${group.id}>
    <div class="dup-head"><h2>${t("groupTitle", { n: index + 1 })} <span class="muted">${t("filesOfKind", { n: group.members.length, kind: t(`is ${group.kind}`) })}</span></h2>
      ${done && html`<span class="dup-done"><${Icon} name="check" />${t("done")}</span>`}
      <span class="actions">${writable && spare.length > 0 && html`<${Button} icon="trash" label=${t("trashSpare", { n: spare.length, size: bytes(group.reclaimable_bytes) })} disabled=${isBusy} onclick=${() => actions.trash([group.id])} />`}
        ${writable && html`<${Button} label=${t(done ? "reopen" : "done")} icon=${done ? "undo" : "check"} disabled=${isBusy} onclick=${() => actions.done(group, !done)} />`}</span></div>
    <ul class="dup-members">${group.members.map((member, i) => html`<${Member} key=${member.id} group=${group} member=${member} isBest=${i === 0} isSelected=${i > 0 && i === selected}
      isBusy=${isBusy} writable=${writable} actions=${actions} />`)}</ul></li>`;
}

function Member({ group, member, isBest, isSelected, isBusy, writable, actions }) {
  const name = nameOf(member.path), folder = folderOf(member.path);
  const facts = [member.width ? `${member.width} × ${member.height}` : "", bytes(member.size), member.format?.toUpperCase()].filter(Boolean).join(" · ");
  const href = format({ ...state.address, open: member.id });
  const isTicked = useStore((store) => store.selection.has(member.id)), isSelecting = useStore((store) => store.selection.size > 0);
  const click = (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey) selectRange(member.id, state.siblings.map((one) => one.id)); else toggle(member.id);
  };
  return html`<li class=${`dup-member${isBest ? " best" : ""}${isSelected ? " selected" : ""}${isTicked ? " ticked" : ""}`}>
    <a href=${href} data-navigate aria-label=${t("openImage", { name })} onclickcapture=${click} ...${touchAttributes(member, isSelecting)}><img src=${thumbnail(member.id, 256)} alt="" loading="lazy" /></a>
    <button type="button" class="tick" aria-pressed=${String(isTicked)} aria-label=${t("selectImage", { title: name })} title=${t("select")} onclick=${() => toggle(member.id)}><${Icon} name="check" /></button>
    <p class="dup-badge">${isBest ? html`<b class="keep-badge">${t("keep")}</b>` : html`<b>${t(`is ${member.kind}`)}</b>`} ${member.spare ? html`<span class="muted">${t("spare")}</span>` : ""}</p>
    <p class="dup-name" title=${member.path}><strong>${name}</strong>${folder && html`<br /><span class="muted">${folder}</span>`}</p>
    <p class="muted small">${facts}</p>
    <p class="dup-why">${isBest ? sentence(member.reason || t("firstByPath")) : [sentence(member.evidence), member.reason && sentence(member.reason)].filter(Boolean).join(" ")}</p>
    ${!isBest && html`<p class="actions">
      ${writable && member.kind !== "exact" && html`<${Button} label=${t("keepThis")} class="quiet-text" disabled=${isBusy} onclick=${() => actions.keep(group, member)} />`}
      <${Button} label=${t("compare")} icon="compare" class="quiet-text" onclick=${() => actions.compare(group, member)} />
      ${writable && member.kind !== "exact" && html`<${Button} label=${t("notDuplicate")} class="quiet-text" disabled=${isBusy} onclick=${() => actions.separate(group, member)} />`}</p>`}</li>`;
}

/** Load more groups when the end of the list comes near. */
function More({ onVisible }) {
  const element = useRef(/** @type {any} */ (null)), latest = useRef(onVisible);
  latest.current = onVisible;
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => { if (entry.isIntersecting) latest.current(); }, { rootMargin: "1200px" });
    observer.observe(element.current);
    return () => observer.disconnect();
  });
  return html`<div ref=${element} class="muted">…</div>`;
}

/** Tell what became of files that were to be moved to the trash. */
export async function reportTrash(job, onUndone) {
  if (!job) return false;
  const { moved, refused, record, bytes: size } = job.result;
  await tryOrToast(loadLibraryInfo);
  const failed = refused.length ? ` ${t("stayed", { n: refused.length, reason: fromServer(refused[0].reason) })}` : "";
  const undo = record && moved.length ? async () => { await undoTrash(record); onUndone(); } : null;
  showToast(`${t("trashed", { n: moved.length, size: bytes(size) })}${failed}`, { kind: refused.length ? "error" : "hint", undo });
  return true;
}

async function undoTrash(record) {
  const job = await runJob("trash/undo", { record });
  if (!job) return;
  await tryOrToast(loadLibraryInfo);
  const { restored, refused } = job.result;
  showToast(`${t("restored", { n: restored.length })}${refused.length ? ` ${t("stayed", { n: refused.length, reason: fromServer(refused[0].reason) })}` : ""}`, { kind: refused.length ? "error" : "hint" });
}

/** The list of moves to the trash, also of those before the page was opened; each can be put back. */
function Undo({ onUndone }) {
  const library = useStore((store) => store.library);
  return library.writable ? html`<${Menu} id="trash-menu" label=${t("trash")} icon="trash" width=${300} class="quiet-text">${(close) => html`<${TrashRecords} close=${close} onUndone=${onUndone} />`}<//>` : null;
}

function TrashRecords({ close, onUndone }) {
  const [records, setRecords] = useState(/** @type {any[] | null} */ (null)), list = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const load = () => tryOrToast(async () => setRecords((await get("trash")).records));
    const menu = list.current.closest("[popover]"), toggled = (event) => { if (event.newState === "open") load(); };
    menu.addEventListener("toggle", toggled);
    return () => menu.removeEventListener("toggle", toggled);
  }, []);
  const when = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return html`<div ref=${list} class="trash-list">${records && !records.length && html`<p class="muted">${t("nothingInTrash")}</p>`}
    ${(records ?? []).map((one) => html`<button type="button" key=${one.record} class="menu-item" onclick=${async () => { close(); await undoTrash(one.record); onUndone(); }}>
      <span>${when(one.when)}</span><span>${t("putBack", { n: one.files })}</span></button>`)}</div>`;
}

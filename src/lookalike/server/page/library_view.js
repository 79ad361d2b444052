// @ts-check
// The library itself: counts, jobs, spaces, and the files that could not be indexed.

import { addImages } from "./add_images.js";
import { get, send } from "./api.js";
import { format } from "./address.js";
import { bytes } from "./format.js";
import { html, useEffect, useRef, useState, useStore } from "./html.js";
import { pollNow } from "./job_progress.js";
import { cancelJob, timeLeft } from "./jobs.js";
import { failureCount } from "./library_info.js";
import { announce, tryOrToast } from "./messages.js";
import { Button, ErrorMessage, Icon } from "./ui.js";
import { count, fromServer, t } from "./words.js";

const JOBS_INTERVAL = 1500;  // milliseconds between two requests
const MAX_JOBS = 8;

export function LibraryView() {
  const library = useStore((store) => store.library), address = useStore((store) => store.address);
  const outcomes = library.outcomes ?? {}, failed = failureCount(library);
  const figures = [[library.images, t("imagesName")], [failed, t("couldNotBeReadName")], ...(outcomes.skipped ? [[outcomes.skipped, t("otherFiles")]] : [])];
  return html`<div class="library">
    <h1>${library.name ? t("libraryNamed", { name: library.name }) : t("screen library")}</h1>
    <dl class="figures">${figures.map(([n, name]) => html`<div key=${name}><dt>${name}</dt><dd>${count(n)}</dd></div>`)}</dl>
    ${library.roots?.length > 0 && html`<p class="muted">${t("fromFolders", { folders: library.roots.join(", ") })} Lookalike ${library.version}.</p>`}
    ${library.writable && html`<${AddImages} />`}
    <${Jobs} />
    <${Spaces} library=${library} />
    <section id="failures"><h2>${t("notIndexed")}</h2><${Failures} key=${address.outcome} address=${address} /></section></div>`;
}

/** Buttons that add images; files can be dropped here, too. */
function AddImages() {
  const input = useRef(/** @type {any} */ (null));
  const choose = () => { const files = [...input.current.files]; input.current.value = ""; addImages(files); };
  const update = async () => { if (await tryOrToast(() => send("POST", "images", {})) !== undefined) pollNow(); };
  return html`<p class="actions add-images">
    <input ref=${input} type="file" accept="image/*" multiple class="visually-hidden" tabindex="-1" aria-label=${t("imagesToAdd")} onchange=${choose} />
    <${Button} label=${t("addImages")} icon="plus" class="main" onclick=${() => input.current.click()} />
    <${Button} label=${t("lookForNew")} onclick=${update} />
    <span class="muted">${t("dropHere")}</span></p>`;
}

/** All jobs of the server, whoever started them. */
function Jobs() {
  const [jobs, setJobs] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    let timer = /** @type {any} */ (0), isHere = true;
    const poll = async () => {
      try { const found = await get("jobs"); if (isHere) setJobs(found.jobs.slice(0, MAX_JOBS)); } catch { /* other requests report it */ }
      if (isHere) timer = setTimeout(poll, JOBS_INTERVAL);
    };
    poll();
    return () => { isHere = false; clearTimeout(timer); };
  }, []);
  if (!jobs.length) return null;
  return html`<section aria-label=${t("jobs")}><h2>${t("jobs")}</h2><ul class="jobs">${jobs.map((job) => html`<${JobRow} key=${job.id || job.run} job=${job} />`)}</ul></section>`;
}

function JobRow({ job }) {
  const hasTotal = typeof job.total === "number" && job.total > 0;
  const name = t(`job ${job.kind}`);
  const facts = job.running ? [hasTotal ? t("doneOf", { done: job.done, total: job.total }) : t(`is ${job.state}`), timeLeft(job.seconds_left)] : [t(`is ${job.state}`), job.message === job.state ? "" : fromServer(job.message ?? "")];
  return html`<li class=${`job ${job.state}`}><b>${job.state === "done" && html`<${Icon} name="check" />`}${name}</b>
    <span class="muted">${facts.filter(Boolean).join(" · ")}</span>
    ${job.running && html`<progress max="1" aria-label=${name} value=${hasTotal ? Math.min(1, job.done / job.total) : undefined} />
      ${job.id && html`<${Button} label=${t("cancel")} class="quiet-text" onclick=${() => cancelJob(job)} />`}`}</li>`;
}

function Spaces({ library }) {
  const { captions, spaces } = library;
  if (!spaces.length) return null;
  const columns = ["extractor", "imagesColumn", "dimensions", "similarityColumn", "text"];
  return html`<section><h2>${t("extractors")}</h2>
    <div class="table-scroll" tabindex="0" role="region" aria-label=${t("extractors")}><table>
      <thead><tr>${columns.map((name) => html`<th key=${name} scope="col">${t(name)}</th>`)}</tr></thead>
      <tbody>${spaces.map((space) => html`<tr key=${space.name}><th scope="row">${space.name}</th><td>${count(space.count)}</td><td>${count(space.dim)}</td>
        <td>${space.similarity}</td><td>${t(space.text ? "yes" : "no")}</td></tr>`)}</tbody></table></div>
    ${captions && html`<p class="muted">${t(spaces.some((space) => space.text) ? "captionsToo" : "captionsOnly")}</p>`}</section>`;
}

const outcomeText = (name) => t(`outcome ${name}`);

function Failures({ address }) {
  const { outcome } = address;
  const [page, setPage] = useState(/** @type {any} */ (null)), [error, setError] = useState(/** @type {any} */ (null));
  const [isLoading, setLoading] = useState(false);
  const load = async (/** @type {any} */ known = null) => {
    setLoading(true);
    setError(null);
    try {
      const found = await get("failures", { offset: known?.next_offset ?? 0, ...(outcome ? { outcome } : {}) });
      setPage({ ...found, failures: [...(known?.failures ?? []), ...found.failures] });
      if (!known) announce(found.failures.length ? t("files", { n: found.failures.length }) : t("noFailures"));
    } catch (failure) { setError(failure); }
    setLoading(false);
  };
  const library = useStore((store) => store.library);
  useEffect(() => { load(); }, [library]);
  if (error) return html`<${ErrorMessage} error=${error} retry=${() => load(page)} />`;
  if (!page) return html`<p class="muted">…</p>`;
  const present = Object.entries(page.counts ?? {}).filter(([name, n]) => name !== "indexed" && n);
  const link = (value, label) => html`<a key=${value} class="button value" href=${format({ ...address, outcome: value })} data-navigate aria-current=${address.outcome === value ? "true" : undefined}>${label}</a>`;
  return html`<div class="failures">
    ${present.length > 1 && html`<p class="values">${link("", t("allOutcomes"))}${present.map(([name, n]) => link(name, `${outcomeText(name)} ${count(/** @type {number} */ (n))}`))}</p>`}
    ${page.failures.length ? html`<ul class="failure-list">${page.failures.map((one) => html`<li key=${one.path}><span class="path">${one.path}</span><span class="muted">${bytes(one.size)}</span>
      <span class="reason">${fromServer(one.reason) || outcomeText(one.outcome)}</span></li>`)}</ul>` : html`<p class="success">${t("everyFileRead")}</p>`}
    ${page.next_offset && html`<${Button} label=${t("showMore")} disabled=${isLoading} onclick=${() => load(page)} />`}</div>`;
}

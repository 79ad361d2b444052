// @ts-check
// Data of the map: where the images lie, their groups, and which of them satisfy the filter.

import { get } from "./api.js";
import { useEffect, useRef, useState } from "./html.js";

const RETRY_INTERVAL = 1500;   // milliseconds until a layout that is being computed is requested again

/** @type {{key: string, library: any, layout: any}} */
let last = { key: "", library: null, layout: null };   // the layout that was shown last, for the way back to this screen

const wait = (/** @type {number} */ ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Return the parameters on which the layout depends. */
function layoutParams(address) {
  const [extractor] = address.extractors;
  return { ...(extractor ? { extractor } : {}), ...(address.method ? { method: address.method } : {}) };
}

/**
 * Return {layout, groups, kept, job, error, retry} for an address: responses of /api/map and /api/map/groups; `kept`, the
 * ids that satisfy the filter, null without one; `job`, the state of the job that computes the layout. What was there
 * stays until the new data has arrived.
 */
export function useMap(address, library) {
  const [state, setState] = useState(/** @type {any} */ ({ key: "", layout: null, groups: null, kept: null, where: "", job: null, error: null }));
  const [attempt, setAttempt] = useState(0);
  const shown = useRef(/** @type {any} */ (null));
  shown.current = state;
  const params = layoutParams(address), key = JSON.stringify(params), { color, where } = address;
  useEffect(() => {
    const request = new AbortController(), { signal } = request;
    const change = (changes) => { if (!signal.aborted) setState((old) => ({ ...old, ...changes })); };
    const load = async () => {
      const { layout, isNew } = await layoutOf(params, key, library, (job) => change({ job, ...(shown.current.key === key ? {} : { layout: null }) }), signal);
      const hasGroups = !isNew && shown.current.layout === layout && shown.current.groups?.asked === color && shown.current.library === library;
      const groups = hasGroups ? shown.current.groups : await get("map/groups", { ...params, ...(color ? { color } : {}) }, { signal });
      // The library may have changed in between.
      if (groups.groups.length !== layout.ids.length) { last.library = null; await wait(RETRY_INTERVAL); if (!signal.aborted) setAttempt((n) => n + 1); return; }
      change({ key, layout, library, groups: hasGroups ? groups : { ...groups, asked: color }, job: null, error: null, ...(where ? {} : { kept: null, where: "" }) });
      if (where) change({ kept: new Set((await get("map", { ...params, where }, { signal })).ids), where });
    };
    load().catch((error) => { if (error.name !== "AbortError") change({ error, job: null, ...(shown.current.key === key ? {} : { layout: null }) }); });
    return () => request.abort();
  }, [key, color, where, library, attempt]);
  return { ...state, isFiltered: state.where === where, retry: () => { setState({ ...state, error: null }); setAttempt((n) => n + 1); } };
}

/** Return the layout, once it is computed; `onJob` is called with the state of the job until then. */
async function layoutOf(params, key, library, onJob, signal) {
  if (last.key === key && last.library === library) return { layout: last.layout, isNew: false };
  for (;;) {
    const found = await get("map", params, { signal });
    if (signal.aborted) throw new DOMException("", "AbortError");
    if (!found.running) {
      const isSame = last.key === key && last.layout?.ids.length === found.ids.length && JSON.stringify(last.layout) === JSON.stringify(found);
      last = { key, library, layout: isSame ? last.layout : found };
      return { layout: last.layout, isNew: !isSame };
    }
    onJob(found);
    await wait(RETRY_INTERVAL);
  }
}

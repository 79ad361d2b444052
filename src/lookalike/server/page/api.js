// @ts-check
// Requests to the server. Every failure becomes an `ApiError` whose message can be shown to people.

import { fromServer, loadServerSentences, t } from "./words.js";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Responses to the first requests, by their address (early.js). @type {Map<string, Promise<Response>> | undefined} */
const earlyRequests = /** @type {any} */ (globalThis).earlyRequests;

// The server requires this header of every request that changes something; other sites cannot send it.
const HEADERS = { "X-Lookalike": "1" };

/** Return the response to a request; throw what the server says if it refuses. */
async function responseTo(request) {
  let response;
  try {
    response = await request();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("serverAway"), 0);
  }
  if (response.ok) return response;
  if (response.status === 401) dispatchEvent(new CustomEvent("token-required"));
  const [body] = await Promise.all([response.json().catch(() => ({})), loadServerSentences().catch(() => {})]);
  throw new ApiError(sentence(body.error ?? t("serverRefused", { status: response.status })), response.status);
}

async function readResponse(request) {
  const response = await responseTo(request);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("serverUnreadable", { status: response.status }), response.status);
  }
}

/** Return what the server said as a sentence: with a capital letter at the beginning, unless that is a name such as "onnx:net", and a full stop at the end. */
export function sentence(/** @type {string} */ said) {
  const text = fromServer(said);
  return (/^\S*[:_/]\S/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1)) + (/[.!?…]$/.test(text) ? "" : ".");
}

/**
 * GET a path such as "images/7" with URLSearchParams or a plain object.
 *
 * @param {string} path
 * @param {any} [params]
 * @param {{signal?: AbortSignal}} [options]
 */
export function get(path, params = {}, { signal } = {}) {
  const query = new URLSearchParams(params).toString();
  const address = `api/${path}${query ? `?${query}` : ""}`, early = earlyRequests?.get(address);
  earlyRequests?.delete(address);
  return readResponse(() => early ?? fetch(address, { signal, headers: HEADERS }));
}

/** Send a request with a body: FormData, or a plain object that is sent as JSON. */
export function send(method, path, body) {
  const isForm = body instanceof FormData;
  const headers = isForm || body === undefined ? HEADERS : { ...HEADERS, "Content-Type": "application/json" };
  const content = body === undefined ? undefined : isForm ? body : JSON.stringify(body);
  return readResponse(() => fetch(`api/${path}`, { method, headers, body: content }));
}

/** Send a plain object as JSON, and return the response itself, for what is not JSON. */
export const post = (path, body) => responseTo(() =>
  fetch(`api/${path}`, { method: "POST", headers: { ...HEADERS, "Content-Type": "application/json" }, body: JSON.stringify(body) }));

/** Sizes of images that terms name, as far as they are known: [width, height] by kind and value. */
const sizes = new Map();
export const sizeOf = (term) => sizes.get(`${term.kind} ${term.value}`);
export const rememberSize = (kind, value, width, height) => { if (width && height) sizes.set(`${kind} ${value}`, [width, height]); };

/** Upload an image to search with; {upload, width, height}. */
export async function upload(file) {
  const form = new FormData();
  form.append("image", file, file.name || "image");
  const found = await send("POST", "uploads", form);
  rememberSize("upload", found.upload, found.width, found.height);
  return found;
}

/** If the address has a token, exchange it for a cookie and remove it from the address. */
export async function openSession() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const search = new URLSearchParams(location.search);
  const token = hash.get("token") ?? search.get("token");
  if (!token) return;
  search.delete("token");
  const rest = search.toString();
  history.replaceState(history.state, "", location.pathname + (rest ? `?${rest}` : ""));
  await send("POST", "session", { token });
}

/** Return the address of the image of a term, at about `size` pixels. */
export const termImage = (term, size = 256) =>
  term.kind === "upload" ? `api/uploads/${term.value}` : thumbnail(term.value, size);

export const thumbnail = (id, size = 256) => `api/images/${id}/thumbnail?size=${size}`;
export const imageTile = (id, level, column, row) => `api/images/${id}/tile?level=${level}&column=${column}&row=${row}`;
export const originalFile = (id) => `api/images/${id}/file`;

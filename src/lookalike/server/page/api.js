// Speaks with the server. Every failure becomes an `ApiError` whose message can be shown as it is.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const HEADERS = { "X-Lookalike": "1" };

async function answer(request) {
  let response;
  try {
    response = await request();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is `lookalike serve` still running?", 0);
  }
  let body;
  try {
    body = await response.json();
  } catch {
    throw new ApiError(`The server's answer could not be read (status ${response.status}).`, response.status);
  }
  if (response.ok) return body;
  if (response.status === 401) dispatchEvent(new CustomEvent("token-wanted"));
  throw new ApiError(sentence(body.error ?? `The server refused (status ${response.status}).`), response.status);
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");

/** Ask for something: a path such as "images/7" and URLSearchParams or a plain object. */
export function get(path, params = {}, { signal } = {}) {
  const query = new URLSearchParams(params).toString();
  return answer(() => fetch(`api/${path}${query ? `?${query}` : ""}`, { signal, headers: HEADERS }));
}

/** Change something: a body of FormData, or a plain object that goes as JSON. */
export function send(method, path, body) {
  const form = body instanceof FormData;
  const headers = form || body === undefined ? HEADERS : { ...HEADERS, "Content-Type": "application/json" };
  const content = body === undefined ? undefined : form ? body : JSON.stringify(body);
  return answer(() => fetch(`api/${path}`, { method, headers, body: content }));
}

/** Hand a picture over, so that it can be asked with; {upload, width, height}. */
export function upload(file) {
  const form = new FormData();
  form.append("image", file, file.name || "image");
  return send("POST", "uploads", form);
}

/** A token comes once in the address; it goes into a cookie and out of the address. */
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

/** Where the picture of a term or an image can be seen, at about `size` pixels. */
export const pictureOf = (term, size = 256) =>
  term.kind === "upload" ? `api/uploads/${term.value}` : thumbnail(term.value, size);

export const thumbnail = (id, size = 256) => `api/images/${id}/thumbnail?size=${size}`;
export const original = (id) => `api/images/${id}/file`;

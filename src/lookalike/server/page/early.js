// @ts-check
// Chooses the language, and sends the first requests while the modules of the page load; `get` in api.js takes their
// responses. Not a module: it runs before them.

(() => {
  let language = "";
  try { language = JSON.parse(localStorage.getItem("lookalike") ?? "{}").language; } catch { /* storage is blocked or broken */ }
  language ||= navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => ["en", "de"].includes(tag)) ?? "en";
  document.documentElement.lang = language;
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: `page/strings/${language}.js` }));

  const params = new URLSearchParams(location.search);
  if (params.has("token") || location.hash.includes("token=")) return;   // without a session they would be refused
  const paths = ["api/info", "api/fields"];
  if ((params.get("page") ?? "search") === "search") {
    params.delete("page");
    params.delete("open");
    const isQuery = ["image", "text", "upload"].some((name) => params.has(name));
    const where = params.get("where"), order = params.get("order") ?? "";
    params.delete("order");
    const list = isQuery ? params : new URLSearchParams(where ? { where } : {});
    if (!isQuery && order) list.set("sort", order.replace(/^-/, ""));
    if (!isQuery && order.startsWith("-")) list.set("order", "newest");
    else if (!isQuery && !order && !where) list.set("order", "spread");
    list.set("k", "60");
    list.set("offset", "0");
    paths.push(`api/${isQuery ? "search" : "images"}?${list}`);
  }
  /** @type {any} */ (globalThis).earlyRequests = new Map(paths.map((path) => {
    const response = fetch(path, { headers: { "X-Lookalike": "1" }, priority: "high" });
    response.catch(() => {});   // who takes it reports it
    if (path !== "api/info" && path !== "api/fields") response.then(fetchThumbnails, () => {});
    return [path, response];
  }));

  /** Fetch the first thumbnails, at the size that the grid will probably ask for. */
  async function fetchThumbnails(response) {
    if (!response.ok) return;
    const page = await response.clone().json();
    const row = 190 * (innerWidth < 520 ? 0.62 : innerWidth < 900 ? 0.84 : 1) * Math.min(devicePixelRatio || 1, 2);
    for (const { id, width, height } of (page.images ?? page.hits).slice(0, 8)) {
      const pixels = row * Math.min(2.6, Math.max(1, width / height || 1));
      new Image().src = `api/images/${id}/thumbnail?size=${pixels * 0.8 <= 256 ? 256 : 512}`;
    }
  }
})();

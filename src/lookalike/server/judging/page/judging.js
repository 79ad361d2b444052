// The judging page: one query at a time, with the hits of all systems in one shuffled grid.

const byId = (id) => document.getElementById(id);
let current = null;    // the query that is shown, as the server sends it
let selected = 0;      // index of the image that the keys apply to

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(content.error ?? content.detail ?? `the server answered with status ${response.status}`);
  return content;
}

function showError(error) {
  const isUnreachable = error instanceof TypeError;   // which fetch throws if the server does not answer
  byId("error").textContent = isUnreachable
    ? "The program no longer answers. Your judgements are stored; start it again to continue."
    : error.message;
  byId("error").hidden = false;
}

const imageAddress = (image) => `/api/judging/images/${image.id}`;

/** Show a query, or the results if its number is null. */
function show(state) {
  current = state;
  const isFinished = state.number === null;
  byId("judging").hidden = isFinished;
  byId("finished").hidden = !isFinished;
  byId("error").hidden = true;
  byId("bar").value = isFinished ? 1 : state.number / state.total;
  byId("progress").textContent = isFinished
    ? `${state.total} of ${state.total} · judge: ${state.judge}`
    : `query ${state.number + 1} of ${state.total} · judge: ${state.judge}`;
  if (isFinished) { showSummary(state); return; }
  byId("query-image").src = imageAddress(state.query);
  byId("images").replaceChildren(...state.images.map(createTile));
  select(Math.max(0, state.images.findIndex((image) => image.relevant === null)));
}

function createTile(image, index) {
  const tile = document.createElement("button");
  tile.type = "button";
  tile.className = "tile";
  const label = document.createElement("span");
  label.className = "judgement";
  tile.append(createImage(image), label);
  tile.addEventListener("click", () => select(index));
  updateTile(tile, image, index);
  return tile;
}

function createImage(image) {
  if (image.id === null) return document.createTextNode("no longer in the library");
  const element = new Image();
  element.alt = "";
  element.addEventListener("error", () => element.replaceWith("cannot be shown"));
  element.src = imageAddress(image);
  return element;
}

/** Show the judgement of an image on its tile. */
function updateTile(tile, image, index) {
  const text = { true: "relevant", false: "not relevant" }[image.relevant] ?? "";
  tile.classList.toggle("relevant", image.relevant === true);
  tile.classList.toggle("not-relevant", image.relevant === false);
  tile.querySelector(".judgement").textContent = text;
  tile.querySelector(".judgement").hidden = !text;
  tile.setAttribute("aria-label", `image ${index + 1}${text ? `, ${text}` : ""}`);
}

function select(index) {
  selected = index;
  const tiles = [...byId("images").children];
  tiles.forEach((tile, i) => {
    tile.classList.toggle("selected", i === index);
    tile.setAttribute("aria-pressed", String(i === index));
  });
  tiles[index]?.scrollIntoView({ block: "nearest" });
}

let pending = Promise.resolve();   // requests are sent one after another, in the order of the key presses

function judge(relevant) {
  if (!current || current.number === null) return;
  const query = current, index = selected, image = query.images[index];
  if (!image) return;
  image.relevant = relevant;
  updateTile(byId("images").children[index], image, index);
  const next = query.images.findIndex((other) => other.relevant === null);
  if (next >= 0) select(next);
  const judgement = { query: query.query.name, image: image.name, relevant };
  pending = pending
    .then(() => request("/api/judging/judgements", judgement))
    .then(() => (next < 0 && current === query ? showNext() : undefined))
    .catch(showError);
}

const showNext = async () => show(await request("/api/judging/next"));

function undo() {
  pending = pending.then(async () => show(await request("/api/judging/undo", {}))).catch(showError);
}

function showSummary(state) {
  const rows = [
    ["judged", `${state.images} images, ${state.relevant} of them relevant`],
    ...Object.entries(state.judgements).map(([judgeName, count]) => [judgeName, `${count} judgements`]),
    ...state.agreement.map(({ judges, images, share, kappa }) => [
      judges.join(" and "),
      `agree on ${(100 * share).toFixed(0)} % of ${images}`
        + (kappa === null ? "" : `, Cohen's kappa ${kappa.toFixed(2)}`),
    ]),
  ];
  const table = document.createElement("table");
  for (const [name, value] of rows) {
    const row = table.insertRow();
    const header = document.createElement("th");
    header.textContent = name;
    row.append(header);
    row.insertCell().textContent = value;
  }
  byId("summary").replaceChildren(table);
}

const KEYS = {
  y: () => judge(true), n: () => judge(false), Backspace: undo,
  ArrowRight: () => move(1), ArrowLeft: () => move(-1),
};

function move(by) {
  const count = current?.images?.length ?? 0;
  if (count) select((selected + by + count) % count);
}

document.addEventListener("keydown", (event) => {
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
});
byId("yes").addEventListener("click", () => judge(true));
byId("no").addEventListener("click", () => judge(false));
byId("undo").addEventListener("click", undo);
showNext().catch(showError);

// The page on which hits are judged: one query at a time, its images in one mixed grid.

const element = (id) => document.getElementById(id);
let shown = null; // the query that is on the page
let marked = 0; // which of its images the keys apply to

async function asked(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? answer.detail ?? `the server says ${response.status}`);
  return answer;
}

function trouble(error) {
  const gone = error instanceof TypeError; // what fetch throws where nobody answers
  element("trouble").textContent = gone
    ? "The program no longer answers. What you judged is kept; start it again to go on."
    : error.message;
  element("trouble").hidden = false;
}

const source = (picture) => `/api/judging/images/${picture.id}`;

function show(state) {
  shown = state;
  const ended = state.number === null;
  element("judging").hidden = ended;
  element("done").hidden = !ended;
  element("trouble").hidden = true;
  element("bar").value = ended ? 1 : state.number / state.total;
  element("progress").textContent = ended
    ? `${state.total} of ${state.total} · judge: ${state.judge}`
    : `query ${state.number + 1} of ${state.total} · judge: ${state.judge}`;
  if (ended) return summary(state);
  element("question").src = source(state.query);
  element("pictures").replaceChildren(...state.images.map(tile));
  mark(Math.max(0, state.images.findIndex((picture) => picture.relevant === null)));
}

function tile(picture, at) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "picture";
  button.append(pixels(picture), said());
  button.addEventListener("click", () => mark(at));
  dress(button, picture, at);
  return button;
}

function pixels(picture) {
  const image = new Image();
  image.alt = "";
  image.addEventListener("error", () => image.replaceWith("cannot be shown"));
  if (picture.id !== null) image.src = source(picture);
  else return document.createTextNode("no longer in the library");
  return image;
}

function said() {
  const label = document.createElement("span");
  label.className = "said";
  return label;
}

function dress(button, picture, at) {
  const word = { true: "relevant", false: "not relevant" }[picture.relevant] ?? "";
  button.classList.toggle("right", picture.relevant === true);
  button.classList.toggle("wrong", picture.relevant === false);
  button.querySelector(".said").textContent = word;
  button.querySelector(".said").hidden = !word;
  button.setAttribute("aria-label", `image ${at + 1}${word ? `, ${word}` : ""}`);
}

function mark(at) {
  marked = at;
  [...element("pictures").children].forEach((button, number) => {
    button.classList.toggle("marked", number === at);
    button.setAttribute("aria-pressed", String(number === at));
  });
  element("pictures").children[at]?.scrollIntoView({ block: "nearest" });
}

let working = Promise.resolve(); // key presses are answered in their order

function judge(relevant) {
  if (!shown || shown.number === null) return;
  const query = shown, at = marked, picture = query.images[at];
  if (!picture) return;
  picture.relevant = relevant;
  dress(element("pictures").children[at], picture, at);
  const left = query.images.findIndex((other) => other.relevant === null);
  if (left >= 0) mark(left);
  const judgement = { query: query.query.name, image: picture.name, relevant };
  working = working
    .then(() => asked("/api/judging/judgements", judgement))
    .then(() => (left < 0 && shown === query ? next() : undefined))
    .catch(trouble);
}

const next = async () => show(await asked("/api/judging/next"));

function undo() {
  working = working.then(async () => {
    const state = await asked("/api/judging/undo", {});
    show(state);
  }).catch(trouble);
}

function summary(state) {
  const rows = [
    ["judged", `${state.images} images, ${state.relevant} of them relevant`],
    ...Object.entries(state.judgements).map(([judge, count]) => [judge, `${count} judgements`]),
    ...state.agreement.map(({ judges, images, share, kappa }) => [
      judges.join(" and "),
      `agree on ${(100 * share).toFixed(0)} % of ${images}`
        + (kappa === null ? "" : `, Cohen's kappa ${kappa.toFixed(2)}`),
    ]),
  ];
  const table = document.createElement("table");
  for (const [name, value] of rows) {
    const row = table.insertRow();
    const head = document.createElement("th");
    head.textContent = name;
    row.append(head);
    row.insertCell().textContent = value;
  }
  element("summary").replaceChildren(table);
}

const KEYS = {
  y: () => judge(true), n: () => judge(false), Backspace: undo,
  ArrowRight: () => move(1), ArrowLeft: () => move(-1),
};

function move(by) {
  const count = shown?.images?.length ?? 0;
  if (count) mark((marked + by + count) % count);
}

document.addEventListener("keydown", (event) => {
  const work = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!work || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  work();
});
element("yes").addEventListener("click", () => judge(true));
element("no").addEventListener("click", () => judge(false));
element("undo").addEventListener("click", undo);
next().catch(trouble);

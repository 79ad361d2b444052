// Search a served library with an image, and get its vector; needs nothing but Node 18.
//
//     node search.mjs http://127.0.0.1:8484 cat.jpg
import { readFile } from "node:fs/promises";

const [server, file] = process.argv.slice(2);
const image = await readFile(file);

async function post(address, body, kind) {
  const headers = { "Content-Type": kind }; // with a token: Authorization: `Bearer ${token}`
  const answer = await fetch(server + address, { method: "POST", body, headers });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.error);
  return document;
}

const { upload } = await post("/api/uploads", image, "application/octet-stream");
const query = JSON.stringify({ upload: [upload], k: 3 });
for (const hit of (await post("/api/search", query, "application/json")).hits) console.log(hit.path);
const body = JSON.stringify({ images: [image.toString("base64")] });
const made = await post("/api/embed", body, "application/json");
console.log(made.extractor, made.dim);

// Two pictures of a group beside each other, and what differs between their files.

import { thumbnail } from "./api.js";
import { go } from "./address.js";
import { button, el } from "./dom.js";
import { bytes, count, folderOf, moment, nameOf } from "./wording.js";

const pixels = (one) => (one.width ?? 0) * (one.height ?? 0);

/** The best of a group on the left, the chosen other on the right, and all others to choose from. */
export function compared(group, member, choose) {
  const [best, other] = [group.members[0], group.members[member]];
  return el("div", { class: "compared" },
    el("div", { class: "laid" }, side(best, other, "left"), side(other, best, "right")),
    el("p", { class: "evidence" }, evidence(other)),
    group.members.length > 2 ? el("div", { class: "others", role: "group", "aria-label": "Pictures of this group" },
      group.members.slice(1).map((one, at) => el("button", {
        type: "button", class: "near", "aria-pressed": String(at + 1 === member), "aria-label": `Compare with ${nameOf(one.path)}`,
        title: nameOf(one.path), onclick: () => choose(at + 1),
      }, el("img", { src: thumbnail(one.id), alt: "" })))) : null);
}

const evidence = (other) => `${other.evidence.charAt(0).toUpperCase()}${other.evidence.slice(1)}.`;

function side(one, against, name) {
  const image = el("img", { src: thumbnail(one.id, 1024), alt: nameOf(one.path) });
  const frame = el("div", { class: "room" }, image);
  const more = (mine, theirs) => (mine > theirs ? "better" : null);
  return el("figure", { class: `half ${name}` }, frame,
    el("figcaption", {},
      el("strong", {}, nameOf(one.path), one.keep ? el("span", { class: "kept" }, "kept") : null),
      el("span", { class: "soft" }, folderOf(one.path) || "."),
      el("span", { class: more(pixels(one), pixels(against)) }, one.width ? `${count(one.width)} × ${count(one.height)}` : "unknown size"),
      el("span", { class: more(one.size, against.size) }, [bytes(one.size), one.format].filter(Boolean).join(" ")),
      one.mtime ? el("span", { class: "soft" }, moment(one.mtime)) : null,
      button("Look at it", null, () => go({ open: one.id }), { class: "plain" })));
}

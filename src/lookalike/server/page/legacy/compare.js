// Two images of a group of duplicates side by side, and the differences between their files.

import { thumbnail } from "../api.js";
import { navigate } from "../address.js";
import { button, el } from "./dom.js";
import { bytes, count, dateTime, folderOf, nameOf } from "../format.js";

const pixelCount = (image) => (image.width ?? 0) * (image.height ?? 0);

/** Create a comparison: the best image on the left, the selected one on the right, the others below. */
export function comparison(group, selected, select) {
  const [best, other] = [group.members[0], group.members[selected]];
  return el("div", { class: "comparison" },
    el("div", { class: "side-by-side" }, memberFigure(best, other, "left"), memberFigure(other, best, "right")),
    el("p", { class: "evidence" }, evidence(best, other)),
    group.members.length > 2 ? el("div", { class: "other-members", role: "group", "aria-label": "Images of this group" },
      group.members.slice(1).map((member, i) => el("button", {
        type: "button", class: "thumbnail", "aria-pressed": String(i + 1 === selected), "aria-label": `Compare with ${nameOf(member.path)}`,
        title: nameOf(member.path), onclick: () => select(i + 1),
      }, el("img", { src: thumbnail(member.id), alt: "" })))) : null);
}

/** Say what relates the two images, why the left one is the one to keep, and why the right one has to stay. */
function evidence(best, other) {
  const parts = [other.evidence, best.reason && `left: ${best.reason}`, other.reason && `right: ${other.reason}`].filter(Boolean).join("; ");
  return parts ? `${parts.charAt(0).toUpperCase()}${parts.slice(1)}.` : "";
}

function memberFigure(image, other, side) {
  const better = (value, otherValue) => (value > otherValue ? "better" : null);
  return el("figure", { class: `member ${side}` },
    el("div", { class: "member-image" }, el("img", { src: thumbnail(image.id, 1024), alt: nameOf(image.path) })),
    el("figcaption", {},
      el("strong", {}, nameOf(image.path), image.keep ? el("span", { class: "keep-badge" }, "keep") : null),
      el("span", { class: "muted" }, folderOf(image.path) || "."),
      el("span", { class: better(pixelCount(image), pixelCount(other)) },
        image.width ? `${count(image.width)} × ${count(image.height)}` : "unknown size"),
      el("span", { class: better(image.size, other.size) }, [bytes(image.size), image.format].filter(Boolean).join(" ")),
      image.mtime ? el("span", { class: "muted" }, dateTime(image.mtime)) : null,
      button("Open", null, () => navigate({ open: image.id }), { class: "plain" })));
}

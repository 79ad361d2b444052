"""Groups of images for people: the best image first, and the reason for each of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from lookalike.duplicates.links import Pair
from lookalike.duplicates.report import KINDS, Group, Kind, Link, Member
from lookalike.stores.interface import Image, Snapshot

SAME_BYTES = "the same bytes"


class Exclusions:
    """Filters out pairs that a person marked as not duplicates, and remembers them in `hidden`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._contents = {(d.first, d.second or b"") for d in snapshot.decisions(["not-duplicate"])}
        self.hidden: set[Pair] = set()

    def allowed(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Return the pairs that were not marked, in ascending order."""
        if not self._contents:
            return sorted(pairs)
        pairs = {*pairs}
        images = self._snapshot.images({id for pair in pairs for id in pair})
        hidden = {(a, b) for a, b in pairs if _contents(images[a], images[b]) in self._contents}
        self.hidden |= hidden
        return sorted(pairs - hidden)


def _contents(one: Image, other: Image) -> tuple[bytes, bytes]:
    """Return the content hashes of two images in the order in which a decision stores them."""
    first, second = sorted((one.hash or b"", other.hash or b""))
    return first, second


class GroupBuilder:
    """Builds groups from ids. Each image is read once from the snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._images: dict[int, Image] = {}
        self._roots = {root.id: root.path for root in snapshot.roots()}
        self._marked = {decision.first for decision in snapshot.decisions(["keep"])}

    def load(self, ids: Iterable[int]) -> None:
        """Read these images in one call."""
        self._images |= self._snapshot.images(id for id in ids if id not in self._images)

    def best(self, ids: Sequence[int]) -> int:
        """Return the image to keep: one that a person marked, else by resolution, size, age and path."""
        self.load(ids)
        return min(ids, key=lambda id: self._rank(self._images[id]))

    def groups(
        self,
        found: Sequence[Sequence[int]],
        same: Mapping[int, Sequence[int]],
        link: Callable[[int, int], Link],
    ) -> tuple[Group, ...]:
        """Return groups of images, the largest gain of disk space first.

        found  groups of ids, the best one first
        same   images of equal content by the first of them; they join its group, or form their own
        link   returns the link of the best image with another
        """
        grouped = {id for ids in found for id in ids}
        every = [*found, *([id] for id in same if id not in grouped)]
        self.load({other for ids in every for id in ids for other in same.get(id, [id])})
        groups = [self._group(ids, same, link) for ids in every]
        return tuple(
            sorted(
                groups,
                key=lambda group: (-group.reclaimable_bytes, self._path_key(group.best.image)),
            )
        )

    def _group(
        self,
        ids: Sequence[int],
        same: Mapping[int, Sequence[int]],
        link: Callable[[int, int], Link],
    ) -> Group:
        best = ids[0]
        members = [self._member(id, "exact", 1.0, SAME_BYTES) for id in same.get(best, [best])]
        for id in ids[1:]:
            found = link(best, id)
            members += [
                self._member(other, found.kind, found.similarity, found.evidence)
                for other in same.get(id, [id])
            ]
        first = min((m for m in members if m.kind == "exact"), key=lambda m: self._rank(m.image))
        others = sorted(
            (m for m in members if m is not first),
            key=lambda m: (KINDS.index(m.kind), -m.similarity, self._path_key(m.image)),
        )
        kind = max((m.kind for m in members), key=KINDS.index)
        return Group(kind, (first, *others))

    def _member(self, id: int, kind: Kind, similarity: float, evidence: str) -> Member:
        image = self._images[id]
        file = self._roots[image.root] / image.path
        return Member(image, file, kind, similarity, evidence, keep=image.hash in self._marked)

    def _rank(self, image: Image) -> tuple[bool, int, int, int, tuple[int, str]]:
        pixels = (image.width or 0) * (image.height or 0)
        unmarked = image.hash not in self._marked
        return (unmarked, -pixels, -image.size, image.mtime_ns, self._path_key(image))

    def _path_key(self, image: Image) -> tuple[int, str]:
        return image.root, image.path

"""Group linked images: disjoint sets of links, decisions of people, and the original of each group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from lookalike.duplicates.report import KINDS, Group, Kind, Link, Member
from lookalike.stores.interface import Image, Snapshot

Pair: TypeAlias = tuple[int, int]
"""Two image ids, the smaller one first."""

# How often images that do not fit the best image of their group are grouped again.
MAX_ROUNDS = 6


def pair(one: int, other: int) -> Pair:
    """Return two ids as a pair."""
    return (one, other) if one < other else (other, one)


class DisjointSets:
    """Disjoint sets of ids (union-find with path halving).

    The smallest id represents its set. Ids that were never joined are sets of one.
    """

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def find(self, id: int) -> int:
        """Return the id that represents the set of an id."""
        parents = self._parents
        while (parent := parents.get(id, id)) != id:
            parents[id] = parents.get(parent, parent)
            id = parents[id]
        return id

    def join(self, one: int, other: int) -> None:
        """Merge the sets of two ids."""
        a, b = self.find(one), self.find(other)
        if a != b:
            self._parents[max(a, b)] = min(a, b)

    def groups(self) -> list[list[int]]:
        """Return the sets with more than one member, each in ascending order, sorted by their first id."""
        found: dict[int, list[int]] = {}
        for id in self._parents:
            found.setdefault(self.find(id), []).append(id)
        return [sorted({first, *ids}) for first, ids in sorted(found.items())]


def group_links(
    links: Iterable[Pair],
    best: Callable[[Sequence[int]], int],
    find_links: Callable[[Sequence[Pair]], set[Pair]],
) -> list[list[int]]:
    """Return groups in which every image is linked with the best one, not only with the next in a chain.

    links       pairs that belong together
    best        returns the best of some images
    find_links  returns which of some pairs belong together; called once a round with images that are
                connected with the best one of their group only through others

    Each group is the best image followed by the others in ascending order. Images that are not linked
    with the best one are grouped among themselves. An image is in at most one group.
    """
    known = {pair(*link) for link in links}
    done: list[list[int]] = []
    open_ = set().union(*known) if known else set[int]()
    for _ in range(MAX_ROUNDS):
        sets = DisjointSets()
        for one, other in sorted(known):
            if one in open_ and other in open_:
                sets.join(one, other)
        clusters = [(best(ids), ids) for ids in sets.groups()]
        unknown = [
            pair(first, id)
            for first, ids in clusters
            for id in ids
            if id != first and pair(first, id) not in known
        ]
        known |= find_links(unknown) if unknown else set()
        for first, ids in clusters:
            group = [first, *(id for id in ids if id != first and pair(first, id) in known)]
            open_ -= {*group}
            if len(group) > 1:
                done.append(group)
        if not clusters:
            break
    return sorted(done, key=lambda group: min(group))


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

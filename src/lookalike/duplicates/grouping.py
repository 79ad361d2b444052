"""Group linked images: disjoint sets of links, and what people said about pairs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

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


class Exclusions:
    """Filters out pairs that a person marked as not duplicates, and remembers them in `hidden`.

    archive  ids of images that are not compared with each other
    """

    def __init__(self, snapshot: Snapshot, archive: Collection[int] = frozenset()) -> None:
        self._snapshot = snapshot
        self._archive = archive
        self._contents = {(d.first, d.second or b"") for d in snapshot.decisions(["not-duplicate"])}
        self.hidden: set[Pair] = set()

    def allowed(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Return the pairs that were not marked, in ascending order."""
        pairs = {p for p in pairs if p[0] not in self._archive or p[1] not in self._archive}
        if not self._contents:
            return sorted(pairs)
        images = self._snapshot.images({id for pair in pairs for id in pair})
        hidden = {(a, b) for a, b in pairs if _contents(images[a], images[b]) in self._contents}
        self.hidden |= hidden
        return sorted(pairs - hidden)


def _contents(one: Image, other: Image) -> tuple[bytes, bytes]:
    """Return the content hashes of two images in the order in which a decision stores them."""
    first, second = sorted((one.hash or b"", other.hash or b""))
    return first, second

"""Links between pictures, and the groups that they make: pure, on numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]
"""Two ids, the smaller first."""

ROUNDS = 6
"""How often what does not fit a group's best image is grouped anew."""


def pair(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


class Sets:
    """Disjoint sets of ids that grow together (union-find, with halved paths); the smallest id speaks
    for its set. Ids that were never joined are sets of one."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def of(self, id: int) -> int:
        """The id that speaks for the set of this one."""
        above = self._above
        while (up := above.get(id, id)) != id:
            above[id] = above.get(up, up)
            id = above[id]
        return id

    def join(self, one: int, other: int) -> None:
        a, b = self.of(one), self.of(other)
        if a != b:
            self._above[max(a, b)] = min(a, b)

    def groups(self) -> list[list[int]]:
        """The sets of more than one, each rising, by their first id."""
        found: dict[int, list[int]] = {}
        for id in self._above:
            found.setdefault(self.of(id), []).append(id)
        return [sorted({first, *ids}) for first, ids in sorted(found.items())]


def grouped(
    links: Iterable[Pair],
    best: Callable[[Sequence[int]], int],
    fitting: Callable[[Sequence[Pair]], set[Pair]],
) -> list[list[int]]:
    """Groups in which every image fits the best one, not only the next in a chain.

    links    pairs that belong together
    best     which of some images is the best
    fitting  which of some pairs belong together; asked once a round, of images linked to the best of
             their group by others only

    Each is the best image and then the others, rising; images that do not fit the best one of what
    they are linked with are grouped among themselves. An image is in one group at most.
    """
    known = {pair(*link) for link in links}
    done: list[list[int]] = []
    open_ = set().union(*known) if known else set[int]()
    for _ in range(ROUNDS):
        sets = Sets()
        for one, other in sorted(known):
            if one in open_ and other in open_:
                sets.join(one, other)
        clusters = [(best(ids), ids) for ids in sets.groups()]
        asked = [
            pair(first, id)
            for first, ids in clusters
            for id in ids
            if id != first and pair(first, id) not in known
        ]
        known |= fitting(asked) if asked else set()
        for first, ids in clusters:
            group = [first, *(id for id in ids if id != first and pair(first, id) in known)]
            open_ -= {*group}
            if len(group) > 1:
                done.append(group)
        if not clusters:
            break
    return sorted(done, key=lambda group: min(group))

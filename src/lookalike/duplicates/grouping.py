"""Groups as people see them: the best image first, and why each of the others is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from lookalike.duplicates.report import KINDS, Group, Kind, Member
from lookalike.stores.interface import Image, Snapshot

SAME_BYTES = "the same bytes"


class Reason(Protocol):
    """Why a pair is one: its kind, how similar, and in words."""

    @property
    def kind(self) -> Kind: ...
    @property
    def similarity(self) -> float: ...
    @property
    def evidence(self) -> str: ...


class Showing:
    """The images of groups, read once, and which of them are to be kept."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._view = snapshot
        self._images: dict[int, Image] = {}
        self._folders = {root.id: root.path for root in snapshot.roots()}
        self._kept = {decision.first for decision in snapshot.decisions(["keep"])}

    def load(self, ids: Iterable[int]) -> None:
        self._images |= self._view.images(id for id in ids if id not in self._images)

    def best(self, ids: Sequence[int]) -> int:
        """The image to keep: one that somebody decided to keep, else by resolution, size, age, path."""
        self.load(ids)
        return min(ids, key=lambda id: self._rank(self._images[id]))

    def groups(
        self,
        found: Sequence[Sequence[int]],
        same: Mapping[int, Sequence[int]],
        why: Callable[[int, int], Reason],
    ) -> tuple[Group, ...]:
        """Groups of ids (the best first) as groups of images, with the images of the same content
        beside each; contents that are in no group make groups of their own."""
        grouped = {id for ids in found for id in ids}
        every = [*found, *([id] for id in same if id not in grouped)]
        self.load({other for ids in every for id in ids for other in same.get(id, [id])})
        groups = [self._group(ids, same, why) for ids in every]
        return tuple(
            sorted(groups, key=lambda group: (-group.spare, self._place(group.best.image)))
        )

    def _group(
        self,
        ids: Sequence[int],
        same: Mapping[int, Sequence[int]],
        why: Callable[[int, int], Reason],
    ) -> Group:
        best = ids[0]
        members = [self._member(id, "exact", 1.0, SAME_BYTES) for id in same.get(best, [best])]
        for id in ids[1:]:
            reason = why(best, id)
            members += [
                self._member(other, reason.kind, reason.similarity, reason.evidence)
                for other in same.get(id, [id])
            ]
        first = min((m for m in members if m.kind == "exact"), key=lambda m: self._rank(m.image))
        others = sorted(
            (m for m in members if m is not first),
            key=lambda m: (KINDS.index(m.kind), -m.similarity, self._place(m.image)),
        )
        kind = max((m.kind for m in members), key=KINDS.index)
        return Group(kind, (first, *others))

    def _member(self, id: int, kind: Kind, similarity: float, evidence: str) -> Member:
        image = self._images[id]
        file = self._folders[image.root] / image.path
        return Member(image, file, kind, similarity, evidence, keep=image.hash in self._kept)

    def _rank(self, image: Image) -> tuple[bool, int, int, int, tuple[int, str]]:
        pixels = (image.width or 0) * (image.height or 0)
        unwanted = image.hash not in self._kept
        return (unwanted, -pixels, -image.size, image.mtime_ns, self._place(image))

    def _place(self, image: Image) -> tuple[int, str]:
        return image.root, image.path

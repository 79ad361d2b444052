"""Duplicates of a library: candidates, certain at once or compared, brought into groups."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from lookalike.duplicates.candidates import HASHES, Hashes, nearest_pairs, neighbours
from lookalike.duplicates.grouping import Showing
from lookalike.duplicates.links import Pair, Sets, grouped, pair
from lookalike.duplicates.pair_verifier import Verdict, Verifier
from lookalike.duplicates.report import KINDS, Duplicates, Kind
from lookalike.stores.interface import Ids, Image, Snapshot, Space

CERTAIN = {"phash": 2, "dhash": 4}
"""Bits. No two of 10 million pairs of unlike photos are within either; both together are taken as
proof, without looking at the pictures."""

UNREAD = {"phash": 4, "dhash": 6}
"""Where the pictures cannot be read, both within this are taken for copies."""

NEAR_INLIERS, NEAR_OVERLAP = 25, 0.25
"""Another picture of the same: so many keypoints agree, and so much of each is in the other."""

MANY = 100_000
"""More images than this are searched for neighbours only when asked to: it is quadratic where the
store has no index, and most of the time goes into comparing."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a pair: its kind, how much agrees, and why."""

    kind: Kind
    similarity: float
    evidence: str


class Search:
    """One search for duplicates, in one state of the library."""

    def __init__(self, snapshot: Snapshot, verifier: Verifier, ids: Ids, kind: Kind) -> None:
        self._view = snapshot
        self._verifier = verifier
        self._ids = ids
        self._kind = kind
        self._found: dict[Pair, Found] = {}
        self._hashes: list[Hashes] = []
        self._refused = refused(snapshot)
        self.hidden: set[Pair] = set()
        self.seconds: dict[str, float] = {}

    def exact(self) -> dict[int, list[int]]:
        """Images of the same content, by the first of them."""
        among = set(self._ids.tolist())
        kept = ([id for id in ids if id in among] for ids in self._view.exact_duplicates())
        return {ids[0]: ids for ids in kept if len(ids) > 1}

    def by_hashes(self, spaces: Sequence[Space], ids: Ids) -> None:
        """Pairs of similar hashes: certain, or compared."""
        started = time.perf_counter()
        self._hashes = [Hashes(self._view, space, ids) for space in spaces]
        found = chain.from_iterable(hashes.pairs() for hashes in self._hashes)
        allowed = self._allowed(nearest_pairs(found))
        self._note_certain(allowed)
        self.seconds["hashes"] = time.perf_counter() - started
        self._judge(p for p in allowed if p not in self._found)

    def by_neighbours(self, space: Space, ids: Ids) -> None:
        """Pairs that are near in a space of vectors, of images that are not linked yet."""
        started = time.perf_counter()
        sets = self._sets()
        speakers = np.array(sorted({sets.of(id) for id in ids.tolist()}), np.int64)
        nearest = {p for p, _ in neighbours(self._view, space, speakers)}
        pairs = self._allowed({p for p in nearest if p not in self._found})
        self.seconds["neighbours"] = time.perf_counter() - started
        self._judge(pairs)

    def groups(self, best: Showing) -> list[list[int]]:
        """The groups, the best image of each first."""

        def fitting(pairs: Sequence[Pair]) -> set[Pair]:
            self._judge(self._allowed(set(pairs)))
            return {p for p in pairs if self._linked(p)}

        links = [p for p in sorted(self._found) if self._linked(p)]
        best.load({id for link in links for id in link})
        return grouped(links, best.best, fitting)

    def found(self, one: int, other: int) -> Found:
        return self._found[pair(one, other)]

    def _linked(self, p: Pair) -> bool:
        found = self._found.get(p)
        return found is not None and KINDS.index(found.kind) <= KINDS.index(self._kind)

    def _sets(self) -> Sets:
        sets = Sets()
        for p in self._found:
            if self._linked(p):
                sets.join(*p)
        return sets

    def _allowed(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Those of the pairs that nobody said are no duplicates."""
        if not self._refused:
            return sorted(pairs)
        pairs = {*pairs}
        images = self._view.images({id for p in pairs for id in p})
        hidden = {p for p in pairs if contents(images[p[0]], images[p[1]]) in self._refused}
        self.hidden |= hidden
        return sorted(pairs - hidden)

    def _note_certain(self, pairs: Sequence[Pair]) -> None:
        by_name = {hashes.name: hashes.distances(pairs) for hashes in self._hashes}
        if set(by_name) != set(CERTAIN):
            return
        for at, p in enumerate(pairs):
            if all(by_name[name][at] <= bits for name, bits in CERTAIN.items()):
                self._found[p] = by_bits({name: int(by_name[name][at]) for name in CERTAIN})

    def _judge(self, pairs: Iterable[Pair]) -> None:
        """Compare pairs and note what they are."""
        started = time.perf_counter()
        asked = sorted(p for p in pairs if p not in self._found)
        verdicts = self._verifier.verdicts(asked) if asked else {}
        for p, verdict in verdicts.items():
            found = self._of_hashes(p) if not verdict.readable else judged(verdict)
            if found is not None:
                self._found[p] = found
        taken = time.perf_counter() - started
        self.seconds["comparing"] = self.seconds.get("comparing", 0.0) + taken

    def _of_hashes(self, p: Pair) -> Found | None:
        """What the hashes alone say of a pair."""
        bits = {hashes.name: int(hashes.distances([p])[0]) for hashes in self._hashes}
        if set(bits) == set(UNREAD) and all(bits[name] <= most for name, most in UNREAD.items()):
            return by_bits(bits)
        return None


def by_bits(bits: dict[str, int]) -> Found:
    counts = " and ".join(map(str, bits.values()))
    return Found("copies", 1 - max(bits.values()) / 64, f"{counts} of 64 hash bits differ")


def judged(verdict: Verdict) -> Found | None:
    """What a comparison says of a pair."""
    likeness = verdict.likeness
    if likeness is None:
        return None
    if likeness.copy:
        return Found("copies", likeness.agreement, likeness.words)
    if likeness.inliers >= NEAR_INLIERS and likeness.overlap >= NEAR_OVERLAP:
        return Found("near", likeness.agreement, likeness.words)
    return None


def refused(snapshot: Snapshot) -> set[tuple[bytes, bytes]]:
    """The pairs of contents that somebody said are no duplicates."""
    return {(d.first, d.second or b"") for d in snapshot.decisions(["not-duplicate"])}


def contents(one: Image, other: Image) -> tuple[bytes, bytes]:
    """The contents of two images, in the order in which a decision names them."""
    first, second = sorted((one.hash or b"", other.hash or b""))
    return first, second


def find(
    snapshot: Snapshot, verifier: Verifier, ids: Ids, *, kind: Kind, thorough: bool | None
) -> Duplicates:
    """The duplicates among these images.

    kind      the loosest that counts
    thorough  also compare neighbours in a space of vectors, which finds crops, frames and tilts;
              None: for up to 100,000 images
    """
    started = time.perf_counter()
    search = Search(snapshot, verifier, ids, kind)
    showing = Showing(snapshot)
    same = search.exact()
    copies = {id for ids in same.values() for id in ids[1:]}
    missing = ""
    found: list[list[int]] = []
    if kind != "exact":
        alone = np.array([id for id in ids.tolist() if id not in copies], np.int64)
        spaces = [space for space in snapshot.spaces() if space.current]
        hashed = [space for space in spaces if space.name in HASHES]
        space = next((space for space in spaces if space.name not in HASHES), None)
        missing = what_is_missing(hashed, space, len(alone), thorough)
        search.by_hashes(hashed, alone)
        if space is not None and (thorough or (thorough is None and len(alone) <= MANY)):
            search.by_neighbours(space, alone)
        found = search.groups(showing)
    groups = showing.groups(found, same, search.found)
    search.seconds["total"] = time.perf_counter() - started
    return Duplicates(
        groups=groups,
        searched=len(ids),
        compared=verifier.compared,
        unreadable=verifier.unreadable,
        hidden=len(search.hidden),
        missing=missing,
        seconds=search.seconds,
    )


def what_is_missing(
    hashed: Sequence[Space], space: Space | None, images: int, thorough: bool | None
) -> str:
    """What more would be found, and how."""
    lacking = [name for name in HASHES if name not in {space.name for space in hashed}]
    if lacking:
        return (
            "grey, brightened and mirrored copies are found better with hashes: "
            f"lookalike index --with {','.join(lacking)}"
        )
    if space is None:
        return "crops and frames are found with a further space: lookalike index --with lookalike"
    if thorough is False or (thorough is None and images > MANY):
        return "crops, frames and tilted copies were not looked for: --thorough does"
    return ""

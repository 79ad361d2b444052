"""Which pictures may be copies of each other, found without comparing each with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.links import Pair, pair
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.vectors.hamming import Codes, distances, near_pairs, pack
from lookalike.vectors.similarity import similarity_matrix

HASHES = ("phash", "dhash")

RADIUS = 7
"""Bits in which hashes may differ. Of 10 million pairs of unlike photos (Corel, groceries, COCO) 4 have
a phash within it and 10 a dhash; of re-saved, shrunk, blurred and grey copies all have both."""

REPEATED = 4
"""Pictures with one and the same code that are each paired with those of a similar code: pairing
all would be quadratic in the number of blank pages."""

MOST = 24
"""Pairs by hashes that an image is in at most by its own choice: thousands of blank pages are all like
each other."""

AT_A_TIME = 4_000_000
"""Pairs that are kept before the superfluous ones are dropped."""

NEIGHBOURS = 4
"""Nearest pictures that are looked at, by a space that knows crops and frames."""

SHARE = 0.6
"""How far from the median of unrelated pictures (0) to identity (1) a neighbour must be. Of copies
that were cropped, framed or tilted all have a cosine beyond .84 in the color space, where the median
is about .45."""

SAMPLE = 256
BLOCK = 65_536
ASKED = 512
"""Vectors that are read, and questions that are asked, at a time."""

Grid: TypeAlias = NDArray[np.floating]
Bits: TypeAlias = NDArray[np.uint8]


def turned_phashes(signs: Grid) -> list[Grid]:
    """The phash (n, 64) of each picture in the eight orientations, as near as can be told from the
    hash alone: a mirror changes the sign of every odd frequency, a turn also swaps their directions.
    Bits say "above the median" and not "positive", so that 4 of 64 are wrong on average."""
    odd = np.where(np.arange(8) % 2, -1.0, 1.0)
    grid = signs.reshape(-1, 8, 8)
    signs_of = (
        np.ones((8, 8)),
        np.ones((8, 1)) * odd,
        odd[:, None] * np.ones(8),
        np.outer(odd, odd),
    )
    return [
        (way * change).reshape(-1, 64)
        for way in (grid, grid.transpose(0, 2, 1))
        for change in signs_of
    ]


def turned_dhashes(signs: Grid) -> list[Grid]:
    """The dhash (n, 64) of each picture as it is, mirrored, upside down and turned by 180°. It knows
    nothing of what a picture turned by 90° looks like."""
    grid = signs.reshape(-1, 8, 8)
    ways = (grid, -grid[:, :, ::-1], grid[:, ::-1], -grid[:, ::-1, ::-1])
    return [way.reshape(-1, 64) for way in ways]


TURNED: dict[str, Callable[[Grid], list[Grid]]] = {
    "phash": turned_phashes,
    "dhash": turned_dhashes,
}


class Hashes:
    """The hashes of one kind of all images, as codes: 8 bytes an image and orientation."""

    def __init__(self, snapshot: Snapshot, space: Space, ids: Ids) -> None:
        turned = TURNED[space.name]
        found: list[list[Codes]] = []
        kept: list[Ids] = []
        for start in range(0, len(ids), BLOCK):
            vectors = snapshot.vectors(space.key, ids[start : start + BLOCK])
            there = pack(vectors)[1]
            found.append([pack(way)[0] for way in turned(vectors[there])])
            kept.append(ids[start : start + BLOCK][there])
        self.name = space.name
        self.ids = np.concatenate(kept) if kept else ids[:0]
        ways = list(zip(*found, strict=True))
        self.codes: list[Codes] = [np.concatenate(way) for way in ways]

    def distances(self, pairs: Sequence[Pair]) -> NDArray[np.uint8]:
        """In how many bits the images of each pair differ, in the orientation in which they differ
        least; 64 where one has no hash."""
        at = np.array(pairs, np.int64).reshape(-1, 2)
        if not len(self.ids):
            return np.full(len(at), 64, np.uint8)
        order = np.argsort(self.ids)
        places = order[np.searchsorted(self.ids[order], at).clip(0, len(self.ids) - 1)]
        there = (self.ids[places] == at).all(axis=1)
        one, other = self.codes[0][places[:, 0]], places[:, 1]
        nearest = np.min([distances(one, way[other]) for way in self.codes], axis=0)
        return np.where(there, nearest, 64).astype(np.uint8)

    def pairs(self) -> Iterator[tuple[Ids, Ids, Bits]]:
        """Ids of images whose hashes differ in few bits in some orientation, and in how many, in pieces;
        a pair may come more than once."""
        upright, counts = np.unique(self.codes[0], return_counts=True)
        order = np.argsort(self.codes[0], kind="stable")
        ends = np.cumsum(counts)
        # Those with the same code: each with the next, and with the first.
        repeated = np.flatnonzero(np.diff(self.codes[0][order]) == 0)
        start = np.repeat(ends - counts, counts)
        none = np.zeros(len(repeated), np.uint8)
        yield self.ids[order[repeated]], self.ids[order[repeated + 1]], none
        yield self.ids[order[start[repeated]]], self.ids[order[repeated + 1]], none
        for way in self.codes:
            turned, back = np.unique(way, return_index=True)
            for one, other in near_pairs(turned, upright, RADIUS):
                bits = distances(turned[one], upright[other])
                source = np.searchsorted(upright, self.codes[0][back[one]])
                for number in range(REPEATED):
                    ours, theirs = number < counts[source], number < counts[other]
                    both = ours & theirs
                    a = order[(ends - counts)[source[both]] + number]
                    b = order[(ends - counts)[other[both]] + number]
                    unlike = a != b
                    yield self.ids[a[unlike]], self.ids[b[unlike]], bits[both][unlike]


def nearest_pairs(found: Iterable[tuple[Ids, Ids, Bits]]) -> list[Pair]:
    """The pairs, each once, rising; of an image with very many, those that differ least."""
    keys, bits = np.empty(0, np.int64), np.empty(0, np.uint8)
    waiting: list[tuple[Ids, Bits]] = []
    size = 0
    for one, other, differing in found:
        waiting.append(((np.minimum(one, other) << 32) | np.maximum(one, other), differing))
        size += len(one)
        if size > AT_A_TIME:
            keys, bits = _fewest([(keys, bits), *waiting])
            waiting, size = [], 0
    keys, _ = _fewest([(keys, bits), *waiting])
    ends = np.column_stack([keys >> 32, keys & 0xFFFFFFFF])
    return [(one, other) for one, other in ends.tolist()]


def _fewest(parts: Sequence[tuple[Ids, Bits]]) -> tuple[Ids, Bits]:
    """Each pair once, if it is among the first of either of its images."""
    keys = np.concatenate([keys for keys, _ in parts])
    bits = np.concatenate([bits for _, bits in parts])
    order = np.lexsort((bits, keys))
    keys, bits = keys[order], bits[order]
    fresh = np.diff(keys, prepend=-1) != 0
    keys, bits = keys[fresh], bits[fresh]
    kept = np.zeros(len(keys), bool)
    for end in (keys >> 32, keys & 0xFFFFFFFF):
        order = np.lexsort((keys, bits, end))
        first = np.flatnonzero(np.diff(end[order], prepend=-1))
        runs = np.diff(np.append(first, len(end)))
        place = np.arange(len(end)) - np.repeat(first, runs)
        kept[order[place < MOST]] = True
    return keys[kept], bits[kept]


def neighbours(snapshot: Snapshot, space: Space, ids: Ids) -> Iterator[tuple[Pair, float]]:
    """Pairs of images of which one is among the nearest of the other, and their similarity, where it
    stands out from that of unrelated ones."""
    sample = snapshot.vectors(space.key, snapshot.sample(space.key, SAMPLE))
    identity = 1.0 if space.similarity == "cosine" else 0.0
    for start in range(0, len(ids), ASKED):
        asked = ids[start : start + ASKED]
        vectors = snapshot.vectors(space.key, asked)
        there = ~np.isnan(vectors).any(axis=1)
        asked, vectors = asked[there], vectors[there]
        if not len(asked):
            continue
        median = np.median(similarity_matrix(vectors, sample, similarity=space.similarity), axis=1)
        near = snapshot.search(space.key, vectors, NEIGHBOURS + 1, among=ids)
        for row, id in enumerate(asked.tolist()):
            lowest = median[row] + SHARE * (identity - median[row])
            for other, value in zip(
                near.ids[row].tolist(), near.similarities[row].tolist(), strict=True
            ):
                if other >= 0 and other != id and value >= lowest:
                    yield pair(id, other), value

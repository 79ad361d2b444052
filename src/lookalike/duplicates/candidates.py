"""Which pictures may be copies of each other, found without comparing each with each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.links import Pair, pair
from lookalike.stores.contract import Ids, Space, View
from lookalike.vectors.hamming import Codes, distances, near_pairs, pack
from lookalike.vectors.similarity import similarity_matrix

HASHES = ("phash", "dhash")

RADIUS = 7
"""Bits in which hashes may differ. Of 10 million pairs of unlike photos (Corel, groceries, COCO) 4 have
a phash within it and 10 a dhash; of re-saved, shrunk, blurred and grey copies all have both."""

REPEATED = 4
"""Pictures with one and the same code that are each paired with those of a similar code: pairing
all would be quadratic in the number of blank pages."""

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

Grid = NDArray[np.floating]


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

    def __init__(self, view: View, space: Space, ids: Ids) -> None:
        turned = TURNED[space.name]
        found: list[list[Codes]] = []
        kept: list[Ids] = []
        for start in range(0, len(ids), BLOCK):
            vectors = view.vectors(space.key, ids[start : start + BLOCK])
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

    def pairs(self) -> Iterator[tuple[Ids, Ids]]:
        """Ids of images whose hashes differ in few bits in some orientation, in pieces; a pair may come
        more than once."""
        upright, counts = np.unique(self.codes[0], return_counts=True)
        order = np.argsort(self.codes[0], kind="stable")
        ends = np.cumsum(counts)
        # Those with the same code: each with the next, and with the first.
        repeated = np.flatnonzero(np.diff(self.codes[0][order]) == 0)
        start = np.repeat(ends - counts, counts)
        yield self.ids[order[repeated]], self.ids[order[repeated + 1]]
        yield self.ids[order[start[repeated]]], self.ids[order[repeated + 1]]
        for way in self.codes:
            turned, back = np.unique(way, return_index=True)
            for one, other in near_pairs(turned, upright, RADIUS):
                # Those of one code stand together; a turned code belongs to whoever has it.
                source = np.searchsorted(upright, self.codes[0][back[one]])
                for number in range(REPEATED):
                    ours, theirs = number < counts[source], number < counts[other]
                    both = ours & theirs
                    a = order[(ends - counts)[source[both]] + number]
                    b = order[(ends - counts)[other[both]] + number]
                    unlike = a != b
                    yield self.ids[a[unlike]], self.ids[b[unlike]]


def neighbours(view: View, space: Space, ids: Ids) -> Iterator[tuple[Pair, float]]:
    """Pairs of images of which one is among the nearest of the other, and their similarity, where it
    stands out from that of unrelated ones."""
    sample = view.vectors(space.key, view.sample(space.key, SAMPLE))
    identity = 1.0 if space.similarity == "cosine" else 0.0
    for start in range(0, len(ids), ASKED):
        asked = ids[start : start + ASKED]
        vectors = view.vectors(space.key, asked)
        there = ~np.isnan(vectors).any(axis=1)
        asked, vectors = asked[there], vectors[there]
        if not len(asked):
            continue
        median = np.median(similarity_matrix(vectors, sample, similarity=space.similarity), axis=1)
        near = view.search(space.key, vectors, NEIGHBOURS + 1, among=ids)
        for row, id in enumerate(asked.tolist()):
            lowest = median[row] + SHARE * (identity - median[row])
            for other, value in zip(
                near.ids[row].tolist(), near.similarities[row].tolist(), strict=True
            ):
                if other >= 0 and other != id and value >= lowest:
                    yield pair(id, other), value

"""Candidate pairs of duplicates, found without comparing every image with every other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.grouping import Pair, pair
from lookalike.stores.interface import Ids, Snapshot, Space
from lookalike.vectors.hamming import Codes, distances, near_pairs, pack
from lookalike.vectors.similarity import similarity_matrix

# Largest Hamming distance of candidates, in bits. Of 10 million pairs of unrelated photos (Corel, groceries,
# COCO) 4 have a phash within it and 10 a dhash; of re-saved, shrunk, blurred and grey copies all have both.
HASH_RADIUS = 7

# Images with one and the same code that are paired with those of a similar code; pairing all of them would
# be quadratic in the number of blank pages.
MAX_PER_CODE = 4

# Closest pairs that each image contributes: thousands of blank pages all resemble each other.
MAX_PAIRS_PER_IMAGE = 24

# Pairs that are buffered before they are reduced to the closest ones.
PAIR_BUFFER = 4_000_000

# Nearest neighbours of each image that become candidates, in a space that recognises crops and frames.
NEIGHBOURS = 4

# Position between the median similarity of unrelated images (0) and identity (1) that a neighbour must reach.
# All cropped, framed or tilted copies have a cosine above .84 in the color space, where the median is about
# .45.
MIN_POSITION = 0.65

SAMPLE_SIZE = 256
# Vectors read, and queries run, at a time.
READ_BLOCK = 65_536
QUERY_BATCH = 512

Grid: TypeAlias = NDArray[np.floating]
Bits: TypeAlias = NDArray[np.uint8]


def oriented_phashes(signs: Grid) -> list[Grid]:
    """Return the phashes (n, 64) of the images in all eight orientations, estimated from the hash alone.

    Mirroring changes the sign of every odd frequency; a rotation by 90° also swaps the two directions.
    Bits say "above the median", not "positive", so on average 4 of 64 are wrong.
    """
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


def oriented_dhashes(signs: Grid) -> list[Grid]:
    """Return the dhashes (n, 64) of the images upright, mirrored, upside down and rotated by 180°.

    The dhash of an image rotated by 90° cannot be derived from the hash.
    """
    grid = signs.reshape(-1, 8, 8)
    ways = (grid, -grid[:, :, ::-1], grid[:, ::-1], -grid[:, ::-1, ::-1])
    return [way.reshape(-1, 64) for way in ways]


ORIENTED: dict[str, Callable[[Grid], list[Grid]]] = {
    "phash": oriented_phashes,
    "dhash": oriented_dhashes,
}


class Hashes:
    """The hashes of one extractor for all images, packed into 8 bytes per image and orientation."""

    def __init__(self, snapshot: Snapshot, space: Space, ids: Ids) -> None:
        oriented = ORIENTED[space.name]
        found: list[list[Codes]] = []
        kept: list[Ids] = []
        for start in range(0, len(ids), READ_BLOCK):
            vectors = snapshot.vectors(space.key, ids[start : start + READ_BLOCK])
            present = pack(vectors)[1]
            found.append([pack(way)[0] for way in oriented(vectors[present])])
            kept.append(ids[start : start + READ_BLOCK][present])
        self.name = space.name
        self.ids = np.concatenate(kept) if kept else ids[:0]
        ways = list(zip(*found, strict=True))
        self.codes: list[Codes] = [np.concatenate(way) for way in ways]

    def distances(self, pairs: Sequence[Pair]) -> NDArray[np.uint8]:
        """Return the Hamming distance of each pair in the orientation where it is smallest.

        The distance is 64 (all bits) where one of the images has no hash.
        """
        at = np.array(pairs, np.int64).reshape(-1, 2)
        if not len(self.ids):
            return np.full(len(at), 64, np.uint8)
        order = np.argsort(self.ids)
        positions = order[np.searchsorted(self.ids[order], at).clip(0, len(self.ids) - 1)]
        present = (self.ids[positions] == at).all(axis=1)
        one, other = self.codes[0][positions[:, 0]], positions[:, 1]
        nearest = np.min([distances(one, way[other]) for way in self.codes], axis=0)
        return np.where(present, nearest, 64).astype(np.uint8)

    def pairs(self) -> Iterator[tuple[Ids, Ids, Bits]]:
        """Yield id arrays of image pairs with similar hashes in some orientation, and their distances.

        A pair may come more than once.
        """
        if not len(self.ids):
            return
        upright, counts = np.unique(self.codes[0], return_counts=True)
        order = np.argsort(self.codes[0], kind="stable")
        ends = np.cumsum(counts)
        # Images with the same code: each is paired with the next one, and with the first.
        repeated = np.flatnonzero(np.diff(self.codes[0][order]) == 0)
        start = np.repeat(ends - counts, counts)
        zero = np.zeros(len(repeated), np.uint8)
        yield self.ids[order[repeated]], self.ids[order[repeated + 1]], zero
        yield self.ids[order[start[repeated]]], self.ids[order[repeated + 1]], zero
        for way in self.codes:
            oriented, back = np.unique(way, return_index=True)
            for one, other in near_pairs(oriented, upright, HASH_RADIUS):
                bits = distances(oriented[one], upright[other])
                source = np.searchsorted(upright, self.codes[0][back[one]])
                for number in range(MAX_PER_CODE):
                    ours, theirs = number < counts[source], number < counts[other]
                    both = ours & theirs
                    a = order[(ends - counts)[source[both]] + number]
                    b = order[(ends - counts)[other[both]] + number]
                    unlike = a != b
                    yield self.ids[a[unlike]], self.ids[b[unlike]], bits[both][unlike]


def nearest_pairs(found: Iterable[tuple[Ids, Ids, Bits]]) -> list[Pair]:
    """Return each pair once, in ascending order; of an image with very many pairs, the closest ones."""
    keys, bits = np.empty(0, np.int64), np.empty(0, np.uint8)
    buffer: list[tuple[Ids, Bits]] = []
    size = 0
    for one, other, differing in found:
        buffer.append(((np.minimum(one, other) << 32) | np.maximum(one, other), differing))
        size += len(one)
        if size > PAIR_BUFFER:
            keys, bits = _keep_closest([(keys, bits), *buffer])
            buffer, size = [], 0
    keys, _ = _keep_closest([(keys, bits), *buffer])
    ends = np.column_stack([keys >> 32, keys & 0xFFFFFFFF])
    return [(one, other) for one, other in ends.tolist()]


def _keep_closest(parts: Sequence[tuple[Ids, Bits]]) -> tuple[Ids, Bits]:
    """Drop repeated pairs, and pairs that are among the closest of neither of their images."""
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
        kept[order[place < MAX_PAIRS_PER_IMAGE]] = True
    return keys[kept], bits[kept]


def neighbours(snapshot: Snapshot, space: Space, ids: Ids) -> Iterator[tuple[Pair, float]]:
    """Yield pairs where one image is among the nearest neighbours of the other, and their similarity.

    Only neighbours that stand out from unrelated images are returned.
    """
    sample = snapshot.vectors(space.key, snapshot.sample(space.key, SAMPLE_SIZE))
    identity = 1.0 if space.similarity == "cosine" else 0.0
    for start in range(0, len(ids), QUERY_BATCH):
        queries = ids[start : start + QUERY_BATCH]
        vectors = snapshot.vectors(space.key, queries)
        present = ~np.isnan(vectors).any(axis=1)
        queries, vectors = queries[present], vectors[present]
        if not len(queries):
            continue
        median = np.median(similarity_matrix(vectors, sample, similarity=space.similarity), axis=1)
        near = snapshot.search(space.key, vectors, NEIGHBOURS + 1, among=ids)
        for row, id in enumerate(queries.tolist()):
            lowest = median[row] + MIN_POSITION * (identity - median[row])
            for other, value in zip(
                near.ids[row].tolist(), near.similarities[row].tolist(), strict=True
            ):
                if other >= 0 and other != id and value >= lowest:
                    yield pair(id, other), value

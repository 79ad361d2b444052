"""Codes of 64 bits: their Hamming distance, and all pairs of a million codes that differ in few bits.

No pair is compared that cannot be near: two codes that differ in at most r of 64 bits differ in at
most r // 4 bits of at least one of four bands of 16 bits, so that only codes that agree in a band,
but for so many bits, are looked at (multi-index hashing: Norouzi, Punjani and Fleet, Fast Search in
Hamming Space with Multi-Index Hashing, CVPR 2012). Where pictures of one kind crowd a bucket (blank
pages, skies), the bucket is split by the other bands in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.uint64]
Rows: TypeAlias = NDArray[np.int64]

BITS = 64
BAND = 16
BANDS = BITS // BAND
VALUES = 1 << BAND

CROWDED = 2048
"""A bucket of more codes is split by the other bands: that costs some 400 looks a code."""

AT_A_TIME = 1 << 21
"""Pairs that are looked at together: 50 MB of temporary arrays."""


def pack(signs: NDArray[np.floating]) -> tuple[Codes, NDArray[np.bool_]]:
    """Hashes as vectors (n, 64) → codes (n,), a set bit for every positive number, and which rows are
    hashes at all: not those of zeros (a flat picture) or NaN.

    Neighbouring numbers go to different bands, because neighbouring bits of a picture's hash agree
    more often than chance.
    """
    order = np.arange(BITS).reshape(-1, BANDS).T.ravel()
    bits = np.packbits(signs[:, order] > 0, axis=1)
    there: NDArray[np.bool_] = np.nan_to_num(signs).any(axis=1)
    return np.ascontiguousarray(bits).view(np.uint64).ravel(), there


def distances(a: Codes, b: Codes) -> NDArray[np.uint8]:
    """In how many bits codes differ, pair by pair (arrays are broadcast)."""
    return np.asarray(np.bitwise_count(a ^ b), np.uint8)


def near_pairs(queries: Codes, codes: Codes, radius: int) -> Iterator[tuple[Rows, Rows]]:
    """Every pair (row of `queries`, row of `codes`) that differs in at most `radius` bits, exactly
    once, in pieces. Repeated codes are taken as they are: give different ones."""
    if not 0 <= radius < BITS // 4:
        raise ValueError(f"a radius of {radius} bits is not near: at most {BITS // 4 - 1}")
    everything = np.arange(len(queries)), np.arange(len(codes))
    yield from _joined(queries, codes, *everything, tuple(range(BANDS)), radius)


def _joined(
    queries: Codes, codes: Codes, ours: Rows, theirs: Rows, bands: Sequence[int], radius: int
) -> Iterator[tuple[Rows, Rows]]:
    """The pairs among these rows that differ in at most `radius` bits of these bands."""
    mask = _mask(bands)
    if len(bands) == 1 or len(ours) * len(theirs) <= AT_A_TIME:
        for start in range(0, len(ours), max(1, AT_A_TIME // max(1, len(theirs)))):
            part = ours[start : start + max(1, AT_A_TIME // max(1, len(theirs)))]
            near = distances(queries[part][:, None] & mask, codes[theirs] & mask) <= radius
            at, other = np.nonzero(near)
            yield part[at], theirs[other]
        return
    flips = radius // len(bands)
    for number, band in enumerate(bands):
        earlier, rest = bands[:number], [other for other in bands if other != band]
        keys = _band(codes[theirs], band)
        order = np.argsort(keys, kind="stable")
        sorted_ = theirs[order]
        starts = np.searchsorted(keys[order], np.arange(VALUES + 1))
        asked = _band(queries[ours], band)
        # In the order of the buckets, so that neighbouring rows read the same memory.
        in_order = np.argsort(asked, kind="stable")
        rows, asked = ours[in_order], asked[in_order]
        for flipped in _flips(flips):
            wanted = asked ^ flipped
            first, last = starts[wanted], starts[wanted + 1]
            crowded = last - first > CROWDED
            pairs = _expanded(rows[~crowded], first[~crowded], last[~crowded], sorted_)
            left = radius - int(flipped).bit_count()
            for bucket in np.unique(wanted[crowded]):
                inside = sorted_[starts[bucket] : starts[bucket + 1]]
                for one, two in _joined(queries, codes, rows[wanted == bucket], inside, rest, left):
                    yield _first_time(queries, codes, one, two, earlier, flips)
            for one, two in pairs:
                near = distances(queries[one] & mask, codes[two] & mask) <= radius
                yield _first_time(queries, codes, one[near], two[near], earlier, flips)


def _expanded(rows: Rows, first: Rows, last: Rows, members: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Each row with all members from its first to its last, some millions at a time."""
    counts = last - first
    ends = np.cumsum(counts)
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + AT_A_TIME, side="right")))
        part = counts[start:stop]
        total = int(part.sum())
        if total:
            offsets = np.arange(total) - np.repeat(ends[start:stop] - part - before, part)
            yield (
                np.repeat(rows[start:stop], part),
                members[np.repeat(first[start:stop], part) + offsets],
            )
        start = stop


def _first_time(
    queries: Codes, codes: Codes, one: Rows, two: Rows, earlier: Sequence[int], flips: int
) -> tuple[Rows, Rows]:
    """Without the pairs that an earlier band has found."""
    fresh = np.ones(len(one), bool)
    for band in earlier:
        fresh &= np.bitwise_count(_band(queries[one] ^ codes[two], band)) > flips
    return one[fresh], two[fresh]


def _band(codes: Codes, band: int) -> Rows:
    return ((codes >> np.uint64(band * BAND)) & np.uint64(VALUES - 1)).astype(np.int64)


def _mask(bands: Sequence[int]) -> np.uint64:
    return np.uint64(sum((VALUES - 1) << (band * BAND) for band in bands))


@cache
def _flips(most: int) -> tuple[int, ...]:
    """All ways to change at most so many bits of a band, the fewest first."""
    return tuple(
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in combinations(range(BAND), count)
    )

"""Hamming distance of 64-bit codes, and all pairs of a million codes that differ in few bits.

Two codes that differ in at most r of 64 bits differ in at most r // 4 bits of at least one of four bands
of 16 bits. So only codes that agree in a band up to so many bits are compared (multi-index hashing:
Norouzi, Punjani and Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012). Buckets
that are too large (blank pages, skies) are split by the other bands in the same way.
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

# Larger buckets are split by the other bands, which costs some 400 lookups per code.
MAX_BUCKET = 2048

# Pairs that are compared at a time: 50 MB of temporary arrays.
BLOCK_PAIRS = 1 << 21


def pack(signs: NDArray[np.floating]) -> tuple[Codes, NDArray[np.bool_]]:
    """Pack hashes given as vectors (n, 64) into codes (n,), with a bit set for every positive number.

    Also return which rows (n,) are hashes: not those of zeros (a flat image) or NaN. Neighbouring numbers
    go to different bands, because neighbouring bits of an image hash are correlated.
    """
    order = np.arange(BITS).reshape(-1, BANDS).T.ravel()
    bits = np.packbits(signs[:, order] > 0, axis=1)
    there: NDArray[np.bool_] = np.nan_to_num(signs).any(axis=1)
    return np.ascontiguousarray(bits).view(np.uint64).ravel(), there


def distances(a: Codes, b: Codes) -> NDArray[np.uint8]:
    """Return the number of bits in which codes differ (arrays are broadcast)."""
    return np.asarray(np.bitwise_count(a ^ b), np.uint8)


def near_pairs(queries: Codes, codes: Codes, radius: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield every pair (row of `queries`, row of `codes`) that differs in at most `radius` bits, exactly
    once, in blocks. Codes should be distinct: copies of a code make as many pairs."""
    if not 0 <= radius < BITS // 4:
        raise ValueError(f"the radius is {radius} bits, the largest is {BITS // 4 - 1}")
    everything = np.arange(len(queries)), np.arange(len(codes))
    yield from _near_pairs(queries, codes, *everything, tuple(range(BANDS)), radius)


def _near_pairs(
    queries: Codes,
    codes: Codes,
    query_rows: Rows,
    code_rows: Rows,
    bands: Sequence[int],
    radius: int,
) -> Iterator[tuple[Rows, Rows]]:
    """Yield the pairs among these rows that differ in at most `radius` bits of these bands."""
    mask = _mask(bands)
    if len(bands) == 1 or len(query_rows) * len(code_rows) <= BLOCK_PAIRS:
        for start in range(0, len(query_rows), max(1, BLOCK_PAIRS // max(1, len(code_rows)))):
            part = query_rows[start : start + max(1, BLOCK_PAIRS // max(1, len(code_rows)))]
            near = distances(queries[part][:, None] & mask, codes[code_rows] & mask) <= radius
            at, other = np.nonzero(near)
            yield part[at], code_rows[other]
        return
    flips = radius // len(bands)
    for number, band in enumerate(bands):
        earlier, rest = bands[:number], [other for other in bands if other != band]
        keys = _band(codes[code_rows], band)
        order = np.argsort(keys, kind="stable")
        members = code_rows[order]
        starts = np.searchsorted(keys[order], np.arange(VALUES + 1))
        query_keys = _band(queries[query_rows], band)
        # In the order of the buckets, so that neighbouring rows read the same memory.
        in_order = np.argsort(query_keys, kind="stable")
        rows, query_keys = query_rows[in_order], query_keys[in_order]
        for flipped in _flips(flips):
            wanted = query_keys ^ flipped
            first, last = starts[wanted], starts[wanted + 1]
            oversized = last - first > MAX_BUCKET
            pairs = _bucket_pairs(rows[~oversized], first[~oversized], last[~oversized], members)
            left = radius - int(flipped).bit_count()
            for bucket in np.unique(wanted[oversized]):
                bucket_rows = members[starts[bucket] : starts[bucket + 1]]
                for one, two in _near_pairs(
                    queries, codes, rows[wanted == bucket], bucket_rows, rest, left
                ):
                    yield _not_found_before(queries, codes, one, two, earlier, flips)
            for one, two in pairs:
                near = distances(queries[one] & mask, codes[two] & mask) <= radius
                yield _not_found_before(queries, codes, one[near], two[near], earlier, flips)


def _bucket_pairs(
    rows: Rows, first: Rows, last: Rows, members: Rows
) -> Iterator[tuple[Rows, Rows]]:
    """Yield each row with all members from its first to its last, in blocks."""
    counts = last - first
    ends = np.cumsum(counts)
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK_PAIRS, side="right")))
        part = counts[start:stop]
        total = int(part.sum())
        if total:
            offsets = np.arange(total) - np.repeat(ends[start:stop] - part - before, part)
            yield (
                np.repeat(rows[start:stop], part),
                members[np.repeat(first[start:stop], part) + offsets],
            )
        start = stop


def _not_found_before(
    queries: Codes, codes: Codes, one: Rows, two: Rows, earlier: Sequence[int], flips: int
) -> tuple[Rows, Rows]:
    """Remove the pairs that an earlier band has found."""
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
    """Return all bit patterns of a band with at most so many bits set, the fewest first."""
    return tuple(
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in combinations(range(BAND), count)
    )

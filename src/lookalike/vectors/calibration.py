"""What a similarity means in this library: judged against pictures that have nothing to do with it.

A cosine of 0.8 is a find among photos of everything and nothing at all among photos of one sky. So a
similarity is compared with the similarities of the same query to a sample of the library, most of
which is unrelated to it:

    height     how far it stands out: the number of times that the distance to identity (1 minus the
               cosine) shrinks on the way from the median to the 84 % quantile, continued. In
               logarithms, so that a space whose strangers are all very similar has as much room as
               one whose strangers are not
    by chance  how many unrelated pictures of the whole library are expected to be as similar: every
               step of height leaves one in FALL of them
    beyond     how far it lies between the 99 % quantile (0) and identity (1); at least three pictures
               lie above that quantile, because the query itself and copies of it may be in the sample
    share      how far it lies between the median (0) and identity (1)

Only the median and the 84 % quantile say how high a hit stands: a tail fitted further out would be
fitted to the very relatives that are looked for, which on corel1k are a tenth of the library. How fast
the tail falls was read off the groceries; docs/searching.md reports what the bands are worth there and on
libraries that took no part in it (benchmarks/relevance.py).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors import RELEVANCES as RELEVANCES
from lookalike.vectors import Relevance as Relevance
from lookalike.vectors import Similarity
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import similarity_matrix

FEWEST = 30
"""Pictures without which there is no background to judge against."""

NEAR_COPY_BEYOND, NEAR_COPY_SHARE = 0.85, 0.999
"""Chosen on corel1k and groceries. By the share alone, histograms of different pictures reach 0.996, and
copies in shape only 0.84. The share is for exact copies where so many of them are in the library that
they are its 99 % quantile.
"""
UPPER = 0.1587
"""Part of the background above its 84 % quantile, at height 1."""

FALL = 3.5
"""By how much every further step of height thins the unrelated pictures: the smaller, the more cautious. Set
with the built-in network on groceries and drawings, whose fine kinds are each other's nearest strangers."""

STRONG, PLAUSIBLE = 0.05, 1.0
"""Unrelated pictures that are as similar by chance, at most: one question in twenty meets one such hit,
or every question meets one."""

FEWEST_COMPARED = 1000
"""For "strong" a smaller library is judged as if it had so many: it has fewer strangers, but fewer relatives
too, and the word should be worth as much there."""

SPARED = 3
"""Pictures of the sample that may be the query itself or its copies."""

SMALLEST_SPREAD = 1e-6
"""Where all the sample is equally similar (one-coloured pictures) everything above it stands out."""


@dataclass(frozen=True, slots=True)
class Background:
    """The similarities of one query to a sample of the library, as three quantiles.

    identity  the similarity of a vector to itself: 1 for the cosine, 0 for minus the distance
    count     how many pictures the library has
    """

    median: float
    upper: float
    highest: float
    identity: float
    count: int

    @classmethod
    def of(
        cls, query: Floats, sample: Floats, *, similarity: Similarity, count: int
    ) -> Background | None:
        """The background of a query (n, dim) (of several vectors the best counts) in a sample
        (m, dim) of `count` pictures; None if the sample is too small. Minus the distance is squared
        first, which for unit vectors puts it on the scale of the cosine: |a - b|² = 2 - 2 cos."""
        found = similarity_matrix(query, sample, similarity=similarity)
        return cls.of_each(found, np.zeros(1, np.int64), similarity=similarity, count=count)[0]

    @classmethod
    def of_each(
        cls, found: Floats, starts: NDArray[np.int64], *, similarity: Similarity, count: int
    ) -> Sequence[Background | None]:
        """The same for many queries, from their similarities (n, m) to the sample; a query is a run of
        rows from one of `starts` on."""
        if found.shape[1] < FEWEST:
            return [None] * len(starts)
        found = np.maximum.reduceat(found, starts, axis=0)
        if similarity == "euclidean":
            found = -np.square(found)
        rising = np.sort(found, axis=1)  # in a tenth of the time of np.quantile
        last = found.shape[1] - 1
        quantiles = np.stack(
            [
                _quantile(rising, 0.5),
                _quantile(rising, 0.8413),
                rising[:, min(int(0.99 * last), last - SPARED)],
            ],
            axis=1,
        )
        identity = 1.0 if similarity == "cosine" else 0.0
        return [
            cls(middle, upper, highest, identity, count)
            for middle, upper, highest in quantiles.tolist()
        ]

    def judge(self, similarity: float, kind: Similarity) -> Relevance:
        """The band of one similarity."""
        return RELEVANCES[bisect_right(self.bars(kind), similarity)]

    def bars(self, kind: Similarity) -> tuple[float, float, float]:
        """The similarities from which on a hit is plausible, strong, a near-copy; rising."""
        copy = min(
            low + bar * max(self.identity - low, SMALLEST_SPREAD)
            for low, bar in ((self.highest, NEAR_COPY_BEYOND), (self.median, NEAR_COPY_SHARE))
        )
        strong = self.at_chance(STRONG / max(1.0, FEWEST_COMPARED / self.count))
        plausible = self.at_chance(PLAUSIBLE)
        if kind == "euclidean":
            copy, strong, plausible = map(_distance, (copy, strong, plausible))
        return min(plausible, copy), min(strong, copy), copy

    def at_chance(self, chance: float) -> float:
        """The cosine, or minus squared distance, that so many unrelated pictures of the library are
        expected to reach: where UPPER · count · FALL^(1 - height) falls to it; infinity where that is
        so near to identity that float32 could not tell."""
        whole = max(self.identity - self.median, SMALLEST_SPREAD)
        step = math.log(whole / max(self.identity - self.upper, SMALLEST_SPREAD * whole))
        height = 1 + math.log(UPPER * self.count / chance) / math.log(FALL)
        left = math.exp(-height * max(step, SMALLEST_SPREAD))
        return self.identity - whole * left if left >= SMALLEST_SPREAD else math.inf


def _quantile(rising: Floats, share: float) -> Floats:
    """Of each row (n, m), the value below which so much of it lies; between two neighbours, on the line."""
    place = share * (rising.shape[1] - 1)
    low, high = rising[:, math.floor(place)], rising[:, math.ceil(place)]
    return low + np.float32(place % 1) * (high - low)


def _distance(value: float) -> float:
    """Minus the distance of a minus squared one; what lies beyond identity is never reached."""
    return -math.sqrt(-value) if value <= 0 else math.inf

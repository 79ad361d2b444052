"""What a similarity means in this library: judged against pictures that have nothing to do with it.

A cosine of 0.8 is a find among photos of everything and nothing at all among photos of one sky. So a
similarity is compared with the similarities of the same query to a sample of the library, most of
which is unrelated to it:

    share   how far it lies between their median (0) and identity (1)
    height  the same distance in units of the upper half of their spread (84 % quantile - median)
    beyond  how far it lies between their 99 % quantile (0) and identity (1); at least three pictures
            lie above that quantile, because the query itself and copies of it may be in the sample

The bands were set on photos of ten scenes (corel1k) and 81 kinds of groceries, and on no third set.
"Strong" is right for 93 to 100 % of the hits on the first and for 48 to 86 % on the second, by
extractor; docs/searching.md has the table (benchmarks/relevance.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.exact import Floats
from lookalike.vectors.similarity import Similarity, similarity_matrix

Relevance: TypeAlias = Literal["near-copy", "strong", "plausible", "weak"]
RELEVANCES: tuple[Relevance, ...] = ("weak", "plausible", "strong", "near-copy")
"""From the lowest band to the highest."""

FEWEST = 30
"""Pictures without which there is no background to judge against."""

NEAR_COPY_BEYOND, NEAR_COPY_SHARE = 0.85, 0.999
"""Chosen on the two sets on which docs/searching.md reports them, so the rates there flatter a little:
87 to 100 % of the pictures saved again are near-copies, and at most 0.11 of 1,000 others. By the share
alone, histograms of different pictures reach 0.996, and copies in shape only 0.84. The share is for
exact copies where so many of them are in the library that they are its 99 % quantile.
"""
STRONG_HEIGHT, STRONG_SHARE, STRONG_BEYOND = 3.0, 0.5, 0.5
PLAUSIBLE_HEIGHT, PLAUSIBLE_SHARE = 2.0, 0.3

SPARED = 3
"""Pictures of the sample that may be the query itself or its copies."""

SMALLEST_SPREAD = 1e-6
"""Where all the sample is equally similar (one-coloured pictures) everything above it stands out."""


@dataclass(frozen=True, slots=True)
class Background:
    """The similarities of one query to a sample of the library, as three quantiles.

    identity  the similarity of a vector to itself: 1 for the cosine, 0 for minus the distance
    """

    median: float
    upper: float
    highest: float
    identity: float

    @classmethod
    def of(cls, query: Floats, sample: Floats, *, similarity: Similarity) -> Background | None:
        """The background of a query (n, dim) (of several vectors the best counts) in a sample
        (m, dim); None if the sample is too small. Minus the distance is squared first, which for
        unit vectors puts it on the scale of the cosine: |a - b|² = 2 - 2 cos."""
        found = similarity_matrix(query, sample, similarity=similarity)
        return cls.of_each(found, np.zeros(1, np.int64), similarity=similarity)[0]

    @classmethod
    def of_each(
        cls, found: Floats, starts: NDArray[np.int64], *, similarity: Similarity
    ) -> Sequence[Background | None]:
        """The same for many queries, from their similarities (n, m) to the sample; a query is a run of
        rows from one of `starts` on."""
        if found.shape[1] < FEWEST:
            return [None] * len(starts)
        found = np.maximum.reduceat(found, starts, axis=0)
        if similarity == "euclidean":
            found = -np.square(found)
        count = found.shape[1]
        place = min(int(0.99 * (count - 1)), count - 1 - SPARED)
        highest = np.partition(found, place, axis=1)[:, place].tolist()
        middle = np.quantile(found, (0.5, 0.8413), axis=1).T.tolist()
        identity = 1.0 if similarity == "cosine" else 0.0
        return [
            cls(m, upper, top, identity) for (m, upper), top in zip(middle, highest, strict=True)
        ]

    def judge(self, similarity: float, kind: Similarity) -> Relevance:
        """The band of one similarity."""
        value = similarity if kind == "cosine" else -similarity * similarity
        share = part(value, self.median, self.identity)
        beyond = part(value, self.highest, self.identity)
        if beyond >= NEAR_COPY_BEYOND or share >= NEAR_COPY_SHARE:
            return "near-copy"
        height = (value - self.median) / max(self.upper - self.median, SMALLEST_SPREAD)
        if (height >= STRONG_HEIGHT and share >= STRONG_SHARE) or beyond >= STRONG_BEYOND:
            return "strong"
        if height >= PLAUSIBLE_HEIGHT and share >= PLAUSIBLE_SHARE:
            return "plausible"
        return "weak"

    def near_copy(self, kind: Similarity) -> float:
        """The similarity from which on `judge` says so."""
        value = min(
            low + bar * max(self.identity - low, SMALLEST_SPREAD)
            for low, bar in ((self.highest, NEAR_COPY_BEYOND), (self.median, NEAR_COPY_SHARE))
        )
        return value if kind == "cosine" else -((-min(value, 0.0)) ** 0.5)


def part(value: float, zero: float, one: float) -> float:
    """Where a value lies on the way from `zero` to `one`."""
    return (value - zero) / max(one - zero, SMALLEST_SPREAD)

"""What a similarity means in this library: judged against pictures that have nothing to do with it.

A cosine of 0.8 is a find among photos of everything and nothing at all among photos of one sky. So a
similarity is compared with the similarities of the same query to a sample of the library, most of
which is unrelated to it:

    share   how far it lies between their median (0) and identity (1)
    height  the same distance in units of the upper half of their spread (84 % quantile - median)
    beyond  how far it lies between their 99 % quantile (0) and identity (1)

The bands were set on labelled photos of ten scenes (corel1k) with five extractors and hold on 81
kinds of groceries; docs/benchmarks.md has the precision in each band.
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

NEAR_COPY_SHARE = 0.97
STRONG_HEIGHT, STRONG_SHARE, STRONG_BEYOND = 3.0, 0.5, 0.5
PLAUSIBLE_HEIGHT, PLAUSIBLE_SHARE = 2.0, 0.3

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
        quantiles = np.quantile(found, (0.5, 0.8413, 0.99), axis=1).T.tolist()
        identity = 1.0 if similarity == "cosine" else 0.0
        return [cls(median, upper, highest, identity) for median, upper, highest in quantiles]

    def judge(self, similarity: float, kind: Similarity) -> Relevance:
        """The band of one similarity."""
        value = similarity if kind == "cosine" else -similarity * similarity
        share = part(value, self.median, self.identity)
        if share >= NEAR_COPY_SHARE:
            return "near-copy"
        height = (value - self.median) / max(self.upper - self.median, SMALLEST_SPREAD)
        beyond = part(value, self.highest, self.identity)
        if (height >= STRONG_HEIGHT and share >= STRONG_SHARE) or beyond >= STRONG_BEYOND:
            return "strong"
        if height >= PLAUSIBLE_HEIGHT and share >= PLAUSIBLE_SHARE:
            return "plausible"
        return "weak"

    def near_copy(self, kind: Similarity) -> float:
        """The similarity from which on `judge` says so."""
        way = max(self.identity - self.median, SMALLEST_SPREAD)
        value = self.median + NEAR_COPY_SHARE * way
        return value if kind == "cosine" else -((-min(value, 0.0)) ** 0.5)


def part(value: float, zero: float, one: float) -> float:
    """Where a value lies on the way from `zero` to `one`."""
    return (value - zero) / max(one - zero, SMALLEST_SPREAD)

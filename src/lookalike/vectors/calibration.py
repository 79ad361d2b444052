"""Calibration of similarities: how remarkable it is that two images are so similar.

A cosine of 0.8 is remarkable among photos of everything and means nothing among photos of one sky. So
a similarity is compared with three distributions, and the most cautious of them decides:

    the query's background   the similarities of the query to a sample of the library, most of which is
                             unrelated to it
    the hit's background     the same for the hit. An unusual query is about as far from everything, so that
                             chance alone makes something stand out; to the hit, its neighbours in the library
                             are closer than such a query
    unrelated images         similarities of images of different kinds, in this extractor (`Unrelated`): a hit
                             must also be alike in itself. Measured when an extractor is made, and shipped;
                             extractors without it are judged by the two backgrounds alone, and so are
                             near-copies
    reference images         images of many kinds, in color and grey, whose vectors are shipped for some
                             extractors: a grey scan has the colors of every grey photo. What is no more alike
                             than the second nearest of them (the nearest may be related) is not strong, and
                             near-copies are judged as if it were in the library

Each gives the number of unrelated images that are expected to be as similar by chance. In all three, the
probability falls by a constant factor whenever the distance to identity (1 minus the cosine) does:

    height    of a similarity above a background: how often the distance to identity shrinks as much as it
              does between the median and the 84 % quantile. In logarithms, so that spaces in which unrelated
              images are all very similar have as much room as others. Every step of it leaves one unrelated
              image in DECAY
    beyond    the position between the 99 % quantile (0) and identity (1); at least three images of the
              sample are above that quantile, because the query itself and its copies may be among them
    share     the position between the median (0) and identity (1)

Only the median and the 84 % quantile determine the height: a tail fitted further out would be fitted to
the related images that are searched for, which on corel1k are a tenth of the library. The decay of the
tail was measured on groceries; docs/searching.md reports how reliable the bands are there and on
libraries that took no part in it (benchmarks/relevance.py).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors import Similarity
from lookalike.vectors.blocks import Floats

# Smallest sample that makes a background.
MIN_SAMPLE = 30

# Thresholds of "near-copy" on the scales `beyond` and `share`; one of them suffices. Chosen on corel1k and
# groceries. By `share` alone, histograms of different images reach 0.996, and copies in `shape` only 0.84.
# It is for libraries with so many exact copies that they are the 99 % quantile.
NEAR_COPY_BEYOND, NEAR_COPY_SHARE = 0.85, 0.999

# Part of the background above its 84 % quantile, at height 1.
UPPER_SHARE = 0.1587

# Factor by which every step of height thins out unrelated images: the smaller, the more cautious. Set with
# the built-in network on groceries and drawings, where the nearest unrelated images are of similar kinds.
DECAY = 3.5

# Thresholds of "strong" and "plausible": how many unrelated images are expected to be as similar, by each of
# the distributions.
STRONG_EXPECTED, PLAUSIBLE_EXPECTED = 0.1, 1.0

# For "strong", smaller libraries are treated as if they had so many images: they have fewer unrelated
# images, but fewer related ones, too, and the band should be as reliable there.
MIN_COUNT = 1000

# Images of the sample that may be the query itself or its copies.
POSSIBLE_COPIES = 3

# Rank of the reference image that counts, from the nearest on.
REFERENCE_RANK = 2

# Smallest distance that counts. Where all the sample is equally similar (one-coloured images), everything
# above it stands out.
MIN_SPREAD = 1e-6

# Probabilities for which `Unrelated` has similarities: beyond the first, the tail is a line in logarithms.
TAIL = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Similarities of images of different kinds, in the space of one extractor.

    cosines  rising: two such images are at least so similar with each probability of TAIL
    """

    cosines: tuple[float, ...]

    def reached_by(self, expected: float, comparisons: float) -> float:
        """Return the cosine that `expected` of so many comparisons with unrelated images reach by chance.

        At least the first of `cosines`.
        """
        wanted = math.log(
            max(comparisons, MIN_COUNT) / expected
        )  # minus the logarithm of the probability
        steps = [-math.log(probability) for probability in TAIL]
        left = [math.log(max(1 - cosine, MIN_SPREAD)) for cosine in self.cosines]
        last = min(max(bisect_right(steps, wanted), 1), len(steps) - 1)
        slope = (left[last] - left[last - 1]) / (steps[last] - steps[last - 1])
        return 1 - math.exp(left[last] + slope * (max(wanted, steps[0]) - steps[last]))


@dataclass(slots=True)
class Background:
    """Three quantiles of the similarities of a query to a sample of the library.

    median, upper, highest  the 50 %, 84 % and 99 % quantiles
    identity                similarity of a vector to itself: 1 for the cosine, 0 for minus the distance
    count                   number of images in the library
    reference               cosine of the nearest reference image that counts; -1 if there is none

    Minus the distance is squared (and stays negative), which for unit vectors puts it on the scale of the
    cosine: |a - b|² = 2 - 2 cos.
    """

    median: float
    upper: float
    highest: float
    identity: float
    count: int
    reference: float = -1.0

    @classmethod
    def from_similarities(
        cls,
        found: Floats,
        starts: NDArray[np.int64],
        *,
        similarity: Similarity,
        count: int,
        reference: Floats | None = None,
    ) -> Sequence[Background | None]:
        """Return the backgrounds of many queries from the similarities (n, m) of their vectors to the
        sample. The vectors of a query are the rows from one of `starts` to the next.

        reference  their cosines (n, r) to the reference images
        """
        if found.shape[1] < MIN_SAMPLE:
            return [None] * len(starts)
        if len(starts) < len(found):
            found = np.maximum.reduceat(found, starts, axis=0)
        if similarity == "euclidean":
            found = -np.square(found)
        rising = np.sort(found, axis=1)  # in a tenth of the time of np.quantile
        last = found.shape[1] - 1
        middle, upper = 0.5 * last, 0.8413 * last
        places = [int(middle), math.ceil(middle), int(upper), math.ceil(upper)]
        places.append(min(int(0.99 * last), last - POSSIBLE_COPIES))
        identity = 1.0 if similarity == "cosine" else 0.0
        nearest = np.array([-1.0] * len(starts))
        if reference is not None and reference.shape[1] >= REFERENCE_RANK:
            best = np.maximum.reduceat(reference, starts, axis=0)
            nearest = np.partition(best, -REFERENCE_RANK, axis=1)[:, -REFERENCE_RANK]
        picked = zip(rising[:, places].tolist(), nearest.tolist(), strict=True)
        return [
            cls(a + middle % 1 * (b - a), c + upper % 1 * (d - c), highest, identity, count, near)
            for (a, b, c, d, highest), near in picked
        ]

    def thresholds(
        self, kind: Similarity, unrelated: Unrelated | None = None, *, variants: int = 1
    ) -> tuple[float, float, float]:
        """Return the least similarities of the bands plausible, strong and near-copy, rising.

        unrelated  the extractor's own distribution, if it is known; not for vectors of other lengths than 1
        variants   number of vectors (regions, orientations) of which the nearest counts for each image
        """
        other = self._at(self.reference)
        beyond = _towards(self.identity, max(self.highest, other), NEAR_COPY_BEYOND)
        share = _towards(self.identity, self.median, NEAR_COPY_SHARE)
        copy = max(min(beyond, share), _towards(self.identity, other, NEAR_COPY_BEYOND))
        strong = self.reached_by(STRONG_EXPECTED / max(1.0, MIN_COUNT / self.count))
        strong = max(strong, other)
        plausible = self.reached_by(PLAUSIBLE_EXPECTED)
        if unrelated is not None:
            comparisons = self.count * variants
            strong = max(strong, self._at(unrelated.reached_by(STRONG_EXPECTED, comparisons)))
            plausible = max(
                plausible, self._at(unrelated.reached_by(PLAUSIBLE_EXPECTED, comparisons))
            )
        if kind == "euclidean":
            copy, strong, plausible = map(_distance, (copy, strong, plausible))
        return min(plausible, copy), min(strong, copy), copy

    def _at(self, cosine: float) -> float:
        """Return a cosine on the scale of this background."""
        return cosine if self.identity else 2 * cosine - 2

    def reached_by(self, expected: float) -> float:
        """Return the similarity that so many unrelated images of the library are expected to reach.

        That is the cosine, or minus squared distance, at which UPPER_SHARE · count · DECAY^(1 - height)
        equals `expected`; infinity if it is so near to identity that float32 cannot distinguish them.
        """
        room = max(self.identity - self.median, MIN_SPREAD)
        step = math.log(room / max(self.identity - self.upper, MIN_SPREAD * room))
        height = 1 + math.log(UPPER_SHARE * self.count / expected) / math.log(DECAY)
        left = math.exp(-height * max(step, MIN_SPREAD))
        return self.identity - room * left if left >= MIN_SPREAD else math.inf


def _towards(identity: float, low: float, part: float) -> float:
    """Return the similarity that is that part of the way from `low` to identity."""
    return low + part * max(identity - low, MIN_SPREAD)


def _distance(value: float) -> float:
    """Return minus the distance from minus its square; infinity for values beyond identity."""
    return -math.sqrt(-value) if value <= 0 else math.inf

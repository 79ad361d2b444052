"""Bootstrap confidence intervals, and paired significance tests of two systems. All are seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

RESAMPLES = 2000
PERMUTATIONS = 10_000
LEVEL = 0.95
# Random numbers that are held at a time.
BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its confidence interval at `LEVEL`."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two systems on the same queries.

    difference  mean of first − second, with its bootstrap interval
    p           probability of a difference at least this large if the two were exchangeable
    """

    first: str
    second: str
    metric: str
    difference: Interval
    p: float


def intervals(values: NDArray[np.float64], *, seed: int = 0) -> list[Interval]:
    """Return the means of the rows of (metrics, queries) with percentile bootstrap intervals.

    The queries are resampled with replacement `RESAMPLES` times, the same ones for every metric.
    (Efron and Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.) The interval holds for
    other queries like these; queries that share a label are less independent than it assumes.
    """
    count = values.shape[1]
    if not count:
        raise UsageError("there are no queries, so there is no mean")
    rng = np.random.default_rng(seed)
    means = np.empty((RESAMPLES, len(values)))
    for at in range(RESAMPLES):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        means[at] = values @ drawn / count
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    exact = values.mean(axis=1)
    return [Interval(*map(float, three)) for three in zip(exact, low, high, strict=True)]


def compare(
    first: tuple[str, NDArray[np.float64]],
    second: tuple[str, NDArray[np.float64]],
    metric: str,
    *,
    seed: int = 0,
) -> Comparison:
    """Compare a metric of two systems, (name, (queries,)), by the two-sided paired randomisation test."""
    (one, these), (other, those) = first, second
    difference = these - those
    return Comparison(
        one,
        other,
        metric,
        intervals(difference[None], seed=seed)[0],
        randomisation(difference, seed=seed),
    )


def randomisation(difference: NDArray[np.float64], *, seed: int = 0) -> float:
    """Return p of a mean difference.

    It is the share of permutations with at least as large a difference when the two systems swap at random,
    query by query: (1 + such cases) / (1 + permutations), so it is never 0.

    difference  (queries,) of the metric, first − second

    (Fisher's randomisation test as in Smucker, Allan, Carterette: A Comparison of Statistical
    Significance Tests for Information Retrieval Evaluation, CIKM 2007.)
    """
    count = len(difference)
    rng = np.random.default_rng(seed)
    # The margin makes the same sum in another order count as equal.
    threshold = abs(float(difference.sum())) * (1 - 1e-9)
    total = float(difference.sum())
    extreme, done = 0, 0
    height = max(1, BLOCK // max(1, count))
    while done < PERMUTATIONS:
        rows = min(height, PERMUTATIONS - done)
        swapped = rng.integers(0, 2, (rows, count), dtype=np.int8).astype(np.float32)
        sums = total - 2 * (swapped @ difference)
        extreme += int((np.abs(sums) >= threshold).sum())
        done += rows
    return (1 + extreme) / (1 + PERMUTATIONS)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for multiple tests, which bounds the family-wise error rate.

    (Holm: A simple sequentially rejective multiple test procedure, 1979.)
    """
    order = sorted(range(len(p)), key=lambda at: p[at])
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[at]))
        adjusted[at] = largest
    return adjusted

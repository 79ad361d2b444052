"""How sure a mean is: bootstrap intervals, and paired tests of two systems. All seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError

RESAMPLES = 2000
PERMUTATIONS = 10_000
LEVEL = 0.95
BLOCK = 1 << 22
"""Random numbers that are held at a time."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and between which values it lies with a confidence of `LEVEL`."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether one system is better than another on the same questions.

    difference  mean of first − second, with its bootstrap interval
    p           chance of a difference at least so large if the two were exchangeable
    """

    first: str
    second: str
    metric: str
    difference: Interval
    p: float


def intervals(
    values: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Interval]:
    """Means of the rows of (metrics, questions), with the percentile bootstrap: the questions are drawn
    again, with replacement, `resamples` times, the same ones for every metric.

    (Efron and Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.) The interval speaks of
    other questions like these; questions that share a label are less independent than it supposes.
    """
    count = values.shape[1]
    if not count:
        raise UsageError("there is no question: nothing has a mean")
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, len(values)))
    for at in range(resamples):
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
    """The metric of two systems, (name, (questions,)), by the paired randomisation test, two-sided."""
    (one, these), (other, those) = first, second
    difference = these - those
    return Comparison(
        one,
        other,
        metric,
        intervals(difference[None], seed=seed)[0],
        randomisation(difference, seed=seed),
    )


def randomisation(
    difference: NDArray[np.float64], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> float:
    """p of a mean difference: how often it is at least as large when the two systems change places at
    random, question by question; (1 + such cases) / (1 + permutations), so that it is never 0.

    difference  (questions,) of the metric, first − second

    (Fisher's randomisation test as in Smucker, Allan, Carterette: A Comparison of Statistical
    Significance Tests for Information Retrieval Evaluation, CIKM 2007.)
    """
    count = len(difference)
    rng = np.random.default_rng(seed)
    # A hair less, so that the same sum in another order counts as the same.
    bar = abs(float(difference.sum())) * (1 - 1e-9)
    total = float(difference.sum())
    extreme, done = 0, 0
    height = max(1, BLOCK // max(1, count))
    while done < permutations:
        some = min(height, permutations - done)
        changed = rng.integers(0, 2, (some, count), dtype=np.int8).astype(np.float32)
        sums = total - 2 * (changed @ difference)
        extreme += int((np.abs(sums) >= bar).sum())
        done += some
    return (1 + extreme) / (1 + permutations)


def holm(p: Sequence[float]) -> list[float]:
    """p values of several tests, adjusted so that all of them together err as rarely as one.

    (Holm: A simple sequentially rejective multiple test procedure, 1979.)
    """
    order = sorted(range(len(p)), key=lambda at: p[at])
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[at]))
        adjusted[at] = largest
    return adjusted

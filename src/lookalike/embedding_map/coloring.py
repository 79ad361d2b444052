"""What pictures of a map are coloured by: clusters of their vectors, or what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats

MOST = 12
"""Colours that can be told apart; the rest is shown in grey."""

OTHERS = "others"
ROUNDS = 50
STARTS = 3


def clusters(points: Floats, number: int, *, seed: int = 0) -> NDArray[np.int64]:
    """(n,): the cluster of each point (n, dim), the largest cluster first. k-means by Lloyd's rounds,
    the best of three starts by k-means++ (Arthur and Vassilvitskii, SODA 2007)."""
    rows = np.asarray(points, np.float64)
    chance = np.random.default_rng(seed)
    best: tuple[float, NDArray[np.int64]] | None = None
    for _ in range(STARTS):
        found = _lloyd(rows, _spread(rows, min(number, len(rows)), chance))
        if best is None or found[0] < best[0]:
            best = found
    assert best is not None
    labels = best[1]
    counts = np.bincount(labels)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.asarray(rank[labels])


def cluster_count(pictures: int) -> int:
    """How many clusters to look for: few enough to tell their colours apart."""
    return int(np.clip(round((pictures / 12) ** 0.5), 1, MOST))


def named(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Values as groups: (n,) numbers into the names, -1 where there is no value.

    The twelve most frequent values have a name, the rest are "others". Numbers of more different values
    than that are put into six ranges that hold about as many pictures each.
    """
    there = [value for value in values if value is not None and value != ""]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in there)
    if there and numbers and len(set(there)) > MOST:
        return _ranges(values)
    texts = [None if value is None or value == "" else str(value) for value in values]
    counts = Counter(text for text in texts if text is not None)
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    shown = ordered if len(ordered) <= MOST else ordered[: MOST - 1]
    names = (*shown, OTHERS) if len(ordered) > len(shown) else tuple(shown)
    number = {text: min(place, len(shown)) for place, text in enumerate(ordered)}
    groups = [-1 if text is None else number[text] for text in texts]
    return np.array(groups, np.int64), names


def _ranges(values: Sequence[Any], count: int = 6) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    known = np.array([np.nan if v is None or v == "" else float(v) for v in values])
    edges = np.unique(np.nanquantile(known, np.linspace(0, 1, count + 1)))
    groups = np.searchsorted(edges[1:-1], known, side="right")
    groups = np.where(np.isnan(known), -1, groups)
    names = tuple(f"{a:g} – {b:g}" for a, b in pairwise(edges))
    return groups.astype(np.int64), names


def _spread(
    rows: NDArray[np.float64], number: int, chance: np.random.Generator
) -> NDArray[np.float64]:
    """First centres: each drawn with the square of its distance to those before."""
    centres = [rows[int(chance.integers(len(rows)))]]
    away = ((rows - centres[0]) ** 2).sum(axis=1)
    while len(centres) < number and away.sum() > 0:
        centres.append(rows[int(chance.choice(len(rows), p=away / away.sum()))])
        away = np.minimum(away, ((rows - centres[-1]) ** 2).sum(axis=1))
    return np.array(centres)


def _lloyd(
    rows: NDArray[np.float64], centres: NDArray[np.float64]
) -> tuple[float, NDArray[np.int64]]:
    """The sum of squared distances, and the cluster of each point."""
    labels = np.zeros(len(rows), np.int64)
    squares = np.einsum("ij,ij->i", rows, rows)
    away = np.zeros((len(rows), 1))
    for turn in range(ROUNDS):
        away = squares[:, None] + (centres**2).sum(axis=1) - 2 * rows @ centres.T
        found = away.argmin(axis=1)
        if turn and (found == labels).all():
            break
        labels = found
        for number in np.unique(labels):
            centres[number] = rows[labels == number].mean(axis=0)
    return float(away[np.arange(len(rows)), labels].sum()), labels

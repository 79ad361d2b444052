"""What pictures of a map are coloured by: clusters of their vectors, or what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats
from lookalike.vectors.kmeans import kmeans

MOST = 12
"""Colours that can be told apart; the rest is shown in grey."""

OTHERS = "others"
ROUNDS = 50
STARTS = 3


def clusters(points: Floats, number: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return the cluster of each point (n, dim) by k-means, numbered from the largest cluster."""
    _, found = kmeans(points, number, iterations=ROUNDS, restarts=STARTS, seed=seed)
    _, labels, counts = np.unique(found, return_inverse=True, return_counts=True)
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

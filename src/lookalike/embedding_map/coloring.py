"""Groups that colour the images of a map: clusters of their vectors, or metadata values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats
from lookalike.vectors.kmeans import kmeans

# Distinguishable colours; the remaining groups are grey.
MAX_GROUPS = 12

OTHERS = "others"
ITERATIONS = 50
RESTARTS = 3


def cluster(points: Floats, number: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return the cluster of each point (n, dim) by k-means, numbered from the largest cluster."""
    _, found = kmeans(points, number, iterations=ITERATIONS, restarts=RESTARTS, seed=seed)
    _, labels, counts = np.unique(found, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.asarray(rank[labels])


def cluster_count(images: int) -> int:
    """Return the number of clusters for so many images: few enough for distinguishable colours."""
    return int(np.clip(round((images / 12) ** 0.5), 1, MAX_GROUPS))


def group_values(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (n,) indices of groups, -1 for no value, and the names of the groups.

    The most frequent values are groups of their own, and the rest is "others". If there are more than
    twelve different numbers, they are divided into six ranges with about equally many images.
    """
    present = [value for value in values if value is not None and value != ""]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if present and numbers and len(set(present)) > MAX_GROUPS:
        return _ranges(values)
    texts = [None if value is None or value == "" else str(value) for value in values]
    counts = Counter(text for text in texts if text is not None)
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    named = ordered if len(ordered) <= MAX_GROUPS else ordered[: MAX_GROUPS - 1]
    names = (*named, OTHERS) if len(ordered) > len(named) else tuple(named)
    number = {text: min(position, len(named)) for position, text in enumerate(ordered)}
    groups = [-1 if text is None else number[text] for text in texts]
    return np.array(groups, np.int64), names


def _ranges(values: Sequence[Any], count: int = 6) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    known = np.array([np.nan if v is None or v == "" else float(v) for v in values])
    edges = np.unique(np.nanquantile(known, np.linspace(0, 1, count + 1)))
    groups = np.searchsorted(edges[1:-1], known, side="right")
    groups = np.where(np.isnan(known), -1, groups)
    names = tuple(f"{a:g} – {b:g}" for a, b in pairwise(edges))
    return groups.astype(np.int64), names

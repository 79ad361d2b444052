"""Clusters of the images of a map, by k-means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.stores.interface import Ids
from lookalike.vectors.blocks import Floats
from lookalike.vectors.kmeans import kmeans

# Distinguishable colours; the remaining groups are grey.
MAX_GROUPS = 12

# Of k-means.
ITERATIONS, RESTARTS = 50, 3

# Images that stand for a cluster: those nearest to its centre.
TYPICAL = 3


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


def typical_images(points: Floats, clusters: NDArray[np.int64], ids: Ids) -> Ids:
    """Return (clusters, 3) the ids of the points (n, dim) nearest to the mean of each cluster, the nearest
    first; 0 where a cluster has fewer."""
    found = np.zeros((int(clusters.max()) + 1, TYPICAL), np.int64)
    rows: NDArray[Any] = np.asarray(points, np.float64)
    for number in range(len(found)):
        members = np.flatnonzero(clusters == number)
        distances = ((rows[members] - rows[members].mean(axis=0)) ** 2).sum(axis=1)
        near = members[np.argsort(distances, kind="stable")[:TYPICAL]]
        found[number, : len(near)] = ids[near]
    return found

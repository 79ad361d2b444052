"""k-means clustering with FAISS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import MissingExtra
from lookalike.vectors.blocks import Floats


def import_faiss() -> Any:
    """Return the `faiss` module. Raise `MissingExtra` if it is not installed."""
    try:
        import faiss
    except ImportError:
        raise MissingExtra("this needs FAISS: pip install faiss-cpu") from None
    return faiss


def kmeans(
    points: Floats, k: int, *, iterations: int = 20, restarts: int = 1, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cluster points (n, dim) by Lloyd's algorithm, initialised by k-means++.

    Return the centroids (m, dim) float32 and the cluster (n,) of each point. m is k, or the number of
    distinct points where there are at most k: then these are the centroids, sorted. Of several
    `restarts`, the run with the smallest sum of squared distances is returned. Deterministic.

    Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding, SODA 2007.
    """
    points = np.ascontiguousarray(points, np.float32)
    distinct, assignments = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) <= k:
        return distinct, assignments.astype(np.int64).reshape(-1)
    faiss = import_faiss()
    clustering = faiss.Kmeans(
        points.shape[1],
        k,
        niter=iterations,
        nredo=restarts,
        seed=seed + 1,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
        min_points_per_centroid=1,  # otherwise FAISS complains on stderr
        max_points_per_centroid=len(points),  # otherwise it clusters a sample
    )
    clustering.train(points)
    return np.array(clustering.centroids), np.asarray(clustering.assign(points)[1], np.int64)

"""Nearest neighbours within a set of points, and how well a map preserves them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import logical_cores
from lookalike.vectors.blocks import Floats

# Bytes of squared distances at a time, per thread.
BLOCK_BYTES = 32 << 20

NEIGHBOURS = 10

# Points whose neighbours are compared: with 2,000 of 100,000 the results are accurate to about .003.
SAMPLE_SIZE = 2000


@dataclass(frozen=True, slots=True)
class NeighbourhoodPreservation:
    """How well the nearest `neighbours` of a point are preserved on a map, 0..1.

    trustworthiness  1 if all neighbours on the map are neighbours in truth
    continuity       1 if all neighbours in truth are neighbours on the map
    overlap          share of the nearest neighbours that are the same
    sampled          number of points examined
    """

    trustworthiness: float
    continuity: float
    overlap: float
    neighbours: int
    sampled: int


def nearest_neighbours(points: Floats, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the k nearest other points of each point (n, dim) and their distances, (n, k) each.

    The nearest come first. Computed in single precision: for layouts, not for search results.
    """
    rows = np.ascontiguousarray(points - np.mean(points, axis=0), np.float32)
    squares = np.einsum("ij,ij->i", rows, rows)
    ids = np.empty((len(rows), k), np.int64)
    distances = np.empty((len(rows), k), np.float64)

    def block(start: int) -> None:
        rows_ = slice(start, min(start + step, len(rows)))
        # The square of the query itself is the same for all points: it does not change the order.
        partial = squares - 2 * (rows[rows_] @ rows.T)
        partial[np.arange(rows_.stop - start), np.arange(start, rows_.stop)] = np.inf  # itself
        near = np.argpartition(partial, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(partial, near, axis=1)
        order = np.lexsort((near, found), axis=1)
        ids[rows_] = np.take_along_axis(near, order, axis=1)
        full = np.take_along_axis(found, order, axis=1) + squares[rows_, None]
        distances[rows_] = np.sqrt(np.maximum(full, 0))

    step = max(1, BLOCK_BYTES // (4 * len(rows)))
    with ThreadPoolExecutor(logical_cores()) as pool:
        list(pool.map(block, range(0, len(rows), step)))
    return ids, distances


def measure_preservation(
    vectors: Floats,
    positions: Floats,
    *,
    neighbours: int = NEIGHBOURS,
    sample_size: int = SAMPLE_SIZE,
) -> NeighbourhoodPreservation:
    """Measure how well positions (n, 2) preserve the Euclidean neighbours of vectors (n, dim).

    For vectors of length 1 the Euclidean order is that of the cosine. Trustworthiness and continuity follow
    Venna and Kaski (Neural Networks 2006, equations 1 and 2), over all points or an evenly spaced sample.
    Fewer neighbours are used if there are too few points; the result is 1 for at most two.
    """
    count = len(vectors)
    k = min(neighbours, (count - 1) // 2)
    if k < 1:
        return NeighbourhoodPreservation(1.0, 1.0, 1.0, 0, count)
    sample = np.unique(np.linspace(0, count - 1, min(sample_size, count)).astype(np.int64))
    truth, map_ = np.asarray(vectors, np.float64), np.asarray(positions, np.float64)
    intruders = missing = same = 0.0
    for start in range(0, len(sample), 64):
        rows = sample[start : start + 64]
        true_distances, map_distances = _distances(truth, rows), _distances(map_, rows)
        true_nearest, map_nearest = _nearest(true_distances, k), _nearest(map_distances, k)
        intruders += _rank_excess(true_distances, map_nearest, k)
        missing += _rank_excess(map_distances, true_nearest, k)
        same += sum(
            len(np.intersect1d(a, b)) for a, b in zip(true_nearest, map_nearest, strict=True)
        )
    scale = 2 / (len(sample) * k * (2 * count - 3 * k - 1))
    return NeighbourhoodPreservation(
        trustworthiness=1 - scale * intruders,
        continuity=1 - scale * missing,
        overlap=same / (len(sample) * k),
        neighbours=k,
        sampled=len(sample),
    )


def _distances(points: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (rows, n) squared distances, infinite from a point to itself."""
    squares = np.einsum("ij,ij->i", points, points)
    distances = squares[rows, None] + squares - 2 * (points[rows] @ points.T)
    distances[np.arange(len(rows)), rows] = np.inf
    return np.asarray(distances)


def _nearest(distances: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    return np.argpartition(distances, k - 1, axis=1)[:, :k]


def _rank_excess(distances: NDArray[np.float64], chosen: NDArray[np.int64], k: int) -> float:
    """Return the sum by which the ranks of the chosen points exceed k."""
    values = np.take_along_axis(distances, chosen, axis=1)
    # The rank of a point is 1 plus the number of points that are nearer.
    ordered = np.sort(distances, axis=1)
    ranks = [np.searchsorted(a, v, side="left") + 1 for a, v in zip(ordered, values, strict=True)]
    return float(np.maximum(np.array(ranks) - k, 0).sum())

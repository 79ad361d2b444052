"""Nearest neighbours within one set of points, and how far a map keeps them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import logical_cores
from lookalike.vectors.blocks import Floats

BLOCK = 32 << 20
"""Bytes of squared distances at a time, for each thread."""

NEIGHBOURS = 10
ASKED = 2000
"""Points whose neighbours are looked at: with 2,000 of 100,000 the figures are sure to about .003."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How far the nearest `neighbours` of a point are kept on a map, 0..1.

    trustworthiness  near on the map, so near in truth: what one sees side by side is alike
    continuity       near in truth, so near on the map: what is alike is not torn apart
    same             the share of the nearest neighbours that are the same
    asked            how many points were looked at
    """

    trustworthiness: float
    continuity: float
    same: float
    neighbours: int
    asked: int


def nearest(points: Floats, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each point (n, dim) the k others that are nearest, and their distances: (n, k) each, nearest
    first. In single precision: for layouts, not for answers."""
    rows = np.ascontiguousarray(points - np.mean(points, axis=0), np.float32)
    squares = np.einsum("ij,ij->i", rows, rows)
    ids = np.empty((len(rows), k), np.int64)
    distances = np.empty((len(rows), k), np.float64)

    def block(start: int) -> None:
        some = slice(start, min(start + step, len(rows)))
        # Of one query its own square is the same everywhere: it does not change the order.
        away = squares - 2 * (rows[some] @ rows.T)
        away[np.arange(some.stop - start), np.arange(start, some.stop)] = np.inf  # not itself
        near = np.argpartition(away, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(away, near, axis=1)
        order = np.lexsort((near, found), axis=1)
        ids[some] = np.take_along_axis(near, order, axis=1)
        ahead = np.take_along_axis(found, order, axis=1) + squares[some, None]
        distances[some] = np.sqrt(np.maximum(ahead, 0))

    step = max(1, BLOCK // (4 * len(rows)))
    with ThreadPoolExecutor(logical_cores()) as pool:
        list(pool.map(block, range(0, len(rows), step)))
    return ids, distances


def kept(
    vectors: Floats, places: Floats, *, neighbours: int = NEIGHBOURS, asked: int = ASKED
) -> Kept:
    """How far the places (n, 2) of vectors (n, dim) keep their neighbours, by Euclidean distance (for
    vectors of length 1 that is the order of the cosine).

    Trustworthiness and continuity as Venna and Kaski define them (Neural Networks 2006, equations 1
    and 2), over all points or an evenly spread sample of them. Fewer neighbours where there are too few
    points; 1 where there are at most two.
    """
    count = len(vectors)
    k = min(neighbours, (count - 1) // 2)
    if k < 1:
        return Kept(1.0, 1.0, 1.0, 0, count)
    sample = np.unique(np.linspace(0, count - 1, min(asked, count)).astype(np.int64))
    truth, map_ = np.asarray(vectors, np.float64), np.asarray(places, np.float64)
    intruders = missing = same = 0.0
    for start in range(0, len(sample), 64):
        some = sample[start : start + 64]
        far, near = _distances(truth, some), _distances(map_, some)
        wanted, shown = _first(far, k), _first(near, k)
        intruders += _excess(far, shown, k)
        missing += _excess(near, wanted, k)
        same += sum(len(np.intersect1d(a, b)) for a, b in zip(wanted, shown, strict=True))
    scale = 2 / (len(sample) * k * (2 * count - 3 * k - 1))
    return Kept(
        trustworthiness=1 - scale * intruders,
        continuity=1 - scale * missing,
        same=same / (len(sample) * k),
        neighbours=k,
        asked=len(sample),
    )


def _distances(points: NDArray[np.float64], some: NDArray[np.int64]) -> NDArray[np.float64]:
    """(some, n) squared distances; a point is not its own neighbour."""
    squares = np.einsum("ij,ij->i", points, points)
    away = squares[some, None] + squares - 2 * (points[some] @ points.T)
    away[np.arange(len(some)), some] = np.inf
    return np.asarray(away)


def _first(distances: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    return np.argpartition(distances, k - 1, axis=1)[:, :k]


def _excess(distances: NDArray[np.float64], chosen: NDArray[np.int64], k: int) -> float:
    """How far the chosen points rank beyond the k nearest, in all."""
    values = np.take_along_axis(distances, chosen, axis=1)
    # The rank of one is the number of points that are nearer, and 1.
    ordered = np.sort(distances, axis=1)
    ranks = [np.searchsorted(a, v, side="left") + 1 for a, v in zip(ordered, values, strict=True)]
    return float(np.maximum(np.array(ranks) - k, 0).sum())

"""Lay vectors out in two dimensions, and measure how well their neighbourhoods are preserved."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import logical_cores
from lookalike.errors import MissingExtra, UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.pca import leading_axes

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
    vectors: Floats, positions: Floats, *, neighbours: int = NEIGHBOURS
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
    sample = np.unique(np.linspace(0, count - 1, min(SAMPLE_SIZE, count)).astype(np.int64))
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


Method: TypeAlias = Literal["tsne", "pca", "umap"]
Positions: TypeAlias = NDArray[np.float64]
"""(n, 2)."""

# Principal axes that are kept for finding neighbours: the rest is mostly noise, and costs time.
PCA_AXES = 50

PERPLEXITY = 30.0
# Iterations with and without exaggeration; openTSNE's defaults.
EARLY_ITERATIONS, ITERATIONS = 250, 500

# Iterations between two reports of progress: each costs an estimate of the error.
REPORT_EVERY = 25

# Number of points from which interpolation (FIt-SNE) is faster than the Barnes-Hut tree.
INTERPOLATION_FROM = 4000


def best_method() -> Method:
    """Return t-SNE if openTSNE is installed, else PCA."""
    from importlib.util import find_spec

    return "tsne" if find_spec("openTSNE") else "pca"


def lay_out(
    vectors: Floats,
    *,
    method: Method,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Positions:
    """Return positions (n, 2) of vectors (n, dim), of any scale, with mean 0.

    pca   the first two principal axes: preserves the global structure, but often separates neighbours
    tsne  preserves neighbours; distances between groups mean little (van der Maaten and Hinton, JMLR 2008;
          by openTSNE, initialised with PCA as in Kobak and Berens, Nature Communications 2019)
    umap  similar (McInnes et al., 2018)

    progress  called in this thread with the number of iterations done and of all, by t-SNE only

    Raises MissingExtra if the method's package is not installed.
    """
    if method not in get_args(Method):
        raise UsageError(f"a map is drawn by {', '.join(get_args(Method))}, not by {method!r}")
    reduced = project(vectors, min(PCA_AXES, *vectors.shape), seed=seed)
    if reduced.shape[1] < 2:
        reduced = np.pad(reduced, ((0, 0), (0, 2 - reduced.shape[1])))
    if method == "pca" or len(vectors) < 5:
        return np.asarray(reduced[:, :2])
    if method == "tsne":
        positions = _tsne(reduced, seed, progress or (lambda done, total: None))
    else:
        positions = _umap(reduced, seed)
    return np.asarray(positions - positions.mean(axis=0))


def project(vectors: Floats, count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Return vectors (n, dim) projected onto their first principal axes: (n, count)."""
    found = leading_axes(vectors, count, seed=seed)
    centred = np.asarray(vectors, np.float64) - found.mean
    return np.asarray(centred @ found.axes.T.astype(np.float64))


def _tsne(
    points: NDArray[np.float64], seed: int, progress: Callable[[int, int], None]
) -> Positions:
    openTSNE = _import("openTSNE", "map", "t-SNE", "--method pca needs nothing more")

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # Exact neighbours, so that the map does not depend on a random forest.
    ids, distances = nearest_neighbours(points, min(len(points) - 1, int(3 * perplexity)))
    affinities = openTSNE.affinity.PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=openTSNE.nearest_neighbors.PrecomputedNeighbors(ids, distances),
        random_state=seed,
    )
    start = points[:, :2] / max(float(points[:, 0].std()), 1e-12) * 1e-4
    # Equal vectors would start at the same position and never separate. The noise is too small to be visible.
    start = start + np.random.default_rng(seed).normal(0, 1e-6, start.shape)
    # One thread: on two busy cores the OpenMP threads wait for each other and take three times as long.
    embedding = openTSNE.TSNEEmbedding(
        start,
        affinities,
        negative_gradient_method="bh" if len(points) < INTERPOLATION_FROM else "fft",
        random_state=seed,
    )
    total = EARLY_ITERATIONS + ITERATIONS

    def report(iteration: int, error: float, _: Any, *, before: int = 0) -> bool:
        progress(before + iteration, total)
        return False  # do not stop

    embedding = embedding.optimize(
        n_iter=EARLY_ITERATIONS, exaggeration=12, momentum=0.5,
        callbacks=report, callbacks_every_iters=REPORT_EVERY,
    )  # fmt: skip
    embedding = embedding.optimize(
        n_iter=ITERATIONS, momentum=0.8,
        callbacks=partial(report, before=EARLY_ITERATIONS), callbacks_every_iters=REPORT_EVERY,
    )  # fmt: skip
    return np.asarray(embedding, np.float64)


def _umap(points: NDArray[np.float64], seed: int) -> Positions:
    umap = _import("umap", "umap", "UMAP", "--method tsne gives a similar map")
    neighbours = min(15, len(points) - 1)
    # One thread: with several the result changes from run to run.
    model = umap.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1, init="pca")
    return np.asarray(model.fit_transform(points.astype(np.float32)), np.float64)


def _import(module: str, extra: str, what: str, instead: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(f"{what} needs: pip install 'lookalike[{extra}]' ({instead})") from None


# Deepest level; there the map is 4,096 thumbnails wide.
MAX_LEVEL = 12


def zoom_levels(positions: Floats, max_level: int = MAX_LEVEL) -> NDArray[np.uint8]:
    """Return (n,) the zoom level from which each position (n, 2), in 0..1, can have its thumbnail shown.

    At level L the map is 2^L thumbnails wide, and the thumbnails of all positions of level L or less do not
    overlap: any two are at least 1 / 2^L apart in x or in y. Earlier positions take precedence. Those without
    room at the deepest level get `max_level` + 1.
    """
    found = np.full(len(positions), max_level + 1, np.uint8)
    points = np.asarray(positions, np.float64)
    placed: list[int] = []
    for level in range(max_level + 1):
        side = 1.0 / (1 << level)
        cells = np.floor(points / side).astype(np.int64)
        keys = cells[:, 0] * (1 << 20) + cells[:, 1]
        grid: dict[int, list[int]] = {}
        for point in placed:
            grid.setdefault(int(keys[point]), []).append(point)
        waiting = np.flatnonzero(found > level)
        # One candidate per cell is enough: two in one cell would overlap.
        free = waiting[~np.isin(keys[waiting], np.fromiter(grid, np.int64, len(grid)))]
        candidates = free[np.sort(np.unique(keys[free], return_index=True)[1])]
        for point in candidates.tolist():
            if _has_room(points, point, int(keys[point]), grid, side):
                found[point] = level
                grid[int(keys[point])] = [point]
                placed.append(point)
    return found


def _has_room(
    points: NDArray[np.float64], point: int, key: int, grid: dict[int, list[int]], side: float
) -> bool:
    x, y = points[point]
    for column in (-(1 << 20), 0, 1 << 20):
        for row in (-1, 0, 1):
            for other in grid.get(key + column + row, ()):
                if abs(points[other, 0] - x) < side and abs(points[other, 1] - y) < side:
                    return False
    return True

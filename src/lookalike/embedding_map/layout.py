"""Lays vectors out in the plane. Equal vectors and seed give equal positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.neighbourhood import nearest_neighbours
from lookalike.errors import MissingExtra, UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.pca import leading_axes

Method: TypeAlias = Literal["tsne", "pca", "umap"]
Positions: TypeAlias = NDArray[np.float64]
"""(n, 2)."""

# Principal axes that are kept for finding neighbours: the rest is mostly noise, and costs time.
PCA_AXES = 50

PERPLEXITY = 30.0
# Iterations with and without exaggeration; openTSNE's defaults.
EARLY_ITERATIONS, ITERATIONS = 250, 500

# Number of points from which interpolation (FIt-SNE) is faster than the Barnes-Hut tree.
INTERPOLATION_FROM = 4000


def best_method() -> Method:
    """Return t-SNE if openTSNE is installed, else PCA."""
    from importlib.util import find_spec

    return "tsne" if find_spec("openTSNE") else "pca"


def lay_out(vectors: Floats, *, method: Method, seed: int = 0) -> Positions:
    """Return positions (n, 2) of vectors (n, dim), of any scale, with mean 0.

    pca   the first two principal axes: preserves the global structure, but often separates neighbours
    tsne  preserves neighbours; distances between groups mean little (van der Maaten and Hinton, JMLR 2008;
          by openTSNE, initialised with PCA as in Kobak and Berens, Nature Communications 2019)
    umap  similar (McInnes et al., 2018)

    Raises MissingExtra if the method's package is not installed.
    """
    if method not in get_args(Method):
        raise UsageError(f"a map is drawn by {', '.join(get_args(Method))}, not by {method!r}")
    reduced = project(vectors, min(PCA_AXES, *vectors.shape), seed=seed)
    if reduced.shape[1] < 2:
        reduced = np.pad(reduced, ((0, 0), (0, 2 - reduced.shape[1])))
    if method == "pca" or len(vectors) < 5:
        return np.asarray(reduced[:, :2])
    methods: dict[str, Callable[[NDArray[np.float64], int], Positions]]
    methods = {"tsne": _tsne, "umap": _umap}
    positions = methods[method](reduced, seed)
    return np.asarray(positions - positions.mean(axis=0))


def project(vectors: Floats, count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Return vectors (n, dim) projected onto their first principal axes: (n, count)."""
    found = leading_axes(vectors, count, seed=seed)
    centred = np.asarray(vectors, np.float64) - found.mean
    return np.asarray(centred @ found.axes.T.astype(np.float64))


def _tsne(points: NDArray[np.float64], seed: int) -> Positions:
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
    embedding = embedding.optimize(n_iter=EARLY_ITERATIONS, exaggeration=12, momentum=0.5)
    return np.asarray(embedding.optimize(n_iter=ITERATIONS, momentum=0.8), np.float64)


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

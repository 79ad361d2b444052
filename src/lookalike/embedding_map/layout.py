"""Vectors → places in the plane. The same vectors and seed give the same places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.neighbourhood import nearest
from lookalike.errors import MissingExtra, UsageError
from lookalike.vectors.blocks import Floats
from lookalike.vectors.pca import leading_axes

Method: TypeAlias = Literal["tsne", "pca", "umap"]
Places: TypeAlias = NDArray[np.float64]
"""(n, 2)."""

REDUCED = 50
"""Principal axes that neighbours are looked for in: the rest is mostly noise, and costs time."""

PERPLEXITY = 30.0
EARLY, LATE = 250, 500
"""Rounds with and without exaggeration, as openTSNE's own defaults."""

FAST_FROM = 4000
"""Points from which on interpolation (FIt-SNE) is faster than the tree of Barnes and Hut."""


def best_method() -> Method:
    """t-SNE where openTSNE is installed, else PCA."""
    from importlib.util import find_spec

    return "tsne" if find_spec("openTSNE") else "pca"


def lay_out(vectors: Floats, *, method: Method, seed: int = 0) -> Places:
    """Places (n, 2) of vectors (n, dim), of any scale, their mean at 0.

    pca   the two principal axes: what differs most, globally; neighbours are often torn apart
    tsne  neighbours stay neighbours; distances between far groups say little (van der Maaten and Hinton,
          JMLR 2008; by openTSNE, starting from PCA as Kobak and Berens, Nature Communications 2019)
    umap  much the same by UMAP (McInnes et al., 2018)

    `MissingExtra` where the method's package is not installed.
    """
    if method not in get_args(Method):
        raise UsageError(f"a map is drawn by {', '.join(get_args(Method))}, not by {method!r}")
    reduced = principal(vectors, min(REDUCED, *vectors.shape), seed=seed)
    if reduced.shape[1] < 2:
        reduced = np.pad(reduced, ((0, 0), (0, 2 - reduced.shape[1])))
    if method == "pca" or len(vectors) < 5:
        return np.asarray(reduced[:, :2])
    ways: dict[str, Callable[[NDArray[np.float64], int], Places]] = {"tsne": _tsne, "umap": _umap}
    places = ways[method](reduced, seed)
    return np.asarray(places - places.mean(axis=0))


def principal(vectors: Floats, count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Return vectors (n, dim) projected onto their first principal axes: (n, count)."""
    found = leading_axes(vectors, count, seed=seed)
    centred = np.asarray(vectors, np.float64) - found.mean
    return np.asarray(centred @ found.axes.T.astype(np.float64))


def _tsne(points: NDArray[np.float64], seed: int) -> Places:
    openTSNE = _imported("openTSNE", "map", "t-SNE", "--method pca needs nothing more")

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # Neighbours are our own: exact, so that no random forest of trees decides the map.
    ids, distances = nearest(points, min(len(points) - 1, int(3 * perplexity)))
    affinities = openTSNE.affinity.PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=openTSNE.nearest_neighbors.PrecomputedNeighbors(ids, distances),
        random_state=seed,
    )
    start = points[:, :2] / max(float(points[:, 0].std()), 1e-12) * 1e-4
    # Equal vectors would start at the same place and never part; too little to be seen.
    start = start + np.random.default_rng(seed).normal(0, 1e-6, start.shape)
    # One thread: on two busy cores its OpenMP threads wait for each other and take three times as long.
    embedding = openTSNE.TSNEEmbedding(
        start,
        affinities,
        negative_gradient_method="bh" if len(points) < FAST_FROM else "fft",
        random_state=seed,
    )
    embedding = embedding.optimize(n_iter=EARLY, exaggeration=12, momentum=0.5)
    return np.asarray(embedding.optimize(n_iter=LATE, momentum=0.8), np.float64)


def _umap(points: NDArray[np.float64], seed: int) -> Places:
    umap = _imported("umap", "umap", "UMAP", "--method tsne draws much the same")
    neighbours = min(15, len(points) - 1)
    # One thread: with several its answer changes from run to run.
    made = umap.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1, init="pca")
    return np.asarray(made.fit_transform(points.astype(np.float32)), np.float64)


def _imported(module: str, extra: str, what: str, instead: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(f"{what} needs: pip install 'lookalike[{extra}]' ({instead})") from None

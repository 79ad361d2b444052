"""Exact similarities of a few candidates for each query: the last step of an approximate search.

Whatever proposed the candidates, the numbers are those of `top_k`, computed from the stored vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats, Positions, Rows, as_float32
from lookalike.vectors.exact import exact_similarities
from lookalike.vectors.similarity import Similarity

PARTS = 4096
"""Rows that are read at a time."""


def refine(
    matrix: Floats,
    queries: NDArray[np.float32],
    candidates: Rows,
    k: int,
    *,
    similarity: Similarity,
    normalised: bool = False,
) -> tuple[Rows, NDArray[np.float32]]:
    """The k nearest of each query's candidates.

    matrix      (n, dim) float32 or float16, as stored
    queries     (q, dim) float32, finite; under cosine not zero
    candidates  (q, c) row numbers in any order, -1 for none
    normalised  the rows have length 1 or 0, which saves computing it; never changes the answer

    Returns row numbers (q, k) int64, -1 where there are fewer, and similarities (q, k) float32, -inf
    there; best first, equal ones by rising row.
    """

    def offered(number: int) -> tuple[Rows, Floats]:
        rows = np.sort(candidates[number])
        rows = rows[(rows >= 0) & (np.diff(rows, prepend=-1) > 0)]
        return rows, matrix[rows]

    return _nearest(queries, k, offered, similarity=similarity, normalised=normalised)


def nearest_of_few(
    matrix: Floats,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None = None,
    normalised: bool = False,
) -> tuple[Rows, NDArray[np.float32]]:
    """As `top_k` of some thousand rows (all, or these, sorted), on this thread alone: BLAS would start
    others, and on a busy machine wait ten times as long for them as the work takes."""
    few = (np.arange(len(matrix)), matrix) if rows is None else (rows, matrix[rows])
    return _nearest(queries, k, lambda _: few, similarity=similarity, normalised=normalised)


def _nearest(
    queries: NDArray[np.float32],
    k: int,
    offered: Callable[[int], tuple[Rows, Floats]],
    *,
    similarity: Similarity,
    normalised: bool,
) -> tuple[Rows, NDArray[np.float32]]:
    """The k nearest of the rows that are offered to each query, by number, with what is stored there."""
    found = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    wide = queries.astype(np.float64)
    if similarity == "cosine":
        wide /= np.sqrt((wide * wide).sum(axis=1))[:, None]
    for number, query in enumerate(wide):
        rows, stored = offered(number)
        places, exact = _ranked(stored, query, k, similarity=similarity, normalised=normalised)
        found[number, : len(places)], similarities[number, : len(places)] = rows[places], exact
    return found, similarities


def _ranked(
    stored: Floats,
    query: NDArray[np.float64],
    k: int,
    *,
    similarity: Similarity,
    normalised: bool,
) -> tuple[Positions, NDArray[np.float32]]:
    """Positions of the k nearest of the stored rows, best first, and their similarities."""
    places = np.arange(len(stored))
    if len(stored) > k:
        if normalised and similarity == "cosine":
            half = stored.dtype == np.float16
            places = _hopeful_units(stored, query, k, half=half)
        else:
            places = _hopeful(stored, query, k, similarity=similarity)
        stored = stored[places]
    exact = exact_similarities(
        query[None], stored.astype(np.float64), cosine=similarity == "cosine"
    )
    order = np.argsort(-exact, kind="stable")[:k]
    return places[order], exact[order]


def _hopeful_units(stored: Floats, query: NDArray[np.float64], k: int, *, half: bool) -> Positions:
    """As `_hopeful` under cosine, of rows of length 1 or 0."""
    narrow = query.astype(np.float32)
    scores = np.empty(len(stored), np.float32)
    for start in range(0, len(stored), PARTS):
        rows = as_float32(stored[start : start + PARTS])
        # A row at a time: one product for all would start BLAS's threads.
        scores[start : start + PARTS] = np.matmul(rows[:, None, :], narrow[:, None])[:, 0, 0]
    # Unit vectors that were rounded when they were stored are a little longer or shorter.
    slack = (len(query) / 8 + 16) * 2.0**-23 + (5e-4 if half else 1e-6)
    bar = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= bar - 2 * np.float32(slack))


def _hopeful(
    stored: Floats, query: NDArray[np.float64], k: int, *, similarity: Similarity
) -> Positions:
    """Positions of the rows that may be among the k nearest, as far as float32 can tell."""
    narrow = query.astype(np.float32)
    scores = np.empty(len(stored), np.float32)
    sizes = np.empty(len(stored), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(stored), PARTS):
            floats = as_float32(stored[start : start + PARTS])
            scores[start : start + PARTS] = np.einsum("ij,j->i", floats, narrow)
            sizes[start : start + PARTS] = np.einsum("ij,ij->i", floats, floats)
        if similarity == "cosine":
            scores /= np.sqrt(np.where(sizes > 0, sizes, np.float32(1)))
            scale = np.ones(1, np.float32)
        else:
            scores -= sizes / 2
            scale = sizes + np.float32((query * query).sum())
        # A sum of n products in float32 is off by less than n/8 rounding steps (see `Pass`).
        slack = np.float32((len(query) / 4 + 32) * 2.0**-23) * scale
        low, high = scores - slack, scores + slack
        low[~np.isfinite(low)] = -np.inf
        bar = np.partition(low, len(low) - k)[len(low) - k]
        # Lengths that leave float32's range say nothing: such rows are compared exactly.
        odd = ~((sizes >= 1e-28) & (sizes <= 1e28)) | ~np.isfinite(high)
        return np.flatnonzero((high >= bar) | odd)

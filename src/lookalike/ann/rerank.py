"""Re-ranking: exact similarities of a few candidates for each query, computed from the stored vectors.

Wherever the candidates come from, the similarities are those of `top_k`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats, Positions, Rows, as_float32
from lookalike.vectors.exact import SAFE_SQUARES, dots, exact_similarities
from lookalike.vectors.similarity import Similarity

# Rows that are converted to float32 at a time.
BLOCK_ROWS = 4096


def scaled(queries: NDArray[np.float32], similarity: Similarity) -> NDArray[np.float64]:
    """Return queries (q, dim) as they are compared: float64, for the cosine of length 1."""
    wide = queries.astype(np.float64)
    if similarity == "cosine":
        wide /= np.sqrt(dots(wide, wide))[:, None]
    return wide


def rerank(
    matrix: Floats,
    queries: NDArray[np.float64],
    candidates: Rows,
    k: int,
    *,
    similarity: Similarity,
    normalised: bool = False,
) -> tuple[Rows, NDArray[np.float32]]:
    """Return the k nearest of each query's candidates.

    matrix      (n, dim) float32 or float16, as stored
    queries     (q, dim), `scaled`
    candidates  (q, c) row numbers in any order, each once; -1 for none
    normalised  the rows have length 1 or 0, which saves computing it; never changes the result

    Returns row numbers (q, k) int64, -1 where there are fewer, and similarities (q, k) float32, -inf
    there; best first, equal ones by rising row.
    """

    def rows_of(number: int) -> tuple[Rows, Floats]:
        rows = np.sort(candidates[number])
        rows = rows[rows.searchsorted(0) :]
        return rows, matrix.take(rows, axis=0)

    return _nearest(queries, k, rows_of, similarity=similarity, normalised=normalised)


def top_k_single_thread(
    matrix: Floats,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None = None,
    normalised: bool = False,
) -> tuple[Rows, NDArray[np.float32]]:
    """Return what `top_k` does, for a few thousand rows (all, or only these, sorted), on this thread.

    BLAS would start others, and on a busy machine wait for them ten times as long as the work takes.
    """
    few = (np.arange(len(matrix)), matrix) if rows is None else (rows, matrix[rows])
    wide = scaled(queries, similarity)
    return _nearest(wide, k, lambda _: few, similarity=similarity, normalised=normalised)


def _nearest(
    queries: NDArray[np.float64],
    k: int,
    rows_of: Callable[[int], tuple[Rows, Floats]],
    *,
    similarity: Similarity,
    normalised: bool,
) -> tuple[Rows, NDArray[np.float32]]:
    """Rank, for each query by its number, the rows that `rows_of` returns with their stored vectors."""
    found = np.empty((len(queries), k), np.int64)
    similarities = np.empty((len(queries), k), np.float32)
    for number, query in enumerate(queries):
        rows, stored = rows_of(number)
        best, exact = _rank(stored, query, k, similarity=similarity, normalised=normalised)
        if len(best) < k:
            found[number], similarities[number] = -1, -np.inf
        found[number, : len(best)], similarities[number, : len(best)] = rows[best], exact
    return found, similarities


def _rank(
    stored: Floats,
    query: NDArray[np.float64],
    k: int,
    *,
    similarity: Similarity,
    normalised: bool,
) -> tuple[Positions, NDArray[np.float32]]:
    """Return the positions of the k nearest of the stored rows, best first, and their similarities."""
    cosine = similarity == "cosine"
    if len(stored) <= k:
        exact = exact_similarities(query[None], stored.astype(np.float64), cosine=cosine)
        order = (-exact).argsort(kind="stable")
        return order, exact[order]
    if normalised and cosine:
        positions = _possible_unit(stored, query, k)
    else:
        positions = _possible(stored, query, k, similarity=similarity)
    few = stored.take(positions, axis=0).astype(np.float64)
    exact = exact_similarities(query[None], few, cosine=cosine)
    order = (-exact).argsort(kind="stable")[:k]
    return positions[order], exact[order]


def _possible_unit(stored: Floats, query: NDArray[np.float64], k: int) -> Positions:
    """Do what `_possible` does, for the cosine and rows of length 1 or 0."""
    narrow = query.astype(np.float32)[:, None]
    # A row at a time: one product for all would start BLAS's threads.
    blocks = [
        np.matmul(as_float32(stored[start : start + BLOCK_ROWS])[:, None], narrow)
        for start in range(0, len(stored), BLOCK_ROWS)
    ]
    scores = (blocks[0] if len(blocks) == 1 else np.concatenate(blocks)).ravel()
    # Unit vectors that were rounded when they were stored are a little longer or shorter.
    rounding = 5e-4 if stored.dtype == np.float16 else 1e-6
    slack = (len(query) / 8 + 16) * 2.0**-23 + rounding
    kth = len(scores) - k
    rising = scores.copy()
    rising.partition(kth)
    possible: Positions = (scores >= rising[kth] - np.float32(2 * slack)).nonzero()[0]
    return possible


def _possible(
    stored: Floats, query: NDArray[np.float64], k: int, *, similarity: Similarity
) -> Positions:
    """Return the positions of the rows that may be among the k nearest, given the error of float32."""
    narrow = query.astype(np.float32)
    scores = np.empty(len(stored), np.float32)
    squares = np.empty(len(stored), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(stored), BLOCK_ROWS):
            floats = as_float32(stored[start : start + BLOCK_ROWS])
            scores[start : start + BLOCK_ROWS] = np.einsum("ij,j->i", floats, narrow)
            squares[start : start + BLOCK_ROWS] = np.einsum("ij,ij->i", floats, floats)
        if similarity == "cosine":
            scores /= np.sqrt(np.where(squares > 0, squares, np.float32(1)))
            scale = np.ones(1, np.float32)
        else:
            scores -= squares / 2
            scale = squares + np.float32((query * query).sum())
        # A sum of n products in float32 is off by less than n/8 rounding steps (see `ExactTopK`).
        slack = np.float32((len(query) / 4 + 32) * 2.0**-23) * scale
        low, high = scores - slack, scores + slack
        low[~np.isfinite(low)] = -np.inf
        threshold = np.partition(low, len(low) - k)[len(low) - k]
        # Rows whose lengths leave float32's range are always compared exactly.
        unsafe = ~((squares >= SAFE_SQUARES[0]) & (squares <= SAFE_SQUARES[1]))
        unsafe |= ~np.isfinite(high)
        return np.flatnonzero((high >= threshold) | unsafe)

"""Re-ranking: exact similarities of a few candidates for each query, computed from the stored vectors.

Wherever the candidates come from, the similarities are those of `top_k`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats, Positions, Rows, as_float32
from lookalike.vectors.exact import SAFE_SQUARES, dots, exact_similarities
from lookalike.vectors.kmeans import import_faiss
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
    there; best first, equal ones by rising row. One thread: BLAS would start others, and on a busy machine
    wait for them ten times as long as the work takes.
    """
    cosine = similarity == "cosine"
    found = np.empty((len(queries), k), np.int64)
    similarities = np.empty(found.shape, np.float32)
    for number, query in enumerate(queries):
        rows = candidates[number].astype(np.int64)
        rows.sort()
        if len(rows) and rows[0] < 0:
            rows = rows[rows.searchsorted(0) :]
        if len(rows) > k:
            if cosine and normalised:
                rows = rows[_possible_unit(matrix, rows, query, k)]
            else:
                stored = matrix.take(rows, axis=0)
                rows = rows[_possible(stored, query, k, similarity=similarity)]
        stored = matrix.take(rows, axis=0)
        exact = exact_similarities(query[None], stored.astype(np.float64), cosine=cosine)
        best = (-exact).argsort(kind="stable")[:k]
        if len(best) < k:
            found[number], similarities[number] = -1, -np.inf
        found[number, : len(best)] = rows[best]
        similarities[number, : len(best)] = exact[best]
    return found, similarities


def _possible_unit(matrix: Floats, rows: Rows, query: NDArray[np.float64], k: int) -> Positions:
    """Return the positions of the rows, which rise and have length 1, that may be among the k nearest.

    FAISS reads the rows where they are: to copy them first takes as long again. float16 must be widened.
    """
    if rows[-1] >= len(matrix):
        raise IndexError(f"there is no row {rows[-1]} in {len(matrix)}")
    # As in `_possible`; and unit vectors that were rounded when they were stored are longer or shorter.
    slack = (len(query) / 4 + 32) * 2.0**-23 + 1e-6
    if matrix.dtype == np.float16:
        slack += 5e-4
        matrix, rows = as_float32(matrix.take(rows, axis=0)), np.arange(len(rows))
    library = import_faiss()
    library.omp_set_num_threads(1)
    narrow, scores = query.astype(np.float32), np.empty(len(rows), np.float32)
    arrays = map(library.swig_ptr, (scores, narrow, matrix, rows))
    library.fvec_inner_products_by_idx(*arrays, len(query), 1, len(rows))
    rising = scores.copy()
    rising.sort()
    possible: Positions = (scores >= rising[-k] - 2 * slack).nonzero()[0]
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

"""Exact similarities of a few candidates for each query: the last step of an approximate search.

Whatever proposed the candidates, the numbers are those of `top_k`, computed from the stored vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.exact import Floats, Places, Rows, as_float32, compare
from lookalike.vectors.similarity import Similarity


def refine(
    matrix: Floats,
    queries: NDArray[np.float32],
    candidates: Rows,
    k: int,
    *,
    similarity: Similarity,
    normalised: bool = False,
    parts: int = 4096,
) -> tuple[Rows, NDArray[np.float32]]:
    """The k nearest of each query's candidates.

    matrix      (n, dim) float32 or float16, as stored
    queries     (q, dim) float32, finite; under cosine not zero
    candidates  (q, c) row numbers in any order, -1 for none
    normalised  the rows have length 1 or 0, which saves computing it; never changes the answer
    parts       rows that are read at a time

    Returns row numbers (q, k) int64, -1 where there are fewer, and similarities (q, k) float32, -inf
    there; best first, equal ones by rising row.
    """
    found = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    wide = queries.astype(np.float64)
    if similarity == "cosine":
        wide /= np.sqrt((wide * wide).sum(axis=1))[:, None]
    for number, offered in enumerate(candidates):
        rows = np.sort(offered)
        rows = rows[(rows >= 0) & (np.diff(rows, prepend=-1) > 0)]
        stored = matrix[rows]
        if len(rows) > k:
            unit = normalised and similarity == "cosine"
            narrow = as_float32(stored) if unit and len(rows) <= parts else None
            kept = (
                _hopeful(stored, wide[number], k, similarity=similarity, parts=parts)
                if narrow is None
                else _hopeful_units(narrow, wide[number], k, half=stored.dtype == np.float16)
            )
            rows, stored = rows[kept], stored[kept]
        exact = compare(
            wide[number][None], stored.astype(np.float64), cosine=similarity == "cosine"
        )
        order = np.argsort(-exact, kind="stable")[:k]
        found[number, : len(order)] = rows[order]
        similarities[number, : len(order)] = exact[order]
    return found, similarities


def _hopeful_units(
    rows: NDArray[np.float32], query: NDArray[np.float64], k: int, *, half: bool
) -> Places:
    """As `_hopeful` under cosine, of rows of length 1 or 0."""
    # A row at a time: for one product of so few rows, BLAS starts threads that cost more than the work.
    scores = np.matmul(rows[:, None, :], query.astype(np.float32)[:, None])[:, 0, 0]
    # Unit vectors that were rounded when they were stored are a little longer or shorter.
    slack = (len(query) / 8 + 16) * 2.0**-23 + (5e-4 if half else 1e-6)
    bar = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= bar - 2 * np.float32(slack))


def _hopeful(
    stored: Floats, query: NDArray[np.float64], k: int, *, similarity: Similarity, parts: int
) -> Places:
    """Places of the rows that may be among the k nearest, as far as float32 can tell."""
    narrow = query.astype(np.float32)
    scores = np.empty(len(stored), np.float32)
    sizes = np.empty(len(stored), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(stored), parts):
            floats = as_float32(stored[start : start + parts])
            scores[start : start + parts] = np.einsum("ij,j->i", floats, narrow)
            sizes[start : start + parts] = np.einsum("ij,ij->i", floats, floats)
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

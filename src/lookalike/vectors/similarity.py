"""Similarity of vectors, and exact search. Larger is closer, always.

`loop_top_k` says in ten lines what `top_k` must answer, and is what the tests compare it with.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats, Rows, blocks
from lookalike.vectors.exact import Pass
from lookalike.vectors.sieving import SievedPass, worth

Similarity: TypeAlias = Literal["cosine", "euclidean"]
"""The cosine, or minus the Euclidean distance."""

QUERY_BLOCK = 1024
"""Queries that share one pass over the rows; more would only make the block of scores larger."""


def cosine(a: Floats, b: Floats) -> float:
    """The cosine of the angle between two vectors (dim,), in -1..1; 0 if one of them is zero."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = math.sqrt(float((x * x).sum())) * math.sqrt(float((y * y).sum()))
    if lengths == 0.0:
        return 0.0
    return min(1.0, max(-1.0, float((x * y).sum()) / lengths))


def euclidean(a: Floats, b: Floats) -> float:
    """Minus the Euclidean distance between two vectors (dim,): 0 for equal ones, else negative."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return -math.sqrt(float((difference * difference).sum()))


def normalise(vectors: Floats) -> NDArray[np.float32]:
    """Vectors (n, dim) or one (dim,) brought to length 1, as float32; a zero vector stays zero.

    Scaled by the largest component first, so that neither tiny nor huge numbers leave the range.
    """
    wide = np.array(vectors, np.float64)  # changed in place: copies cost more than the arithmetic
    highest = wide.max(axis=-1, keepdims=True, initial=0.0)
    largest = np.maximum(highest, -wide.min(axis=-1, keepdims=True, initial=0.0))
    largest[largest == 0.0] = 1.0
    wide /= largest
    lengths = np.sqrt(np.einsum("...i,...i->...", wide, wide))[..., None]
    lengths[lengths == 0.0] = 1.0
    wide /= lengths
    return wide.astype(np.float32)


def similarity_matrix(
    queries: Floats, matrix: Floats, *, similarity: Similarity
) -> NDArray[np.float32]:
    """Every query (q, dim) against every row (n, dim) → (q, n) float32.

    For as many rows as fit in memory twice as float64; `top_k` is for whole libraries.
    """
    wide_queries, wide = np.asarray(queries, np.float64), np.asarray(matrix, np.float64)
    products = wide_queries @ wide.T
    query_squares = np.einsum("ij,ij->i", wide_queries, wide_queries)[:, None]
    squares = np.einsum("ij,ij->i", wide, wide)[None, :]
    if similarity == "cosine":
        lengths = np.sqrt(query_squares) * np.sqrt(squares)
        lengths[lengths == 0.0] = 1.0
        products /= lengths
        return products.clip(-1.0, 1.0, out=products).astype(np.float32)
    distances = np.maximum(query_squares + squares - 2.0 * products, 0.0)
    # The expansion cancels for close pairs, so that equal vectors would not be 0 apart.
    for query, row in zip(*np.nonzero(distances < 1e-6 * (query_squares + squares)), strict=True):
        distances[query, row] = ((wide_queries[query] - wide[row]) ** 2).sum()
    nearest_first: NDArray[np.float64] = -np.sqrt(distances)
    return nearest_first.astype(np.float32)


def loop_top_k(
    matrix: Floats, queries: Floats, k: int, *, similarity: Similarity
) -> tuple[Rows, NDArray[np.float32]]:
    """The nearest rows by a plain loop, one pair of vectors at a time: slow, and plainly right.

    Same answer as `top_k`: row numbers (q, k), -1 where there are fewer; similarities (q, k)
    float32, -inf there; equal similarities in the order of the rows.
    """
    measure = cosine if similarity == "cosine" else euclidean
    rows = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    for number, query in enumerate(queries):
        scores = np.array([measure(vector, query) for vector in matrix], np.float32)
        best = np.argsort(-scores, kind="stable")[:k]
        rows[number, : len(best)] = best
        similarities[number, : len(best)] = scores[best]
    return rows, similarities


def top_k(
    matrix: Floats,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None = None,
    dead: Rows | None = None,
    normalised: bool = True,
) -> tuple[Rows, NDArray[np.float32]]:
    """The k nearest rows of each query, by comparing with every row.

    matrix      (n, dim) float32 or float16, an array or a memory map; every number finite
    queries     (q, dim) float32, of any length; a zero query has cosine 0 to everything
    rows        only these row numbers, in any order
    dead        row numbers to leave out, sorted
    normalised  the rows have length 1 or 0, which saves computing it; never changes the answer

    Returns row numbers (q, k) int64, -1 where there are fewer than k, and similarities (q, k)
    float32, -inf there; best first, equal ones by rising row. Memory is bounded by a few blocks of
    30 MiB. Raises UsageError for k < 1, another dimension, or a query that is not finite.
    """
    matrix = np.asarray(matrix)
    queries = np.ascontiguousarray(queries, np.float32)
    if k < 1:
        raise UsageError(f"k is {k}: ask for at least one neighbour")
    if queries.ndim != 2 or queries.shape[1] != matrix.shape[1]:
        raise UsageError(
            f"queries of shape {queries.shape} do not fit vectors of {matrix.shape[1]} numbers"
        )
    if not np.isfinite(queries).all():
        raise UsageError("a query vector holds NaN or infinity: it is similar to nothing")
    if rows is not None and not (np.diff(rows) > 0).all():
        rows = np.unique(rows)
    found = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    asked = np.arange(len(queries))
    total = len(matrix) if rows is None else len(rows)
    by_angle = similarity == "cosine"
    if by_angle:
        zero = ~queries.any(axis=1)
        first = _first_rows(len(matrix), k, rows=rows, dead=dead)
        found[zero, : len(first)], similarities[zero, : len(first)] = first, 0.0
        asked = asked[~zero]
    for start in range(0, len(asked), QUERY_BLOCK):
        part = asked[start : start + QUERY_BLOCK]
        if by_angle and normalised and worth(len(part), total, matrix.shape[1], k):
            best: Pass = SievedPass(matrix, queries[part], k)
        else:
            best = Pass(matrix, queries[part], k, cosine=by_angle, normalised=normalised)
        for block in blocks(matrix, rows=rows, dead=dead, queries=len(part)):
            best.see(block)
        best.settle()
        found[part], similarities[part] = best.rows, best.similarities
    return found, similarities


def _first_rows(n: int, k: int, *, rows: Rows | None, dead: Rows | None) -> Rows:
    """The first k rows that may be found: what a zero query gets, to which all are equal."""
    dead = np.empty(0, np.int64) if dead is None else dead
    reach = k + len(dead)
    candidates = np.arange(min(n, reach), dtype=np.int64) if rows is None else rows[:reach]
    return candidates[~np.isin(candidates, dead)][:k]

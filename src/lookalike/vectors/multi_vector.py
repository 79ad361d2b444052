"""Exact search among images that have several vectors each, such as one per region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.vectors.blocks import Floats, Rows
from lookalike.vectors.similarity import Similarity, top_k


def nearest(
    matrix: Floats,
    queries: NDArray[np.float32],
    k: int,
    *,
    similarity: Similarity,
    rows: Rows | None,
    exclude: Rows | None,
    normalised: bool,
    regions: int,
) -> tuple[Rows, NDArray[np.float32], NDArray[np.int64]]:
    """Return what `top_k` does, where a row of the matrix (n, regions · dim) has several vectors, of which
    the nearest counts; and the region (q, k) that was nearest, -1 where there is no row.

    Among the k · regions nearest vectors are those of at least k different rows, so no more are needed.
    """
    if regions == 1:
        found, similarities = top_k(
            matrix,
            queries,
            k,
            similarity=similarity,
            rows=rows,
            exclude=exclude,
            normalised=normalised,
        )
        return found, similarities, np.where(found < 0, -1, 0)
    count = len(matrix) if rows is None else len(rows)
    vectors, values = top_k(
        matrix.reshape(len(matrix) * regions, matrix.shape[1] // regions),
        queries,
        max(1, min(k, count)) * regions,
        similarity=similarity,
        rows=None if rows is None else vector_rows(rows, regions),
        exclude=None if exclude is None else vector_rows(exclude, regions),
        normalised=False,
    )
    found = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    region = np.full((len(queries), k), -1, np.int64)
    for number, row in enumerate(vectors):
        row = row[row >= 0]
        _, first = np.unique(row // regions, return_index=True)
        best = np.sort(first)[:k]
        found[number, : len(best)] = row[best] // regions
        region[number, : len(best)] = row[best] % regions
        similarities[number, : len(best)] = values[number, best]
    return found, similarities, region


def vector_rows(rows: Rows, regions: int) -> Rows:
    """Return the numbers of all vectors of these rows, in order."""
    return (rows[:, None] * regions + np.arange(regions)).reshape(-1)

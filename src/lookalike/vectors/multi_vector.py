"""Exact search among pictures of which each has the vectors of several parts."""

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
    parts: int,
) -> tuple[Rows, NDArray[np.float32], NDArray[np.int64]]:
    """As `top_k`, where a row of the matrix (n, parts · dim) holds the vectors of so many parts: the
    rows whose nearest part is nearest, and which part that is, -1 where there is no row.

    Of k · parts nearest parts at least k belong to different rows, so no more are looked for.
    """
    if parts == 1:
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
    single, values = top_k(
        matrix.reshape(len(matrix) * parts, -1),
        queries,
        max(1, min(k, count)) * parts,
        similarity=similarity,
        rows=None if rows is None else spread(rows, parts),
        exclude=None if exclude is None else spread(exclude, parts),
        normalised=False,
    )
    found = np.full((len(queries), k), -1, np.int64)
    similarities = np.full((len(queries), k), -np.inf, np.float32)
    part = np.full((len(queries), k), -1, np.int64)
    for number, row in enumerate(single):
        row = row[row >= 0]
        _, first = np.unique(row // parts, return_index=True)
        best = np.sort(first)[:k]
        found[number, : len(best)] = row[best] // parts
        part[number, : len(best)] = row[best] % parts
        similarities[number, : len(best)] = values[number, best]
    return found, similarities, part


def spread(rows: Rows, parts: int) -> Rows:
    """The numbers of all parts of these rows, in their order."""
    return (rows[:, None] * parts + np.arange(parts)).reshape(-1)

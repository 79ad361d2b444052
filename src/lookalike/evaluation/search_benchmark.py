"""Speed of exact search on this machine: a plain loop and the matrix product, timed side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.similarity import Similarity, loop_top_k, normalise, top_k

# The loop is slow: it gets as many queries as fit in this time, at least one.
LOOP_SECONDS = 2.0

# The best time of so many is taken: whatever else the machine does only adds time.
REPEATS = 3


@dataclass(frozen=True, slots=True)
class SearchSpeed:
    """Seconds a query for the same result in three ways, and the memory of the vectors.

    loop    one vector after the other (`loop_top_k`)
    single  the matrix, one query at a time
    batch   the matrix, all queries in one product
    bytes   of all vectors, as float32
    agree   all three gave the same rows in the same order
    """

    count: int
    dim: int
    queries: int
    k: int
    similarity: Similarity
    loop: float
    single: float
    batch: float
    bytes: int
    agree: bool


def measure_search(
    *,
    count: int = 10_000,
    dim: int = 512,
    queries: int = 64,
    k: int = 10,
    similarity: Similarity = "cosine",
) -> SearchSpeed:
    """Time exact search among `count` random unit vectors of `dim` dimensions.

    Random vectors do here, because exact search compares with all of them whatever they are.
    """
    if min(count, dim, queries, k) < 1:
        raise UsageError("count, dim, queries and k must be at least 1")
    rng = np.random.default_rng(0)
    matrix = normalise(rng.standard_normal((count, dim), np.float32))
    batch = normalise(rng.standard_normal((queries, dim), np.float32))

    def search(some: NDArray[np.float32]) -> NDArray[np.int64]:
        return top_k(matrix, some, k, similarity=similarity)[0]

    loop_rows, loop_seconds = _time_loop(matrix, batch, k, similarity)
    single_rows, single_seconds = _time(lambda: np.vstack([search(query[None]) for query in batch]))
    batch_rows, batch_seconds = _time(lambda: search(batch))
    return SearchSpeed(
        count=count,
        dim=dim,
        queries=queries,
        k=k,
        similarity=similarity,
        loop=loop_seconds,
        single=single_seconds / queries,
        batch=batch_seconds / queries,
        bytes=matrix.nbytes,
        agree=bool(
            (single_rows == batch_rows).all() and (loop_rows == batch_rows[: len(loop_rows)]).all()
        ),
    )


def _time_loop(
    matrix: NDArray[np.float32], queries: NDArray[np.float32], k: int, similarity: Similarity
) -> tuple[NDArray[np.int64], float]:
    """Return the results of the first queries, and the best time of one query."""
    results: list[NDArray[np.int64]] = []
    best, started = float("inf"), time.perf_counter()
    for query in queries:
        before = time.perf_counter()
        results.append(loop_top_k(matrix, query[None], k, similarity=similarity)[0])
        now = time.perf_counter()
        best = min(best, now - before)
        if now - started > LOOP_SECONDS:
            break
    return np.vstack(results), best


def _time(work: Callable[[], NDArray[np.int64]]) -> tuple[NDArray[np.int64], float]:
    """Return the result and the best time of several runs."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - started)
    return result, best

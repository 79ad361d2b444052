"""How fast is exact search here? The plain loop and the matrix product, timed side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.vectors.similarity import Similarity, loop_top_k, normalise, top_k

LOOP_SECONDS = 2.0
"""The loop is so slow that it gets few queries: as many as fit in this time, at least one."""

REPEATS = 3
"""The best of so many is taken: what else the machine does only ever adds time."""


@dataclass(frozen=True, slots=True)
class SearchSpeed:
    """Seconds a query for the same answer in three ways, and what the vectors take in memory.

    loop     one vector after the other (`loop_top_k`)
    single   the matrix, one query at a time; batch: all queries in one product
    agree    all three gave the same images in the same order
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


def search_speed(
    *,
    count: int = 10_000,
    dim: int = 512,
    queries: int = 64,
    k: int = 10,
    similarity: Similarity = "cosine",
    seed: int = 0,
) -> SearchSpeed:
    """Time exact search among `count` random unit vectors of `dim` numbers.

    Random vectors serve here, because exact search compares all of them whatever they are.
    """
    if min(count, dim, queries, k) < 1:
        raise UsageError("count, dim, queries and k are at least 1")
    rng = np.random.default_rng(seed)
    matrix = normalise(rng.standard_normal((count, dim), np.float32))
    asked = normalise(rng.standard_normal((queries, dim), np.float32))

    def matrix_rows(some: NDArray[np.float32]) -> NDArray[np.int64]:
        return top_k(matrix, some, k, similarity=similarity)[0]

    loop_rows, loop = _loop(matrix, asked, k, similarity)
    single_rows, single = _timed(lambda: np.vstack([matrix_rows(query[None]) for query in asked]))
    batch_rows, batch = _timed(lambda: matrix_rows(asked))
    return SearchSpeed(
        count=count,
        dim=dim,
        queries=queries,
        k=k,
        similarity=similarity,
        loop=loop,
        single=single / queries,
        batch=batch / queries,
        bytes=matrix.nbytes,
        agree=bool(
            (single_rows == batch_rows).all() and (loop_rows == batch_rows[: len(loop_rows)]).all()
        ),
    )


def _loop(
    matrix: NDArray[np.float32], queries: NDArray[np.float32], k: int, similarity: Similarity
) -> tuple[NDArray[np.int64], float]:
    """Answers to the first queries, and the best time for one of them."""
    answers: list[NDArray[np.int64]] = []
    best, started = float("inf"), time.perf_counter()
    for query in queries:
        before = time.perf_counter()
        answers.append(loop_top_k(matrix, query[None], k, similarity=similarity)[0])
        now = time.perf_counter()
        best = min(best, now - before)
        if now - started > LOOP_SECONDS:
            break
    return np.vstack(answers), best


def _timed(
    work: Callable[[], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], float]:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        answer = work()
        best = min(best, time.perf_counter() - started)
    return answer, best

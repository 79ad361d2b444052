"""Recall of an index, and the cheapest search parameters that reach a target recall.

The queries are vectors of the library itself, each searched for its neighbours without itself; exact
search gives the truth. A neighbour counts as found if its similarity is at least that of the true k-th:
among equal vectors it does not matter which is returned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex, Progress, no_progress, prepare
from lookalike.ann.rerank import rerank, scaled
from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats, Rows, as_float32
from lookalike.vectors.similarity import Similarity, top_k

# Recall is recall@10, as everywhere in the field.
K = 10

# Numbers of candidates that are tried, for ten neighbours.
CANDIDATE_COUNTS = (20, 30, 40, 50, 60, 70, 85, 100, 120, 150, 200, 300, 500)

# Held-out queries. Each half has 2,560 neighbours: the standard error of its recall is about 0.3 %.
QUERIES = 512

# How many values of nprobe that reach the target are timed: with a larger one the index needs fewer
# candidates, which may be cheaper.
NPROBES_TIMED = 3

# Queries that are timed one by one.
QUERIES_TIMED = 48

# Under a filter most of what an index finds is thrown away, so it searches more lists; at most so many
# times as many.
MAX_FILTER_FACTOR = 16.0


@dataclass(frozen=True, slots=True)
class SearchParams:
    """How an index is searched for ten neighbours.

    nprobe      how many lists of an inverted file are searched, or ef_search of a graph
    candidates  how many rows the index proposes for the exact comparison
    """

    nprobe: int
    candidates: int

    def for_k(self, k: int, *, max_nprobe: int) -> SearchParams:
        """Return the parameters for k neighbours: more candidates, and, because these lie further
        apart, more lists."""
        if k <= K:
            return self
        nprobe = int(np.ceil(self.nprobe * (k / K) ** 0.5))
        return SearchParams(min(nprobe, max_nprobe), int(np.ceil(self.candidates * k / K)))

    def filtered(self, passing: int, count: int, *, max_nprobe: int) -> SearchParams:
        """Return the parameters for a filter that `passing` of `count` rows pass: more lists."""
        nprobe = int(np.ceil(self.nprobe * min(MAX_FILTER_FACTOR, count / passing)))
        return SearchParams(min(nprobe, max_nprobe), self.candidates)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Search parameters, their recall, and milliseconds a query on one thread."""

    params: SearchParams
    recall: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class HeldOutQueries:
    """Rows that serve as queries, and what exact search finds for them.

    rows        (q,) row numbers
    vectors     (q, dim) float32
    worst       (q,) float32, the similarity of the K-th neighbour, or of the last if there are fewer
    known       (q,) how many neighbours there are, at most K
    normalised  the rows of the matrix have length 1 or 0
    """

    rows: Rows
    vectors: NDArray[np.float32]
    worst: NDArray[np.float32]
    known: NDArray[np.int64]
    normalised: bool


def hold_out_queries(
    matrix: Floats,
    *,
    similarity: Similarity,
    normalised: bool,
    exclude: Rows | None = None,
    count: int = QUERIES,
    seed: int = 0,
) -> HeldOutQueries:
    """Draw a sample of the rows and find their neighbours by exact search.

    exclude  row numbers that are neither drawn nor found, sorted

    `UsageError` if the cosine is used and all vectors are zero.
    """
    exclude = np.empty(0, np.int64) if exclude is None else exclude
    drawn = np.random.default_rng(seed).permutation(len(matrix))[: count + len(exclude)]
    rows = np.sort(drawn[~np.isin(drawn, exclude)][:count])
    vectors = np.asarray(matrix[rows], np.float32)
    usable = vectors.any(axis=1) if similarity == "cosine" else np.ones(len(rows), np.bool_)
    rows, vectors = rows[usable], vectors[usable]
    if not len(rows):
        raise UsageError("all these vectors are zero: there is nothing that an index could find")
    found, similarities = top_k(
        matrix, vectors, K + 1, similarity=similarity, exclude=exclude, normalised=normalised
    )
    near = _without_own(rows, found, similarities)
    there = np.isfinite(near)
    worst = np.where(there, near, np.inf).min(axis=1).astype(np.float32)
    return HeldOutQueries(rows, vectors, worst, there.sum(axis=1), normalised)


def recall(
    index: AnnIndex,
    matrix: Floats,
    queries: HeldOutQueries,
    params: SearchParams,
    *,
    allowed: NDArray[np.uint8] | None = None,
    threads: int = 1,
) -> NDArray[np.float64]:
    """Return the recall (q,) of each query: the share of its K neighbours that is found."""
    found = index.candidates(
        prepare(queries.vectors, index.similarity),
        params.candidates + 1,
        nprobe=params.nprobe,
        allowed=allowed,
        threads=threads,
    )
    correct = _correct(matrix, queries, found, index.similarity)
    return _shares(queries, correct.sum(axis=1, dtype=np.int64))


def milliseconds(
    index: AnnIndex,
    matrix: Floats,
    queries: HeldOutQueries,
    params: SearchParams,
    *,
    count: int = QUERIES_TIMED,
) -> float:
    """Return the median time of a single query on one thread, re-ranking included."""
    times = []
    for vector in queries.vectors[:count]:
        started = time.perf_counter()
        wide = scaled(vector[None], index.similarity)
        narrow = wide.astype(np.float32)
        found = index.candidates(narrow, params.candidates, nprobe=params.nprobe)
        rerank(
            matrix,
            wide,
            found,
            K,
            similarity=index.similarity,
            normalised=queries.normalised,
        )
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


def tune(
    index: AnnIndex,
    matrix: Floats,
    queries: HeldOutQueries,
    *,
    target: float,
    allowed: NDArray[np.uint8] | None = None,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Measurement:
    """Return the fastest parameters that reach the target recall, or, if none do, those with the best.

    They must reach the target on the even and on the odd queries, each half by itself; the recall
    returned is the lower of the two.
    """
    reaching: list[tuple[SearchParams, float]] = []
    best = (SearchParams(1, CANDIDATE_COUNTS[0]), -1.0)
    for params, shares in _explore(index, matrix, queries, allowed, threads, progress):
        share = min(float(shares[::2].mean()), float(shares[1::2].mean()))
        if share > best[1] + 1e-9:
            best = params, share
        if share >= target:
            reaching.append((params, share))
            if len({params.nprobe for params, _ in reaching}) == NPROBES_TIMED:
                break
    timed = [
        Measurement(params, share, milliseconds(index, matrix, queries, params))
        for params, share in _fewest_candidates(reaching) or [best]
    ]
    return min(timed, key=lambda measured: measured.milliseconds)


def recall_curve(
    index: AnnIndex,
    matrix: Floats,
    queries: HeldOutQueries,
    *,
    candidates: int,
    until: float = 0.999,
) -> list[Measurement]:
    """Measure recall and milliseconds for rising nprobe, until the recall is reached."""
    points = []
    for nprobe in nprobe_steps(index.max_nprobe):
        params = SearchParams(nprobe, candidates)
        share = float(recall(index, matrix, queries, params).mean())
        points.append(Measurement(params, share, milliseconds(index, matrix, queries, params)))
        if share >= until:
            break
    return points


def nprobe_steps(largest: int) -> Iterator[int]:
    """Yield 1, 2, 3, 4, 6, 8, 12, 16, 24 … up to `largest`."""
    step = 1
    while step < largest:
        yield step
        if step > 1 and step + step // 2 < largest:
            yield step + step // 2
        step *= 2
    yield largest


def _explore(
    index: AnnIndex,
    matrix: Floats,
    queries: HeldOutQueries,
    allowed: NDArray[np.uint8] | None,
    threads: int,
    progress: Progress,
) -> Iterator[tuple[SearchParams, NDArray[np.float64]]]:
    """Yield all parameters, from cheap to dear, with the recall of each query.

    An index returns its candidates best first, so one search for the most gives the recall of all
    smaller numbers of candidates.
    """
    vectors = prepare(queries.vectors, index.similarity)
    steps = list(nprobe_steps(index.max_nprobe))
    counts = [count for count in CANDIDATE_COUNTS if count <= max(index.count, CANDIDATE_COUNTS[0])]
    for number, nprobe in enumerate(steps):
        found = index.candidates(
            vectors, counts[-1] + 1, nprobe=nprobe, allowed=allowed, threads=threads
        )
        correct = np.cumsum(
            _correct(matrix, queries, found, index.similarity), axis=1, dtype=np.int64
        )
        for count in counts:
            if _is_graph(index) and count > nprobe:
                break  # a graph returns no more rows than ef_search
            column = min(count, correct.shape[1] - 1)
            yield SearchParams(nprobe, count), _shares(queries, correct[:, column])
        progress("tune", number + 1, len(steps))


def _is_graph(index: AnnIndex) -> bool:
    return "HNSW" in index.recipe and "IVF" not in index.recipe


def _fewest_candidates(
    reaching: list[tuple[SearchParams, float]],
) -> list[tuple[SearchParams, float]]:
    """Keep the parameters with the fewest candidates for each nprobe."""
    found: dict[int, tuple[SearchParams, float]] = {}
    for params, share in reaching:
        found.setdefault(params.nprobe, (params, share))
    return list(found.values())


def _correct(
    matrix: Floats, queries: HeldOutQueries, found: Rows, similarity: Similarity
) -> NDArray[np.bool_]:
    """Return which candidates (q, c) of each query are among its true neighbours."""
    correct = np.zeros(found.shape, np.bool_)
    for number, rows in enumerate(found):
        there = np.flatnonzero((rows >= 0) & (rows != queries.rows[number]))
        stored = as_float32(matrix[rows[there]])
        query, worst = queries.vectors[number], queries.worst[number]
        products = np.einsum("ij,j->i", stored, query)
        squares = np.einsum("ij,ij->i", stored, stored)
        own = np.float32((query * query).sum())
        if similarity == "cosine":
            lengths = np.sqrt(np.where(squares > 0, squares * own, np.float32(1)))
            # Similarities that float32 cannot distinguish from the K-th count as equal to it.
            near = products / lengths >= worst - 2e-6
        else:
            near = own + squares - 2 * products <= worst * worst + 2e-6 * (own + squares)
        correct[number, there[near]] = True
    return correct


def _shares(queries: HeldOutQueries, correct: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.minimum(correct, queries.known) / np.maximum(queries.known, 1)
    return share


def _without_own(rows: Rows, found: Rows, similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the similarities (q, K) without that of the query's own row."""
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True  # the row itself is not among them: drop the last
    others: NDArray[np.float32] = similarities[~own].reshape(len(rows), -1)
    return others

"""How well an index finds, and how little it may look at to find well enough.

Queries are rows of the library itself, each asked for its neighbours without itself. Exact search says
what is right. A neighbour counts as found if its similarity is at least that of the true k-th: among
equal vectors it does not matter which is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.ann.faiss_index import AnnIndex, Progress, quiet
from lookalike.ann.rerank import refine
from lookalike.errors import UsageError
from lookalike.vectors.blocks import Floats, Rows, as_float32
from lookalike.vectors.similarity import Similarity, top_k

K = 10
"""Recall is recall@10, as everywhere in the field."""

WIDTHS = (20, 30, 50, 70, 100, 150, 200, 300, 500)
"""Numbers of candidates that are tried, for ten neighbours."""

QUERIES = 512
"""Two halves of 2,560 neighbours each: one standard error of either is about 0.3 %."""

PROBES_TIMED = 3
"""The first that reach: looking at more, an index needs fewer candidates, which may be cheaper."""

TIMED = 48
"""Queries that are timed one by one."""


PROBE_LIMIT = 16.0
"""A filter makes an index look at more, as what it finds is thrown away; up to so many times."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How an index is asked for ten neighbours: what it looks at, and how many rows it proposes."""

    probe: int
    width: int

    def at(self, k: int, *, most: int) -> Effort:
        """The same for k neighbours: more rows, and, as these lie further apart, more lists, up to
        `most`."""
        if k <= K:
            return self
        probe = int(np.ceil(self.probe * (k / K) ** 0.5))
        return Effort(min(probe, most), int(np.ceil(self.width * k / K)))

    def among(self, there: int, count: int, *, most: int) -> Effort:
        """The same under a filter that only `there` of `count` rows pass: more lists, up to `most`."""
        probe = int(np.ceil(self.probe * min(PROBE_LIMIT, count / there)))
        return Effort(min(probe, most), self.width)


@dataclass(frozen=True, slots=True)
class Point:
    """One effort, the share of true neighbours that it found, and milliseconds a query, one thread."""

    effort: Effort
    recall: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Questions:
    """Rows that serve as queries, and what exact search says of them.

    rows   (q,) row numbers
    worst  (q,) float32, the similarity of the K-th neighbour, or of the last where there are fewer
    known  (q,) how many neighbours there are, at most K
    normalised  the rows of the matrix have length 1 or 0
    """

    rows: Rows
    vectors: NDArray[np.float32]
    worst: NDArray[np.float32]
    known: NDArray[np.int64]
    normalised: bool


def questions(
    matrix: Floats,
    *,
    similarity: Similarity,
    normalised: bool,
    exclude: Rows | None = None,
    count: int = QUERIES,
    seed: int = 0,
) -> Questions:
    """Ask exact search for the neighbours of a sample of the rows that live. `UsageError` where there is
    nothing to ask: under the cosine, zero is like everything."""
    exclude = np.empty(0, np.int64) if exclude is None else exclude
    chosen = np.random.default_rng(seed).permutation(len(matrix))[: count + len(exclude)]
    rows = np.sort(chosen[~np.isin(chosen, exclude)][:count])
    vectors = np.asarray(matrix[rows], np.float32)
    asked = vectors.any(axis=1) if similarity == "cosine" else np.ones(len(rows), np.bool_)
    rows, vectors = rows[asked], vectors[asked]
    if not len(rows):
        raise UsageError("all these vectors are zero: there is nothing that an index could find")
    found, similarities = top_k(
        matrix, vectors, K + 1, similarity=similarity, exclude=exclude, normalised=normalised
    )
    near = _without(rows, found, similarities)
    there = np.isfinite(near)
    worst = np.where(there, near, np.inf).min(axis=1).astype(np.float32)
    return Questions(rows, vectors, worst, there.sum(axis=1), normalised)


def recall(
    index: AnnIndex,
    matrix: Floats,
    asked: Questions,
    effort: Effort,
    *,
    allowed: NDArray[np.uint8] | None = None,
    threads: int = 1,
) -> NDArray[np.float64]:
    """(q,) the share of each query's K neighbours that is found."""
    proposed = index.candidates(
        asked.vectors, effort.width + 1, probe=effort.probe, allowed=allowed, threads=threads
    )
    right = _true(matrix, asked, proposed, index.similarity)
    return _shares(asked, right.sum(axis=1, dtype=np.int64))


def milliseconds(
    index: AnnIndex, matrix: Floats, asked: Questions, effort: Effort, *, count: int = TIMED
) -> float:
    """The median time of a query asked alone on one thread, refinement included."""
    times = []
    for vector in asked.vectors[:count]:
        started = time.perf_counter()
        proposed = index.candidates(vector[None], effort.width, probe=effort.probe)
        refine(
            matrix,
            vector[None],
            proposed,
            K,
            similarity=index.similarity,
            normalised=asked.normalised,
        )
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


def tune(
    index: AnnIndex,
    matrix: Floats,
    asked: Questions,
    *,
    target: float,
    allowed: NDArray[np.uint8] | None = None,
    threads: int = 1,
    progress: Progress = quiet,
) -> Point:
    """The cheapest effort that reaches the target, or, if none does, the one that finds most.

    It must reach the target on every other query and on the rest, each by itself; the recall that is
    returned is the lower of the two.
    """
    reaching: list[tuple[Effort, float]] = []
    best = (Effort(1, WIDTHS[0]), -1.0)
    for effort, shares in _explored(index, matrix, asked, allowed, threads, progress):
        share = min(float(shares[::2].mean()), float(shares[1::2].mean()))
        if share > best[1] + 1e-9:
            best = effort, share
        if share >= target:
            reaching.append((effort, share))
            if len({effort.probe for effort, _ in reaching}) == PROBES_TIMED:
                break
    timed = [
        Point(effort, share, milliseconds(index, matrix, asked, effort))
        for effort, share in _narrowest(reaching) or [best]
    ]
    return min(timed, key=lambda point: point.milliseconds)


def curve(
    index: AnnIndex, matrix: Floats, asked: Questions, *, width: int, most: float = 0.999
) -> list[Point]:
    """Recall against milliseconds for rising probes, until the recall is `most`."""
    points = []
    for probe in probes(index.largest_probe):
        effort = Effort(probe, width)
        share = float(recall(index, matrix, asked, effort).mean())
        points.append(Point(effort, share, milliseconds(index, matrix, asked, effort)))
        if share >= most:
            break
    return points


def probes(most: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24 … up to `most`."""
    step = 1
    while step < most:
        yield step
        if step > 1 and step + step // 2 < most:
            yield step + step // 2
        step *= 2
    yield most


def _explored(
    index: AnnIndex,
    matrix: Floats,
    asked: Questions,
    allowed: NDArray[np.uint8] | None,
    threads: int,
    progress: Progress,
) -> Iterator[tuple[Effort, NDArray[np.float64]]]:
    """Every effort and the recall of each query. The rows that an index proposes come best first, so
    that one search for the widest answers for all narrower ones."""
    ladder = list(probes(index.largest_probe))
    widths = [width for width in WIDTHS if width <= max(index.count, WIDTHS[0])]
    for number, probe in enumerate(ladder):
        proposed = index.candidates(
            asked.vectors, widths[-1] + 1, probe=probe, allowed=allowed, threads=threads
        )
        true = _true(matrix, asked, proposed, index.similarity)
        right = np.cumsum(true, axis=1, dtype=np.int64)
        for width in widths:
            if _is_graph(index) and width > probe:
                break  # a graph proposes no more rows than its queue holds
            yield Effort(probe, width), _shares(asked, right[:, min(width, right.shape[1] - 1)])
        progress("tune", number + 1, len(ladder))


def _is_graph(index: AnnIndex) -> bool:
    return "HNSW" in index.recipe and "IVF" not in index.recipe


def _narrowest(reaching: list[tuple[Effort, float]]) -> list[tuple[Effort, float]]:
    """Of each probe the narrowest that reaches."""
    found: dict[int, tuple[Effort, float]] = {}
    for effort, share in reaching:
        found.setdefault(effort.probe, (effort, share))
    return list(found.values())


def _true(
    matrix: Floats, asked: Questions, proposed: Rows, similarity: Similarity
) -> NDArray[np.bool_]:
    """(q, c) which of the rows that are proposed for each query are among its true neighbours."""
    true = np.zeros(proposed.shape, np.bool_)
    for number, rows in enumerate(proposed):
        there = np.flatnonzero((rows >= 0) & (rows != asked.rows[number]))
        stored = as_float32(matrix[rows[there]])
        query, worst = asked.vectors[number], asked.worst[number]
        products = np.einsum("ij,j->i", stored, query)
        squares = np.einsum("ij,ij->i", stored, stored)
        own = np.float32((query * query).sum())
        if similarity == "cosine":
            lengths = np.sqrt(np.where(squares > 0, squares * own, np.float32(1)))
            # What float32 cannot tell from the K-th counts as equal to it.
            near = products / lengths >= worst - 2e-6
        else:
            near = own + squares - 2 * products <= worst * worst + 2e-6 * (own + squares)
        true[number, there[near]] = True
    return true


def _shares(asked: Questions, right: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.minimum(right, asked.known) / np.maximum(asked.known, 1)
    return share


def _without(rows: Rows, found: Rows, similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(q, K) the similarities without those of the query's own row."""
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True  # the row itself is not among them: drop the last
    others: NDArray[np.float32] = similarities[~own].reshape(len(rows), -1)
    return others

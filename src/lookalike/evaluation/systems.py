"""The systems that are evaluated: an extractor with exact search, the library's own search, or a run file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.file_vectors import file_vectors
from lookalike.evaluation.ground_truth import GroundTruth
from lookalike.evaluation.rankings import (
    Progress,
    Ranking,
    RankingMetrics,
    Vectors,
    measure_rankings,
    rank_by_vectors,
    rank_hits,
)
from lookalike.evaluation.separation import Separation, measure_separation
from lookalike.evaluation.statistics import Interval, intervals
from lookalike.evaluation.trec import Run
from lookalike.library import Library
from lookalike.query import Query
from lookalike.stores.interface import Snapshot, Space

# Queries that are searched together.
QUERY_BATCH = 256

# Queries whose latency is measured by default.
TIMED_QUERIES = 50

Hits: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows of images, best first, and their similarities."""

SystemKind: TypeAlias = Literal["exact", "index", "run"]


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the bytes of an image to its hits, one query at a time.

    median, p95, p99  percentiles of decoding, extraction and search together
    extract, search   medians of the two parts
    """

    median: float
    p95: float
    p99: float
    extract: float
    search: float
    queries: int


@dataclass(frozen=True, slots=True)
class System:
    """One evaluated system.

    name        "color", "color (index)", or the name of a run file
    kind        "exact": compared with every vector; "index": the library's own search with its ANN index;
                "run": rankings read from a file
    depth       largest number of hits of a ranking; None: all images are ranked
    intervals   metric → mean and confidence interval
    ann_recall  of an index, the share of the exact search's first ten that it finds
    """

    name: str
    kind: SystemKind
    depth: int | None
    metrics: RankingMetrics
    intervals: Mapping[str, Interval]
    extractor: str = ""
    revision: str = ""
    dim: int = 0
    latency: Latency | None = None
    separation: Separation | None = None
    ann_recall: float | None = None


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """How systems are evaluated.

    cutoffs  k of the metrics with a cut-off
    depth    hits of a ranking where not all images can be ranked
    keep     hits of each query to keep (for writing runs)
    seed     of everything random
    memory   largest size in bytes of vectors that are held to rank all images; larger collections are
             searched to `depth` by the store, which reads them from disk in blocks
    """

    cutoffs: tuple[int, ...] = (1, 5, 10)
    depth: int = 1000
    keep: int = 10
    seed: int = 0
    memory: int = 600 << 20
    progress: Progress | None = field(default=None, compare=False)

    def measure(self, rankings: Iterator[Ranking], truth: GroundTruth) -> RankingMetrics:
        """Return the metrics of the rankings."""
        return measure_rankings(
            rankings, truth, cutoffs=self.cutoffs, keep=self.keep, progress=self.progress
        )

    def intervals(self, metrics: RankingMetrics) -> dict[str, Interval]:
        """Return the mean and confidence interval of each metric."""
        table = np.stack(list(metrics.values.values()))
        return dict(zip(metrics.values, intervals(table, seed=self.seed), strict=True))


@dataclass(frozen=True, slots=True)
class EvalContext:
    """One space of a library, and the queries it is evaluated with."""

    library: Library
    snapshot: Snapshot
    space: Space
    collection: Collection
    truth: GroundTruth
    options: EvalOptions

    def outside(self) -> dict[int, Vectors]:
        """Return, by query, the vectors of query images outside the collection."""
        files = self.truth.files
        if not files:
            return {}
        extractor = self.library.extractor(self.space.name)
        vectors = file_vectors(extractor, list(files.values()), unit=self.space.normalised)
        found = {}
        for at, vector in zip(files, vectors, strict=True):
            if vector is None:
                raise UsageError(f"cannot read the query image {files[at]}")
            found[at] = vector
        return found

    def search(self, *, exact: bool) -> Iterator[Hits]:
        """Yield the hits of each query by the store's search.

        There is one hit more than the depth, because the query finds itself.
        """
        collection, space = self.collection, self.space
        among = None if len(collection) == space.count else collection.ids
        k = min(self.options.depth + 1, len(collection))
        outside = self.outside()
        for start in range(0, len(self.truth), QUERY_BATCH):
            own = self.truth.rows[start : start + QUERY_BATCH]
            queries = self.snapshot.vectors(space.key, collection.ids[own])
            for at in np.flatnonzero(own < 0).tolist():
                queries[at] = outside[start + at]
            found = self.snapshot.search(space.key, queries, k, among=among, exact=exact)
            rows = collection.rows(found.ids)
            for ids, row, scores in zip(found.ids, rows, found.similarities, strict=True):
                yield row[ids >= 0], scores[ids >= 0]

    def has_index(self) -> bool:
        """Return whether the library searches this space with an ANN index."""
        one = self.snapshot.vectors(self.space.key, self.collection.ids[:1])
        return not self.snapshot.search(self.space.key, one, 1).exact


def exact_system(context: EvalContext) -> System:
    """Evaluate an extractor with exact search; all images are ranked where memory allows it."""
    space, truth, options = context.space, context.truth, context.options
    whole = space.boxes is None and 4 * len(context.collection) * space.dim <= options.memory
    if whole:
        rankings = rank_by_vectors(
            context.snapshot.vectors(space.key, context.collection.ids),
            truth,
            similarity=space.similarity,
            outside=context.outside(),
            unit=space.normalised,
            keep=options.keep,
        )
    else:
        rankings = rank_hits(context.search(exact=True), truth)
    metrics = options.measure(rankings, truth)
    return System(
        name=space.name,
        kind="exact",
        extractor=space.name,
        revision=space.revision,
        dim=space.dim,
        depth=None if whole else options.depth,
        metrics=metrics,
        intervals=options.intervals(metrics),
        separation=measure_separation(
            context.snapshot, space, context.collection, truth, seed=options.seed
        ),
    )


def index_system(context: EvalContext, exact: System) -> System:
    """Evaluate the library's own search. `exact` is the same extractor with exact search."""
    space, options = context.space, context.options
    metrics = options.measure(rank_hits(context.search(exact=False), context.truth), context.truth)
    shared = [
        len(np.intersect1d(mine[mine >= 0], true[true >= 0])) / max(1, int((true >= 0).sum()))
        for mine, true in zip(metrics.best[:, :10], exact.metrics.best[:, :10], strict=True)
    ]
    return System(
        name=f"{space.name} (index)",
        kind="index",
        extractor=space.name,
        revision=space.revision,
        dim=space.dim,
        depth=options.depth,
        metrics=metrics,
        intervals=options.intervals(metrics),
        ann_recall=float(np.mean(shared)),
    )


def run_system(
    name: str, run: Run, collection: Collection, truth: GroundTruth, options: EvalOptions
) -> System:
    """Evaluate rankings read from a file.

    A query that the run lacks has no hits; documents outside the collection keep their ranks.
    """

    def hits() -> Iterator[Hits]:
        for query in truth.names:
            ranking = run.get(query, [])
            rows = [collection.row(document) for document, _ in ranking]
            yield (
                np.array([-2 if row is None else row for row in rows], np.int64),
                np.array([score for _, score in ranking], np.float32),
            )

    metrics = options.measure(rank_hits(hits(), truth), truth)
    return System(
        name=name,
        kind="run",
        depth=max((len(ranking) for ranking in run.values()), default=0),
        metrics=metrics,
        intervals=options.intervals(metrics),
    )


def measure_latency(
    library: Library, collection: Collection, extractor: str, *, count: int, exact: bool
) -> Latency | str:
    """Measure queries as a user runs them, one at a time with the bytes of a file.

    Returns the reason as text where none could be run (missing files, a changed extractor).
    """
    reason = "the images cannot be read any more"
    # One more: the first query starts the worker and loads the network, and does not count. Running one query
    # twice would not do, because results are cached.
    rows = np.unique(np.linspace(0, len(collection) - 1, count + 1).astype(np.int64))
    times: list[tuple[float, float, float]] = []
    for at, row in enumerate(rows.tolist()):
        try:
            data = collection.files[row].read_bytes() if collection.files else b""
        except OSError:
            continue
        query = replace(Query.of(data, k=10, extractor=extractor), exact=exact)
        started = time.perf_counter()
        (hits,) = library.search_batch([query])
        seconds = time.perf_counter() - started
        cached = (
            not hits.failure and not hits.seconds["search"]
        )  # an equal image was a query before
        if not (hits.failure or cached) and (at > 0 or len(rows) == 1):
            times.append((seconds, hits.seconds["extract"], hits.seconds["search"]))
        reason = hits.failure or reason
    if not times:
        return reason
    table = np.array(times)
    median, p95, p99 = np.percentile(table[:, 0], [50, 95, 99]).tolist()
    extract, search = np.median(table[:, 1:], axis=0).tolist()
    return Latency(median, p95, p99, extract, search, len(times))

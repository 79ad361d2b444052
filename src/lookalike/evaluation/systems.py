"""What is evaluated: an extractor's vectors compared exactly, the library's own search, or a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection
from lookalike.evaluation.file_vectors import file_vectors
from lookalike.evaluation.ground_truth import Truth
from lookalike.evaluation.latency import Latency
from lookalike.evaluation.rankings import (
    Advance,
    Judged,
    Ranked,
    Vectors,
    by_hits,
    by_vectors,
    judge,
)
from lookalike.evaluation.separation import Spread, spread
from lookalike.evaluation.statistics import Interval, intervals
from lookalike.evaluation.thresholds import Thresholds
from lookalike.evaluation.trec import Run
from lookalike.library import Library
from lookalike.stores.interface import Snapshot, Space

WHOLE_BYTES = 600 << 20
"""Of vectors that are held to rank all pictures; larger collections are ranked to a depth by the store,
which reads them from disk block by block."""

CHUNK = 256
"""Questions that are searched together."""

Hits: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows of pictures, best first, and their similarities."""

Kind: TypeAlias = Literal["exact", "index", "run"]


@dataclass(frozen=True, slots=True)
class System:
    """One system, judged.

    name       what it is called: "color", "color (index)", or the name of a run's file
    kind       "exact": compared with every vector; "index": as the library's search answers, with its
               nearest-neighbour index; "run": rankings read from a file
    depth      hits that a ranking has at most; None: all pictures are ranked
    intervals  metric → mean and confidence interval
    kept       of an index, the share of the exact search's first ten that it finds
    """

    name: str
    kind: Kind
    extractor: str
    revision: str
    dim: int
    depth: int | None
    judged: Judged
    intervals: Mapping[str, Interval]
    latency: Latency | None = None
    spread: Spread | None = None
    kept: float | None = None
    pairs: Thresholds | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """How systems are judged.

    cutoffs  k of the metrics with one
    depth    hits of a ranking where not all pictures can be ranked
    kept     hits of each question that are kept (to be written as a run)
    seed     of whatever is drawn
    """

    cutoffs: tuple[int, ...] = (1, 5, 10)
    depth: int = 1000
    kept: int = 10
    seed: int = 0
    advance: Advance | None = field(default=None, compare=False)

    def judge(self, rankings: Iterator[Ranked], truth: Truth) -> Judged:
        return judge(rankings, truth, cutoffs=self.cutoffs, kept=self.kept, advance=self.advance)

    def intervals(self, judged: Judged) -> dict[str, Interval]:
        table = np.stack(list(judged.values.values()))
        return dict(zip(judged.values, intervals(table, seed=self.seed), strict=True))


@dataclass(frozen=True, slots=True)
class Ground:
    """One space of a library, and what it is asked."""

    library: Library
    snapshot: Snapshot
    space: Space
    pictures: Collection
    truth: Truth
    asked: Asked

    def outside(self) -> dict[int, Vectors]:
        """By question, the vector of a file that is none of the pictures."""
        files = self.truth.files
        if not files:
            return {}
        extractor = self.library.extractor(self.space.name)
        made = file_vectors(extractor, list(files.values()), unit=self.space.normalised)
        found = {}
        for at, vector in zip(files, made, strict=True):
            if vector is None:
                raise UsageError(f"cannot ask with {files[at]}: it cannot be read")
            found[at] = vector
        return found

    def searched(self, *, exact: bool) -> Iterator[Hits]:
        """For each question the rows of its hits and their similarities, by the store's search. One more
        than the depth: the question finds itself."""
        pictures, space = self.pictures, self.space
        among = None if len(pictures) == space.count else pictures.ids
        k = min(self.asked.depth + 1, len(pictures))
        outside = self.outside()
        for start in range(0, len(self.truth), CHUNK):
            own = self.truth.rows[start : start + CHUNK]
            queries = self.snapshot.vectors(space.key, pictures.ids[own])
            for at in np.flatnonzero(own < 0).tolist():
                queries[at] = outside[start + at]
            found = self.snapshot.search(space.key, queries, k, among=among, exact=exact)
            rows = pictures.rows(found.ids)
            for ids, row, scores in zip(found.ids, rows, found.similarities, strict=True):
                yield row[ids >= 0], scores[ids >= 0]

    def has_index(self) -> bool:
        """Whether the library's search of this space goes by an index."""
        one = self.snapshot.vectors(self.space.key, self.pictures.ids[:1])
        return not self.snapshot.search(self.space.key, one, 1).exact


def exact(ground: Ground) -> System:
    """An extractor, by exact comparison: all pictures are ranked where memory allows it."""
    space, truth, asked = ground.space, ground.truth, ground.asked
    whole = space.boxes is None and 4 * len(ground.pictures) * space.dim <= WHOLE_BYTES
    if whole:
        rankings = by_vectors(
            ground.snapshot.vectors(space.key, ground.pictures.ids),
            truth,
            similarity=space.similarity,
            outside=ground.outside(),
            unit=space.normalised,
            kept=asked.kept,
        )
    else:
        rankings = by_hits(ground.searched(exact=True), truth)
    judged = asked.judge(rankings, truth)
    return System(
        name=space.name,
        kind="exact",
        extractor=space.name,
        revision=space.revision,
        dim=space.dim,
        depth=None if whole else asked.depth,
        judged=judged,
        intervals=asked.intervals(judged),
        spread=spread(ground.snapshot, space, ground.pictures, truth, seed=asked.seed),
    )


def indexed(ground: Ground, oracle: System) -> System:
    """An extractor as the library's own search answers. `oracle`: the same, exactly."""
    space, asked = ground.space, ground.asked
    judged = asked.judge(by_hits(ground.searched(exact=False), ground.truth), ground.truth)
    shared = [
        len(np.intersect1d(mine[mine >= 0], true[true >= 0])) / max(1, int((true >= 0).sum()))
        for mine, true in zip(judged.best[:, :10], oracle.judged.best[:, :10], strict=True)
    ]
    return System(
        name=f"{space.name} (index)",
        kind="index",
        extractor=space.name,
        revision=space.revision,
        dim=space.dim,
        depth=asked.depth,
        judged=judged,
        intervals=asked.intervals(judged),
        kept=float(np.mean(shared)),
    )


def from_run(name: str, run: Run, pictures: Collection, truth: Truth, asked: Asked) -> System:
    """Rankings read from a file. A question that it does not answer has found nothing; documents that
    are no pictures of the collection keep their places."""

    def hits() -> Iterator[Hits]:
        for question in truth.names:
            ranking = run.get(question, [])
            rows = [pictures.row(document) for document, _ in ranking]
            yield (
                np.array([-2 if row is None else row for row in rows], np.int64),
                np.array([score for _, score in ranking], np.float32),
            )

    judged = asked.judge(by_hits(hits(), truth), truth)
    return System(
        name=name,
        kind="run",
        extractor="",
        revision="",
        dim=0,
        depth=max((len(ranking) for ranking in run.values()), default=0),
        judged=judged,
        intervals=asked.intervals(judged),
    )

"""The ANN index of a space as data, and what a store can do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import Progress


@dataclass(frozen=True, slots=True)
class Index:
    """Facts about the ANN index of a space. It is derived data and can be rebuilt at any time.

    recipe           a FAISS factory string
    recall           recall@10 on held-out vectors of the library, when it was built
    target           the recall that was requested
    milliseconds     median time of a single query on one thread
    bytes            size of its file
    seconds          time to build it, measuring included
    rows             vectors that it covers
    nprobe           how many lists of an inverted file are searched, or ef_search of a graph
    candidates       how many candidates are re-ranked for ten neighbours
    built            when, ISO 8601
    unindexed        vectors added since; they are in the delta index, or compared one by one
    disabled_reason  why it cannot be used, so that searches are exact; "" if it can
    """

    recipe: str
    recall: float
    target: float
    milliseconds: float
    bytes: int
    seconds: float
    rows: int
    nprobe: int
    candidates: int
    built: str
    unindexed: int = 0
    disabled_reason: str = ""

    @property
    def bytes_per_vector(self) -> int:
        """The size of its file divided by the vectors it covers."""
        return round(self.bytes / max(self.rows, 1))


@dataclass(frozen=True, slots=True)
class IndexBuildOptions:
    """How an ANN index is to be built.

    recipe   a FAISS factory string; None: the smallest of the built-in ones that reaches the target
    target   recall@10
    memory   bytes that it may take beside the stored vectors
    threads  for building; None: all cores
    """

    recipe: str | None = None
    target: float = 0.98
    memory: int | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """One measurement of an ANN index against exact search.

    recall              recall@10 on held-out vectors of the library, unindexed ones included
    milliseconds        median time of a query
    exact_milliseconds  the same for exact search
    queries             how many were measured
    rows                vectors of the space
    unindexed           of which so many were not in the index
    when                ISO 8601
    """

    recall: float
    milliseconds: float
    exact_milliseconds: float
    queries: int
    rows: int
    unindexed: int
    when: str


@dataclass(frozen=True, slots=True)
class RecipeResult:
    """One recipe, tried on the vectors of a space and discarded.

    seconds  time to build it on all cores
    bytes    memory beside the stored vectors
    points   (nprobe, recall@10, milliseconds a query on one thread), rising
    failure  why it cannot be built; "" if it can
    """

    recipe: str
    seconds: float = 0.0
    bytes: int = 0
    points: tuple[tuple[int, float, float], ...] = ()
    failure: str = ""


class Indexes(Protocol):
    """The ANN indexes of a store's spaces.

    Readers are never blocked: they use the old index until the new one is complete. All methods raise
    `UsageError` for an unknown space.
    """

    def build(
        self, space: str, options: IndexBuildOptions | None = ..., *, progress: Progress = ...
    ) -> Index:
        """Build an index of all present vectors, in place of an older one.

        `LibraryBusy` if one is being built, `LibraryReadOnly`, `UsageError` for a recipe that does not
        work or a memory limit that cannot be met.
        """
        ...

    def remove(self, space: str) -> bool:
        """Remove the index, so that the space is searched exactly. Return whether there was one."""
        ...

    def check(self, space: str, *, queries: int = ...) -> IndexCheck:
        """Measure the index against exact search, and store the result. `UsageError` without an index."""
        ...

    def compare(
        self, space: str, recipes: Sequence[str] = (), *, progress: Progress = ...
    ) -> list[RecipeResult]:
        """Try recipes (by default the built-in and some usual ones) on the vectors of a space, for rising
        nprobe. The first result is exact search. Nothing is stored."""
        ...

    def history(self, space: str) -> list[IndexCheck]:
        """Return all stored checks, oldest first."""
        ...

"""The index of a space, as data, and what a store can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import Progress


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of the index of a space, its nearest-neighbour structure. It is derived: it can be
    built again at any time.

    recipe        a FAISS factory string
    recall        recall@10 on held-out vectors of the library, when it was built
    target        the recall that was asked for
    milliseconds  a query alone on one thread, the median
    bytes         that its file takes
    seconds       that building took, measuring included
    rows          vectors that it covers; those that came later (`unindexed`) are in another index
                  beside it, or compared one by one
    probe, width  how much it looks at, and how many candidates it proposes for ten neighbours
    built         when, ISO 8601
    trouble       why it cannot be used, so that searches are exact; "" if it can
    """

    recipe: str
    recall: float
    target: float
    milliseconds: float
    bytes: int
    seconds: float
    rows: int
    probe: int
    width: int
    built: str
    unindexed: int = 0
    disabled_reason: str = ""

    @property
    def bytes_per_vector(self) -> int:
        return round(self.bytes / max(self.rows, 1))


@dataclass(frozen=True, slots=True)
class IndexBuildOptions:
    """How an index is to be built.

    recipe   a FAISS factory string; None: the smallest of ours that reaches the target
    target   recall@10
    memory   bytes that it may take beside the stored vectors
    threads  of building; None: all cores
    """

    recipe: str | None = None
    target: float = 0.98
    memory: int | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """One measurement of an index against exact search.

    recall   recall@10 on `queries` vectors of the library, the tail included
    rows     vectors that the space had, of which `unindexed` were not in the index
    when     ISO 8601
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
    """One recipe, tried on the vectors of a space and thrown away.

    seconds  that building took on all cores
    bytes    that it takes beside the stored vectors
    points   (how much is looked at, recall@10, milliseconds a query on one thread), rising
    failure  why it cannot be built; "" if it can
    """

    recipe: str
    seconds: float = 0.0
    bytes: int = 0
    points: tuple[tuple[int, float, float], ...] = ()
    failure: str = ""


class Indexes(Protocol):
    """Building and judging the indexes of spaces. Readers are never in the way: they use the old index
    until the new one is whole. `UsageError` for an unknown space."""

    def build(
        self, space: str, wish: IndexBuildOptions | None = ..., *, progress: Progress = ...
    ) -> Index:
        """A new index of all vectors that are there now, in place of an older one. `LibraryBusy` if one
        is being built, `LibraryReadOnly`, `UsageError` for a recipe or a limit that cannot be kept."""
        ...

    def remove(self, space: str) -> bool:
        """Search this space exactly from now on; whether there was an index."""
        ...

    def check(self, space: str, *, queries: int = ...) -> IndexCheck:
        """Measure the index against exact search, and keep what was found. `UsageError` without one."""
        ...

    def compare(
        self, space: str, recipes: Sequence[str] = (), *, progress: Progress = ...
    ) -> list[RecipeResult]:
        """Try recipes (those of the field and ours, by default) on the vectors of a space, along their
        search parameter; the first of the list is exact search. Nothing is stored."""
        ...

    def history(self, space: str) -> list[IndexCheck]:
        """All checks that were kept, oldest first."""
        ...

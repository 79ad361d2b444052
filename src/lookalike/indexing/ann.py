"""The ANN indexes of a library: building, checking, and when a space needs a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.ann.faiss_index import Progress, no_progress
from lookalike.errors import LibraryBusy, MissingExtra, UsageError
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck, RecipeResult
from lookalike.stores.interface import Space, Store
from lookalike.stores.records import missing_vectors

# Size of the vectors from which on exact search takes some 10 ms, at 10 to 15 GB/s of memory bandwidth; such
# a space gets an index automatically.
LARGE_BYTES = 128 << 20

# Largest number of unindexed vectors, relative to the indexed ones; they cost what exact search costs.
MAX_UNINDEXED_SHARE = 0.2

# Queries of a check: the standard error of the recall is 0.2 %.
CHECK_QUERIES = 500


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking the index of one space.

    problem  what was wrong with the index before; "" if nothing
    check    the last measurement, after rebuilding if that was done; None if there is no usable index
    rebuilt  whether a new index replaced it
    """

    space: Space
    problem: str
    check: IndexCheck | None
    rebuilt: bool

    @property
    def ok(self) -> bool:
        """Whether the space now has an index that reaches its target."""
        return self.check is not None and (self.rebuilt or not self.problem)


class Ann:
    """The ANN indexes of one library. Spaces are named by their extractor."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def build(
        self,
        extractor: str | None = None,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Index]:
        """Build indexes, and return them by the name of their space.

        extractor  build for this space, however small; None: for all that have an index or are large

        Raises `UsageError`, `LibraryBusy`, `LibraryReadOnly`.
        """
        return {
            space.name: self._store.indexes.build(space.key, options, progress=progress)
            for space in self._indexed_or_large(extractor)
        }

    def remove(self, extractor: str | None = None) -> list[str]:
        """Remove the index of a space, or all, so that searches are exact. Return the names of the spaces
        that had one."""
        spaces = [self.space(extractor)] if extractor else self._spaces()
        return [space.name for space in spaces if self._store.indexes.remove(space.key)]

    def check(
        self,
        extractor: str | None = None,
        *,
        queries: int = CHECK_QUERIES,
        rebuild: bool = True,
        progress: Progress = no_progress,
    ) -> list[CheckResult]:
        """Measure every index, or that of one space, against exact search and store the result.

        rebuild  rebuild indexes that miss their target, cannot be used, or leave too many vectors
                 unindexed, and build those that are missing for large spaces
        """
        spaces = self._indexed_or_large(extractor)
        return [self._check(space, queries, rebuild, progress) for space in spaces]

    def history(self, extractor: str) -> list[IndexCheck]:
        """Return all checks of a space's index, oldest first."""
        return self._store.indexes.history(self.space(extractor).key)

    def compare(
        self,
        extractor: str | None = None,
        recipes: Sequence[str] = (),
        *,
        progress: Progress = no_progress,
    ) -> tuple[Space, list[RecipeResult]]:
        """Compare recipes on the vectors of one space (by default the largest), for rising nprobe.
        Nothing is stored."""
        if extractor is None and not self._spaces():
            raise UsageError("this library has no vectors yet: index some images first")
        spaces = [self.space(extractor)] if extractor else self._spaces()
        space = max(spaces, key=lambda space: space.bytes)
        return space, self._store.indexes.compare(space.key, recipes, progress=progress)

    def build_due(self, *, progress: Progress = no_progress) -> dict[str, Index]:
        """Build the indexes that are due, without measuring existing ones.

        Does nothing while another process builds, or where FAISS is not installed.
        """
        built = {}
        for space in self._spaces():
            if rebuild_reason(space):
                try:
                    options = rebuild_options(space.index)
                    built[space.name] = self._store.indexes.build(
                        space.key, options, progress=progress
                    )
                except (LibraryBusy, MissingExtra):
                    break
        return built

    def space(self, extractor: str) -> Space:
        """Return the current space of that extractor. `UsageError` if there is none."""
        spaces = self._spaces()
        for space in spaces:
            if space.name == extractor:
                return space
        raise missing_vectors(extractor, (space.name for space in spaces))

    def _check(self, space: Space, queries: int, rebuild: bool, progress: Progress) -> CheckResult:
        problem, check = rebuild_reason(space), None
        if space.index is not None and not space.index.disabled_reason:
            check = self._store.indexes.check(space.key, queries=queries)
            if not problem and check.recall < space.index.target:
                problem = f"recall {check.recall:.3f} is below {space.index.target:g}"
        if not problem or not rebuild:
            return CheckResult(space, problem, check, False)
        self._store.indexes.build(space.key, rebuild_options(space.index), progress=progress)
        check = self._store.indexes.check(space.key, queries=queries)
        return CheckResult(self.space(space.name), problem, check, True)

    def _indexed_or_large(self, extractor: str | None) -> list[Space]:
        """Return the space of this extractor, or all that have an index or are large."""
        if extractor:
            return [self.space(extractor)]
        return [space for space in self._spaces() if space.index or is_large(space)]

    def _spaces(self) -> list[Space]:
        with self._store.snapshot() as snapshot:
            return [space for space in snapshot.spaces() if space.current]


def is_large(space: Space) -> bool:
    """Return whether exact search is slow in this space."""
    return space.bytes >= LARGE_BYTES and space.boxes is None


def rebuild_reason(space: Space) -> str:
    """Return why the space needs a new index, without measuring; "" if it does not."""
    index = space.index
    if index is None:
        return "there is none" if is_large(space) else ""
    if index.disabled_reason:
        return index.disabled_reason
    if index.unindexed > MAX_UNINDEXED_SHARE * index.rows:
        return f"{index.unindexed:,} vectors were added after it was built"
    return ""


def rebuild_options(index: Index | None) -> IndexBuildOptions:
    """Return the options for replacing this index: the same target, and a newly chosen recipe, because
    there are more vectors now."""
    return IndexBuildOptions(target=index.target) if index and index.target else IndexBuildOptions()

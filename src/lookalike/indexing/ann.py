"""When a space gets an index, when it gets a new one, and whether it is as good as it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.ann.faiss_index import Progress, quiet
from lookalike.errors import LibraryBusy, MissingExtra, UsageError
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck, RecipeResult
from lookalike.stores.interface import Space, Store

LARGE_BYTES = 128 << 20
"""Of vectors from which exact search takes some 10 ms, at the memory's 10 to 15 GB/s; from there on a
space gets an index by itself."""

TAIL_SHARE = 0.2
"""Of vectors that the index does not cover; they cost what exact search costs."""

CHECKED = 500
"""Queries of a check: one standard error of the recall is then 0.2 %."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found of one space, and what was done.

    before   what was wrong with the index; "" if nothing
    check    the last measurement, after rebuilding if that was done; None if none could be made
    rebuilt  a new index took its place
    """

    space: Space
    before: str
    check: IndexCheck | None
    rebuilt: bool

    @property
    def good(self) -> bool:
        """Whether the space is searched as well as was asked for."""
        return self.check is not None and (self.rebuilt or not self.before)


class Ann:
    """The indexes of one library. Spaces are named by their extractor."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def build(
        self,
        by: str | None = None,
        wish: IndexBuildOptions | None = None,
        *,
        progress: Progress = quiet,
    ) -> dict[str, Index]:
        """New indexes, by the name of the space: of the one named, however small, or of all that have
        one or are large enough. `UsageError`, `LibraryBusy`, `LibraryReadOnly`."""
        spaces = [self.space(by)] if by else [s for s in self._spaces() if s.index or large(s)]
        return {
            space.name: self._store.indexes.build(space.key, wish, progress=progress)
            for space in spaces
        }

    def remove(self, by: str | None = None) -> list[str]:
        """Search exactly from now on: in the space named, or in all. Names of those that had one."""
        spaces = [self.space(by)] if by else self._spaces()
        return [space.name for space in spaces if self._store.indexes.remove(space.key)]

    def check(
        self,
        by: str | None = None,
        *,
        queries: int = CHECKED,
        rebuild: bool = True,
        progress: Progress = quiet,
    ) -> list[Verdict]:
        """Measure every index (or that of one space) on `queries` vectors against exact search, keep
        what was found, and build those anew that miss their target, cannot be used, or leave too many
        vectors uncovered; also those that are missing where a space has become large."""
        spaces = [self.space(by)] if by else [s for s in self._spaces() if s.index or large(s)]
        return [self._check(space, queries, rebuild, progress) for space in spaces]

    def history(self, by: str) -> list[IndexCheck]:
        """All checks of a space's index, oldest first."""
        return self._store.indexes.history(self.space(by).key)

    def compare(
        self, by: str | None = None, recipes: Sequence[str] = (), *, progress: Progress = quiet
    ) -> tuple[Space, list[RecipeResult]]:
        """Recipes side by side on the vectors of one space (the largest, by default), along their search
        parameter; nothing is stored."""
        if by is None and not self._spaces():
            raise UsageError("this library has no vectors yet: index some pictures first")
        space = self.space(by) if by else max(self._spaces(), key=lambda space: space.bytes)
        return space, self._store.indexes.compare(space.key, recipes, progress=progress)

    def build_due(self, *, progress: Progress = quiet) -> dict[str, Index]:
        """Build what is due, without measuring what is there; another process that builds is left
        alone, and so are libraries of a machine without FAISS."""
        built = {}
        for space in self._spaces():
            if due(space):
                try:
                    wish = again(space.index)
                    built[space.name] = self._store.indexes.build(
                        space.key, wish, progress=progress
                    )
                except (LibraryBusy, MissingExtra):
                    break
        return built

    def space(self, by: str) -> Space:
        """The current space of that extractor; `UsageError`."""
        spaces = self._spaces()
        for space in spaces:
            if space.name == by:
                return space
        known = ", ".join(space.name for space in spaces) or "none yet"
        raise UsageError(f"this library has no {by} vectors; it has: {known}")

    def _check(self, space: Space, queries: int, rebuild: bool, progress: Progress) -> Verdict:
        wrong, check = due(space), None
        if space.index is not None and not space.index.disabled_reason:
            check = self._store.indexes.check(space.key, queries=queries)
            if not wrong and check.recall < space.index.target:
                wrong = f"recall {check.recall:.3f} is below {space.index.target:g}"
        if not wrong or not rebuild:
            return Verdict(space, wrong, check, False)
        self._store.indexes.build(space.key, again(space.index), progress=progress)
        check = self._store.indexes.check(space.key, queries=queries)
        return Verdict(self.space(space.name), wrong, check, True)

    def _spaces(self) -> list[Space]:
        with self._store.snapshot() as snapshot:
            return [space for space in snapshot.spaces() if space.current]


def large(space: Space) -> bool:
    """Whether exact search would take long in this space."""
    return space.bytes >= LARGE_BYTES and space.boxes is None


def due(space: Space) -> str:
    """Why the space needs a new index, seen from its facts alone; "" if it does not."""
    index = space.index
    if index is None:
        return "there is none" if large(space) else ""
    if index.disabled_reason:
        return index.disabled_reason
    if index.unindexed > TAIL_SHARE * index.rows:
        return f"{index.unindexed:,} vectors came after it was built"
    return ""


def again(index: Index | None) -> IndexBuildOptions:
    """The wish for an index in place of this one: the same target; its recipe is chosen anew, because
    there are more vectors now."""
    return IndexBuildOptions(target=index.target) if index and index.target else IndexBuildOptions()

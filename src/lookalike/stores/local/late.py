"""The index of the vectors that came after the one on the disk was built.

Who writes the vectors also indexes them, some thousand at a time, and readers take over the file. They did it
themselves before, in a thread beside their searches: with the writer that made three threads, and on two
cores one search in a hundred waited five milliseconds for its turn.

Until they are in it, vectors are compared one by one. It is derived, like the index itself: without it, or
where it cannot be read, everything is found all the same, more slowly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.stores.local import index_files as files
from lookalike.stores.local.catalogue import SpaceRow
from lookalike.stores.local.matrix import map_matrix
from lookalike.vectors.ann import AnnIndex
from lookalike.vectors.similarity import Similarity

STEP = 1 << 20
"""Numbers in vectors that may be compared one by one before they are indexed: below a millisecond, in
half precision too."""

SHARE = 16
"""Nor is a new file written for less than this part of what the last one holds: of a million late vectors
each takes 100 MB."""

SLICE = 2048
"""Vectors that are indexed at a time: some milliseconds, and not yet the higher price of few at once."""

SLICES = 16
"""Indexed after one batch, at most, so that nobody waits long where there are many."""


class LateReader:
    """What readers see of it: the newest file, loaded when it is first needed. For any number of threads."""

    def __init__(
        self, library: Path, row: SpaceRow, number: int, recipe: str, similarity: Similarity
    ) -> None:
        self._library, self._row, self._number = library, row, number
        self._recipe, self._similarity = recipe, similarity
        self._seen: files.Stamp | None = None
        self._index: AnnIndex | None = None
        self._lock = threading.Lock()

    def current(self) -> AnnIndex | None:
        """The index of the rows that follow those of the index on the disk; None without one."""
        now = files.late_stamp(self._library, self._row)
        if now != self._seen:
            with self._lock:
                if now != self._seen:
                    self._index = _load(
                        self._library, self._row, self._number, self._recipe, self._similarity
                    )
                    self._seen = now
        return self._index


@dataclass(slots=True)
class _Growing:
    """An index that a writer adds to; `saved` of its rows are in the file."""

    number: int
    start: int
    index: AnnIndex
    saved: int

    @property
    def end(self) -> int:
        return self.start + self.index.count


class LateIndexer:
    """The writer's part: adds what was stored to the indexes of the spaces that have one."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._growing: dict[int, _Growing] = {}

    def follow(self, spaces: Iterable[SpaceRow], *, to_the_end: bool = False) -> None:
        """Index the committed rows of the spaces, some of each or all. Whatever prevents
        it (a full disk, a file that is gone) only makes searches slower."""
        for row in spaces:
            with suppress(OSError, RuntimeError, ValueError, LookalikeError):
                self._follow(row, None if to_the_end else SLICES)

    def _follow(self, row: SpaceRow, slices: int | None) -> None:
        filed = files.read(self._library, row)
        if filed is None or filed.index.trouble or filed.generation != row.generation:
            self._growing.pop(row.id, None)
            return
        growing = self._growing.get(row.id)
        if growing is None or growing.number != filed.number:
            there = files.read_late(self._library, row)
            known = there.count if there is not None and there.number == filed.number else 0
            if (row.rows - filed.index.rows - known) * row.dim < STEP:
                return
            growing = self._growing[row.id] = self._begin(row, filed)
        vectors = map_matrix(self._library, row, np.empty(0, np.int64)).vectors
        starts = range(growing.end, row.rows, SLICE)
        for start in starts if slices is None else starts[:slices]:
            growing.index.add(vectors[start : min(start + SLICE, row.rows)], threads=1)
        unsaved = growing.index.count - growing.saved
        if unsaved * row.dim >= STEP and unsaved * SHARE >= growing.saved:
            files.put_late(self._library, row, growing.number, growing.index)
            growing.saved = growing.index.count

    def _begin(self, row: SpaceRow, filed: files.Filed) -> _Growing:
        recipe, similarity = filed.index.recipe, row.similarity
        late = _load(self._library, row, filed.number, recipe, similarity, to_grow=True)
        if late is None or late.count > row.rows - filed.index.rows:
            trained = files.index_file(self._library, row, filed.number, "trained")
            late = AnnIndex.load(trained, recipe, similarity, to_grow=True)
        return _Growing(filed.number, filed.index.rows, late, late.count)


def _load(
    library: Path,
    row: SpaceRow,
    number: int,
    recipe: str,
    similarity: Similarity,
    *,
    to_grow: bool = False,
) -> AnnIndex | None:
    """The newest late index of the index of that number, if it is there and whole."""
    filed = files.read_late(library, row)
    if filed is None or filed.number != number:
        return None
    path = files.late_file(library, row, number, filed.count)
    try:
        if files.fingerprint_file(path) != filed.fingerprint:
            return None
        index = AnnIndex.load(path, recipe, similarity, to_grow=to_grow)
    except (OSError, ValueError):
        return None
    return index if (index.count, index.index.d) == (filed.count, row.dim) else None

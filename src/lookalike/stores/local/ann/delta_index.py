"""The index of the vectors that came after the one on the disk was built.

Who writes the vectors also indexes them, some thousand at a time, and readers take over the file. They did it
themselves before, in a thread beside their searches: with the writer that made three threads, and on two
cores one search in a hundred waited five milliseconds for its turn.

Until they are in it, vectors are compared one by one. It is derived, like the index itself: without it, or
where it cannot be read, everything is found all the same, more slowly.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.ann.faiss_index import AnnIndex
from lookalike.stores.local.ann import index_files as files
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import map_vectors
from lookalike.vectors.blocks import Floats

log = logging.getLogger(__name__)

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

    def __init__(self, library: Path, row: SpaceRow, filed: files.Filed) -> None:
        self._library, self._row, self._filed = library, row, filed
        self._seen: files.Stamp | None = None
        self._index: AnnIndex | None = None
        self._lock = threading.Lock()

    def current(self, vectors: Floats) -> AnnIndex | None:
        """The index of the rows that follow those of the index on the disk; None without one.

        vectors  all rows of the view that asks, which may be older than the index
        """
        if files.late_stamp(self._library, self._row) != self._seen:
            with self._lock:
                now = files.late_stamp(self._library, self._row)
                if now != self._seen and self._can_judge(vectors):
                    index = _load(self._library, self._row, self._filed, vectors)
                    # What was loaded before covers less, but is as right as ever.
                    self._index, self._seen = index or self._index, now
        return self._index

    def _can_judge(self, vectors: Floats) -> bool:
        """Whether this view has all rows of the newest file; a later one will."""
        there = files.read_late(self._library, self._row)
        return there is None or self._filed.index.rows + there.count <= len(vectors)


@dataclass(slots=True)
class _Growing:
    """An index that a writer adds to, of the rows behind those of `filed`; `saved` of them are in the
    file."""

    filed: files.Filed
    index: AnnIndex
    saved: int

    @property
    def end(self) -> int:
        return self.filed.index.rows + self.index.count

    def belongs_to(self, filed: files.Filed) -> bool:
        mine = self.filed
        return (mine.number, mine.fingerprint) == (filed.number, filed.fingerprint)


class LateIndexer:
    """The writer's part: adds what was stored to the indexes of the spaces that have one."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._growing: dict[int, _Growing] = {}

    def follow(self, spaces: Collection[SpaceRow], *, to_the_end: bool = False) -> None:
        """Index the committed rows of the spaces, which are all that have an index: some of each, or
        all. Whatever prevents it (a full disk, a file that is gone) only makes searches slower."""
        for gone in self._growing.keys() - {row.id for row in spaces}:
            del self._growing[gone]
        for row in spaces:
            try:
                self._follow(row, None if to_the_end else SLICES)
            except Exception as error:  # what was stored is stored
                log.debug("new vectors of %s are not indexed: %s", row.name, error)

    def _follow(self, row: SpaceRow, slices: int | None) -> None:
        filed = files.read(self._library, row)
        if filed is None or filed.index.disabled_reason or filed.generation != row.generation:
            self._growing.pop(row.id, None)
            return
        growing = self._growing.get(row.id)
        if growing is not None and not growing.belongs_to(filed):
            del self._growing[row.id]
            growing = None
        if not _worth(row, row.rows - filed.index.rows, 0):
            return
        vectors = map_vectors(self._library, row, np.empty(0, np.int64)).vectors
        if growing is None:
            there = _found(self._library, row, filed, vectors)
            known = 0 if there is None else there.count
            if not _worth(row, row.rows - filed.index.rows - known, known):
                return
            growing = self._growing[row.id] = self._begin(row, filed, vectors)
        self._grow(row, growing, vectors, slices)
        if _worth(row, growing.index.count - growing.saved, growing.saved):
            growing.saved = growing.index.count  # if this fails, it is not tried at each batch
            files.put_late(
                self._library, row, filed, growing.index, vectors[filed.index.rows : growing.end]
            )

    def _grow(self, row: SpaceRow, growing: _Growing, vectors: Floats, slices: int | None) -> None:
        starts = range(growing.end, len(vectors), SLICE)
        try:
            for start in starts if slices is None else starts[:slices]:
                growing.index.add(vectors[start : start + SLICE], threads=1)
        except BaseException:
            del self._growing[row.id]  # if some of them were added, the next would be misnamed
            raise

    def _begin(self, row: SpaceRow, filed: files.Filed, vectors: Floats) -> _Growing:
        late = _load(self._library, row, filed, vectors, to_grow=True)
        if late is None:
            trained = files.index_file(self._library, row, filed.number, "trained")
            if filed.trained and files.fingerprint_file(trained) != filed.trained:
                raise ValueError(f"{trained.name} is not the file that was written")
            late = AnnIndex.load(trained, filed.index.recipe, row.similarity, to_grow=True)
            if (late.count, late.index.d) != (0, row.dim):
                raise ValueError(f"{trained.name} belongs to another index")
        return _Growing(filed, late, late.count)


def _worth(row: SpaceRow, more: int, saved: int) -> bool:
    """Whether so many more vectors than those that were saved are worth a file."""
    return more * row.dim >= STEP and more * SHARE >= saved


def _found(
    library: Path, row: SpaceRow, filed: files.Filed, vectors: Floats
) -> files.LateFiled | None:
    """The newest late file, if it is whole, and of these vectors behind that index."""
    there = files.read_late(library, row)
    if there is None or (there.number, there.of) != (filed.number, filed.fingerprint):
        return None
    rows = vectors[filed.index.rows :]
    if not 0 < there.count <= len(rows):
        return None
    if files.fingerprint_rows(rows, there.count) != there.vectors:
        return None
    try:
        path = files.late_file(library, row, there.number, there.count)
        return there if files.fingerprint_file(path) == there.fingerprint else None
    except OSError:
        return None


def _load(
    library: Path,
    row: SpaceRow,
    filed: files.Filed,
    vectors: Floats,
    *,
    to_grow: bool = False,
) -> AnnIndex | None:
    """The index in the file that `_found` finds."""
    there = _found(library, row, filed, vectors)
    if there is None:
        return None
    path = files.late_file(library, row, there.number, there.count)
    try:
        index = AnnIndex.load(path, filed.index.recipe, row.similarity, to_grow=to_grow)
    except ValueError:
        return None
    return index if (index.count, index.index.d) == (there.count, row.dim) else None

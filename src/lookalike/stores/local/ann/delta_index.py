"""The delta index: an ANN index over the vectors that were added after the main index was built.

The writer maintains it, a few thousand vectors at a time; readers load the file. (When readers built it
themselves, in a thread beside their searches, one search in a hundred waited five milliseconds for its
turn on two cores.)

Vectors that are not in it yet are compared one by one. It is derived, like the main index: without it,
or if it cannot be read, everything is still found, only more slowly.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.ann import untrusted_index
from lookalike.ann.faiss_index import AnnIndex
from lookalike.stores.local import bus_errors
from lookalike.stores.local.ann import index_files as files
from lookalike.stores.local.ann.index_files import DeltaManifest, IndexManifest
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import damaged_error, map_vectors
from lookalike.vectors.blocks import Floats

log = logging.getLogger(__name__)

# Unindexed numbers (vectors · dim) from which on they are added to the delta index: below, comparing one by
# one takes less than a millisecond, for float16 too.
MIN_NUMBERS = 1 << 20

# A new file is written only for at least this part (1/16) of what the last one holds: with a million
# vectors each file takes 100 MB.
MIN_SHARE = 16

# Vectors that are added at a time: a few milliseconds. Adding fewer at once costs more per vector.
CHUNK = 2048

# Chunks that are added after one batch, so that a writer with a large backlog is not held up.
MAX_CHUNKS = 16


class DeltaIndexReader:
    """The newest delta index of a space, loaded when it is first needed. Thread-safe."""

    def __init__(self, library: Path, row: SpaceRow, manifest: IndexManifest) -> None:
        self._library, self._row, self._manifest = library, row, manifest
        self._loaded: files.Stamp | None = None
        self._index: AnnIndex | None = None
        self._lock = threading.Lock()

    def current(self, vectors: Floats) -> AnnIndex | None:
        """Return the index of the rows after those of the main index; None if there is none.

        vectors  all rows of the caller's snapshot, which may be older than the delta index
        """
        if files.delta_stamp(self._library, self._row) != self._loaded:
            with self._lock:
                now = files.delta_stamp(self._library, self._row)
                if now != self._loaded and self._covered_by(vectors):
                    index = _load(self._library, self._row, self._manifest, vectors)
                    # If this fails: what was loaded before covers less, but is still valid.
                    self._index, self._loaded = index or self._index, now
        return self._index

    def _covered_by(self, vectors: Floats) -> bool:
        """Return whether this snapshot has all rows of the newest file, so that it can be verified."""
        delta = files.read_delta_manifest(self._library, self._row)
        return delta is None or self._manifest.index.rows + delta.count <= len(vectors)


@dataclass(slots=True)
class _Growing:
    """A delta index in the writer's memory, after the main index of `manifest`; the first `saved` of its
    vectors are in the file."""

    manifest: IndexManifest
    index: AnnIndex
    saved: int

    @property
    def end(self) -> int:
        return self.manifest.index.rows + self.index.count

    def belongs_to(self, manifest: IndexManifest) -> bool:
        mine = self.manifest
        return (mine.number, mine.fingerprint) == (manifest.number, manifest.fingerprint)


class DeltaIndexWriter:
    """Adds new vectors to the delta indexes of the spaces that have an ANN index."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._growing: dict[int, _Growing] = {}

    def update(self, spaces: Collection[SpaceRow], *, complete: bool = False) -> None:
        """Index the committed rows of these spaces: a limited number, or all if `complete`.

        spaces  all spaces that have an ANN index

        Failures (a full disk, a missing file) are only logged: they make searches slower, not wrong.
        """
        for gone in self._growing.keys() - {row.id for row in spaces}:
            del self._growing[gone]
        for row in spaces:
            try:
                self._update(row, None if complete else MAX_CHUNKS)
            except Exception as error:  # the vectors themselves are stored
                log.debug("new vectors of %s are not indexed: %s", row.name, error)

    def _update(self, row: SpaceRow, max_chunks: int | None) -> None:
        manifest = files.read_manifest(self._library, row)
        if (
            manifest is None
            or manifest.index.disabled_reason
            or manifest.generation != row.generation
        ):
            self._growing.pop(row.id, None)
            return
        growing = self._growing.get(row.id)
        if growing is not None and not growing.belongs_to(manifest):
            del self._growing[row.id]
            growing = None
        faults = bus_errors.faults()
        unindexed = row.rows - manifest.index.rows
        if not _worth_writing(row, unindexed, 0):
            return
        vectors = map_vectors(self._library, row, np.empty(0, np.int64)).vectors
        if growing is None:
            delta = _verified_manifest(self._library, row, manifest, vectors)
            saved = 0 if delta is None else delta.count
            if not _worth_writing(row, unindexed - saved, saved):
                return
            growing = self._growing[row.id] = self._begin(row, manifest, vectors)
        self._add(row, growing, vectors, max_chunks)
        if faults != bus_errors.faults():  # some of the vectors may have been zeros
            del self._growing[row.id]
            raise damaged_error(self._library, row)
        if _worth_writing(row, growing.index.count - growing.saved, growing.saved):
            growing.saved = growing.index.count  # if saving fails, not every batch tries again
            rows = vectors[manifest.index.rows : growing.end]
            files.save_delta(self._library, row, manifest, growing.index, rows)

    def _add(
        self, row: SpaceRow, growing: _Growing, vectors: Floats, max_chunks: int | None
    ) -> None:
        starts = range(growing.end, len(vectors), CHUNK)
        try:
            for start in starts if max_chunks is None else starts[:max_chunks]:
                growing.index.add(vectors[start : start + CHUNK], threads=1)
        except BaseException:
            del self._growing[
                row.id
            ]  # if part of a chunk was added, later row numbers would be wrong
            raise

    def _begin(self, row: SpaceRow, manifest: IndexManifest, vectors: Floats) -> _Growing:
        """Continue the delta index in the file, or start with an empty one."""
        index = _load(self._library, row, manifest, vectors, writable=True)
        if index is None:
            trained = files.index_file(self._library, row, manifest.number, "trained")
            if manifest.trained and files.fingerprint_file(trained) != manifest.trained:
                raise ValueError(f"{trained.name} is not the file that was written")
            index = untrusted_index.load(
                trained, manifest.index.recipe, row.similarity, writable=True
            )
            if (index.count, index.index.d) != (0, row.dim):
                raise ValueError(f"{trained.name} belongs to another index")
        return _Growing(manifest, index, index.count)


def _worth_writing(row: SpaceRow, unsaved: int, saved: int) -> bool:
    """Return whether so many vectors beyond the saved ones justify a new file."""
    return unsaved * row.dim >= MIN_NUMBERS and unsaved * MIN_SHARE >= saved


def _verified_manifest(
    library: Path, row: SpaceRow, manifest: IndexManifest, vectors: Floats
) -> DeltaManifest | None:
    """Return the manifest of the delta index, if its file is intact and it belongs to these vectors and
    this main index."""
    delta = files.read_delta_manifest(library, row)
    if delta is None or (delta.number, delta.of) != (manifest.number, manifest.fingerprint):
        return None
    rows = vectors[manifest.index.rows :]
    if not 0 < delta.count <= len(rows):
        return None
    if files.fingerprint_rows(rows, delta.count) != delta.vectors:
        return None
    try:
        path = files.delta_file(library, row, delta.number, delta.count)
        return delta if files.fingerprint_file(path) == delta.fingerprint else None
    except OSError:
        return None


def _load(
    library: Path,
    row: SpaceRow,
    manifest: IndexManifest,
    vectors: Floats,
    *,
    writable: bool = False,
) -> AnnIndex | None:
    """Load the delta index if `_verified_manifest` accepts it."""
    delta = _verified_manifest(library, row, manifest, vectors)
    if delta is None:
        return None
    path = files.delta_file(library, row, delta.number, delta.count)
    try:
        index = untrusted_index.load(path, manifest.index.recipe, row.similarity, writable=writable)
    except ValueError:
        return None
    return index if (index.count, index.index.d) == (delta.count, row.dim) else None

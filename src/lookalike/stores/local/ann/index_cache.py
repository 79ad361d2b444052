"""The indexes of an open library: what their files say, and loaded when they are first searched."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.stores.ann_index import Index
from lookalike.stores.local.ann import index_files as files
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import MappedVectors

if TYPE_CHECKING:
    from lookalike.stores.local.ann.ann_search import Ready


class Shelf:
    """The indexes of an open library, each loaded when it is first searched. For any number of threads."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._filed: dict[int, tuple[files.Stamp, files.Filed | None]] = {}
        self._ready: dict[int, tuple[files.Stamp, Ready | None, str]] = {}
        self._mismatches: dict[int, tuple[files.Stamp, int, str]] = {}
        self._lock = threading.Lock()

    def stamp(self, row: SpaceRow) -> files.Stamp | None:
        return files.stamp(self._library, row)

    def facts(self, row: SpaceRow) -> Index | None:
        """What is known of the space's index, and why it is not used, if that is so."""
        filed, now = self._read(row), self.stamp(row)
        if filed is None or now is None:
            return None
        index = replace(filed.index, unindexed=max(0, row.rows - filed.index.rows))
        loaded, _, disabled_reason = self._ready.get(row.id, (None, None, ""))
        if loaded != now or not disabled_reason:
            disabled_reason = index.disabled_reason or self._mismatch(row, filed, now)
        return replace(index, disabled_reason=disabled_reason)

    def ready(self, row: SpaceRow, matrix: MappedVectors) -> Ready | None:
        """The index to search with; None where there is none that can be trusted."""
        filed, now = self._read(row), self.stamp(row)
        if filed is None or now is None or filed.generation != row.generation:
            return None
        if filed.index.rows > len(matrix.ids):
            return None  # a view that is older than the index: it is searched exactly
        with self._lock:
            kept = self._ready.get(row.id)
            if kept is None or kept[0] != now:
                ready, disabled_reason = self._load(row, matrix, filed, now)
                kept = (now, ready, disabled_reason)
                self._ready[row.id] = kept
        return kept[1]

    def clear(self) -> None:
        with self._lock:
            for kept in (self._ready, self._filed, self._mismatches):
                kept.clear()

    def _read(self, row: SpaceRow) -> files.Filed | None:
        now = self.stamp(row)
        if now is None:
            self._filed.pop(row.id, None)
            return None
        kept = self._filed.get(row.id)
        if kept is None or kept[0] != now:
            kept = (now, files.read(self._library, row))
            self._filed[row.id] = kept
        return kept[1]

    def _mismatch(self, row: SpaceRow, filed: files.Filed, now: files.Stamp) -> str:
        """Why the files cannot be what their facts say; "" if they can. Looked at once."""
        if filed.generation != row.generation:
            return "the vectors were compacted since it was built"
        kept = self._mismatches.get(row.id)
        if kept is not None and kept[:2] == (now, row.generation):
            return kept[2]
        path = files.index_file(self._library, row, filed.number)
        said = ""
        try:
            if files.fingerprint_file(path) != filed.fingerprint:
                said = f"{path.name} is not the file that was written"
        except OSError:
            said = f"{path.name} is missing or cannot be read"
        self._mismatches[row.id] = (now, row.generation, said)
        return said

    def _load(
        self, row: SpaceRow, matrix: MappedVectors, filed: files.Filed, now: files.Stamp
    ) -> tuple[Ready | None, str]:
        if disabled_reason := filed.index.disabled_reason or self._mismatch(row, filed, now):
            return None, disabled_reason
        count = filed.index.rows
        if files.fingerprint_rows(matrix.vectors, count) != filed.vectors:
            return None, "it belongs to other vectors"
        from lookalike.ann.faiss_index import AnnIndex
        from lookalike.ann.tuning import Effort
        from lookalike.stores.local.ann.ann_search import Ready
        from lookalike.stores.local.ann.delta_index import LateReader

        path = files.index_file(self._library, row, filed.number)
        try:
            index = AnnIndex.load(path, filed.index.recipe, row.similarity)
        except ValueError as error:
            return None, f"{path.name} cannot be read: {error}"
        if index.count != count or index.index.d != row.dim:
            return None, f"{path.name} does not hold {count:,} vectors of {row.dim} numbers"
        effort = Effort(filed.index.probe, filed.index.width)
        late = LateReader(self._library, row, filed)
        return Ready(index, effort, filed.generation, late), ""

"""The ANN indexes of an open library: their manifests, and the indexes, loaded when first searched."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.stores.ann_index import Index
from lookalike.stores.local.ann import index_files as files
from lookalike.stores.local.ann.index_files import IndexManifest, Stamp
from lookalike.stores.local.database import SpaceRow
from lookalike.stores.local.vector_file import MappedVectors

if TYPE_CHECKING:
    from lookalike.stores.local.ann.ann_search import LoadedIndex


class IndexCache:
    """Caches the manifest and the loaded index of each space. Thread-safe."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._manifests: dict[int, tuple[Stamp, IndexManifest | None]] = {}
        self._loaded: dict[int, tuple[Stamp, LoadedIndex | None, str]] = {}
        self._mismatches: dict[int, tuple[Stamp, int, str]] = {}
        self._lock = threading.Lock()

    def stamp(self, row: SpaceRow) -> Stamp | None:
        """Return a value that changes when another index comes into use; None without an index."""
        return files.stamp(self._library, row)

    def info(self, row: SpaceRow, now: Stamp | None) -> Index | None:
        """Return what is known of the space's index, with the reason if it cannot be used; None without
        an index. `now`: its `stamp`."""
        manifest = self._manifest(row, now)
        if manifest is None or now is None:
            return None
        index = manifest.index
        loaded, _, disabled_reason = self._loaded.get(row.id, (None, None, ""))
        if loaded != now or not disabled_reason:
            disabled_reason = index.disabled_reason or self._mismatch(row, manifest, now)
        unindexed = max(0, row.rows - index.rows)
        if (unindexed, disabled_reason) == (index.unindexed, index.disabled_reason):
            return index
        return replace(index, unindexed=unindexed, disabled_reason=disabled_reason)

    def get(self, row: SpaceRow, matrix: MappedVectors, now: Stamp | None) -> LoadedIndex | None:
        """Return the index to search with; None if there is none that can be trusted. `now`: its `stamp`."""
        manifest = self._manifest(row, now)
        if manifest is None or now is None or manifest.generation != row.generation:
            return None
        if manifest.index.rows > len(matrix.ids):
            return None  # a snapshot that is older than the index: it is searched exactly
        cached = self._loaded.get(row.id)
        if cached is None or cached[0] != now:
            with self._lock:
                cached = self._loaded.get(row.id)
                if cached is None or cached[0] != now:
                    cached = (now, *self._load(row, matrix, manifest, now))
                    self._loaded[row.id] = cached
        return cached[1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            for cache in (self._loaded, self._manifests, self._mismatches):
                cache.clear()

    def _manifest(self, row: SpaceRow, now: Stamp | None) -> IndexManifest | None:
        if now is None:
            self._manifests.pop(row.id, None)
            return None
        cached = self._manifests.get(row.id)
        if cached is None or cached[0] != now:
            cached = (now, files.read_manifest(self._library, row))
            self._manifests[row.id] = cached
        return cached[1]

    def _mismatch(self, row: SpaceRow, manifest: IndexManifest, now: Stamp) -> str:
        """Return why the index's file does not match its manifest; "" if it does. Checked once."""
        if manifest.generation != row.generation:
            return "the vectors were compacted since it was built"
        cached = self._mismatches.get(row.id)
        if cached is not None and cached[:2] == (now, row.generation):
            return cached[2]
        path = files.index_file(self._library, row, manifest.number)
        reason = ""
        try:
            if files.fingerprint_file(path) != manifest.fingerprint:
                reason = f"{path.name} is not the file that was written"
        except OSError:
            reason = f"{path.name} is missing or cannot be read"
        self._mismatches[row.id] = (now, row.generation, reason)
        return reason

    def _load(
        self, row: SpaceRow, matrix: MappedVectors, manifest: IndexManifest, now: Stamp
    ) -> tuple[LoadedIndex | None, str]:
        """Load the index, or return why it cannot be used."""
        if reason := manifest.index.disabled_reason or self._mismatch(row, manifest, now):
            return None, reason
        count = manifest.index.rows
        if files.fingerprint_rows(matrix.vectors, count) != manifest.vectors:
            return None, "it belongs to other vectors"
        from lookalike.ann import untrusted_index
        from lookalike.ann.tuning import SearchParams
        from lookalike.stores.local.ann.ann_search import LoadedIndex
        from lookalike.stores.local.ann.delta_index import DeltaIndexReader

        path = files.index_file(self._library, row, manifest.number)
        try:
            index = untrusted_index.load(path, manifest.index.recipe, row.similarity)
        except ValueError as error:
            return None, f"{path.name} cannot be read: {error}"
        if index.count != count or index.index.d != row.dim:
            return None, f"{path.name} does not hold {count:,} vectors of {row.dim} dimensions"
        params = SearchParams(manifest.index.nprobe, manifest.index.candidates)
        delta = DeltaIndexReader(self._library, row, manifest)
        return LoadedIndex(index, params, manifest.generation, delta), ""

"""Measures the detail of images in worker processes, and remembers it in the library by content."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from lookalike.duplicates.detail import Detail
from lookalike.duplicates.pair_verifier import ImageFile
from lookalike.errors import LibraryBusy, LibraryReadOnly, StorageFull
from lookalike.stores.interface import Snapshot, Store

# Changes whenever the results change. Details are stored as comparisons of a content with itself.
REVISION = "detail-2"


class DetailReader:
    """Measures images and remembers the results.

    files    returns the files of images by id
    measure  yields the detail of each of some files, None for one that cannot be read
    """

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        files: Callable[[Iterable[int]], Mapping[int, ImageFile]],
        measure: Callable[[Iterable[ImageFile]], Iterator[Detail | None]],
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._files = files
        self._found: dict[int, Detail | None] = {}
        self._measure = measure

    def measure(self, ids: Iterable[int]) -> None:
        """Measure these images, unless it is known what was measured in their contents."""
        files = self._files(sorted(id for id in {*ids} if id not in self._found))
        contents = {(file.hash, file.hash) for file in files.values() if file.hash}
        known = self._snapshot.comparisons(contents, REVISION)
        fresh: dict[tuple[bytes, bytes], str] = {}
        for id, file in files.items():
            text = known.get((file.hash, file.hash)) if file.hash else None
            if text is not None:
                self._found[id] = _decoded(text)
        missing = [id for id in files if id not in self._found]
        for id, detail in zip(missing, self._measure(files[id] for id in missing), strict=True):
            self._found[id] = detail
            hash = files[id].hash
            if detail and hash:
                fresh[hash, hash] = _encoded(detail)
        self._remember(fresh)

    def _remember(self, fresh: Mapping[tuple[bytes, bytes], str]) -> None:
        """Store results, if the library can be written to now."""
        if not fresh or self._store.read_only:
            return
        try:
            with self._store.writer() as writer:
                writer.put_comparisons(fresh, REVISION)
        except (LibraryBusy, LibraryReadOnly, StorageFull):
            return

    def get(self, id: int) -> Detail | None:
        """Return what was measured in an image; None if nothing was."""
        return self._found.get(id)


def _encoded(detail: Detail) -> str:
    sample = base64.b64encode(detail.sample).decode()
    measured = [detail.pixels, detail.filled, detail.color, detail.was_jpeg, sample, detail.reduced]
    return json.dumps(measured)


def _decoded(text: str) -> Detail:
    pixels, filled, color, was_jpeg, sample, reduced = json.loads(text)
    return Detail(pixels, filled, color, was_jpeg, base64.b64decode(sample), reduced)

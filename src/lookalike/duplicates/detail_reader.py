"""Measures the detail of images in worker processes, and remembers it in the library by content."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from lookalike.duplicates.detail import LOSSLESS, Detail, measure
from lookalike.duplicates.pair_verifier import ImageFile
from lookalike.errors import ImageError, LibraryBusy, LibraryReadOnly, StorageFull
from lookalike.images.decode import decode
from lookalike.images.reading import read
from lookalike.stores.interface import Snapshot, Store
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

# Changes whenever the results change. Details are stored as comparisons of a content with itself.
REVISION = "detail-1"


@dataclass(frozen=True, slots=True)
class MeasureWorker:
    """Runs in a worker process. Returns None for a file that is missing, changed or broken."""

    limits: Limits

    def __call__(self, file: ImageFile) -> Detail | Failure | None:
        try:
            content = read(file.path)
            if file.hash is not None and content.digest != file.hash:
                return None
            decoded = decode(content, specs=[], limits=self.limits, name=file.path)
        except ImageError:
            return None
        return measure(decoded.pixels, lossless=decoded.facts.format in LOSSLESS)


class DetailReader:
    """Measures images and remembers the results. Close it: it owns worker processes."""

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        files: Callable[[Iterable[int]], Mapping[int, ImageFile]],
        *,
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._files = files
        self._found: dict[int, Detail | None] = {}
        limits = limits or Limits()
        self._pool: Pool[ImageFile, Detail | Failure | None] = Pool(
            MeasureWorker(limits), limits=limits
        )

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
        measured = self._pool.map(files[id] for id in missing)
        for id, found in zip(missing, measured, strict=True):
            detail = self._found[id] = found if isinstance(found, Detail) else None
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker processes."""
        self._pool.close()


def _encoded(detail: Detail) -> str:
    sample = base64.b64encode(detail.sample).decode()
    return json.dumps([detail.pixels, detail.filled, detail.color, detail.was_jpeg, sample])


def _decoded(text: str) -> Detail:
    pixels, filled, color, was_jpeg, sample = json.loads(text)
    return Detail(pixels, filled, color, was_jpeg, base64.b64decode(sample))

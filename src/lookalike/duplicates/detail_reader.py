"""Measures the detail of images in worker processes, each content once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from lookalike.duplicates.detail import Detail, measure
from lookalike.duplicates.pair_verifier import ImageFile
from lookalike.errors import ImageError
from lookalike.images.decode import decode
from lookalike.images.reading import read
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool


@dataclass(frozen=True, slots=True)
class MeasureWorker:
    """Runs in a worker process. Returns None for a file that is missing, changed or broken."""

    limits: Limits

    def __call__(self, file: ImageFile) -> Detail | Failure | None:
        try:
            content = read(file.path)
            if file.hash is not None and content.digest != file.hash:
                return None
            decoded = decode(content.data, specs=[], limits=self.limits, name=file.path)
        except ImageError:
            return None
        return measure(decoded.pixels)


class DetailReader:
    """Measures images and caches the results. Close it: it owns worker processes."""

    def __init__(
        self,
        files: Callable[[Iterable[int]], Mapping[int, ImageFile]],
        *,
        limits: Limits | None = None,
        workers: int | None = None,
    ) -> None:
        self._files = files
        self._found: dict[int, Detail | None] = {}
        limits = limits or Limits()
        self._pool: Pool[ImageFile, Detail | Failure | None] = Pool(
            MeasureWorker(limits), workers=workers, limits=limits
        )

    def measure(self, ids: Iterable[int]) -> None:
        """Measure these images."""
        fresh = sorted(id for id in {*ids} if id not in self._found)
        files = self._files(fresh)
        for id, found in zip(fresh, self._pool.map(files[id] for id in fresh), strict=True):
            self._found[id] = found if isinstance(found, Detail) else None

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

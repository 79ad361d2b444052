"""Compares the pixels of image pairs in worker processes, reading each file as rarely as possible."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from lookalike.duplicates.grouping import Pair
from lookalike.duplicates.pixel_compare import PIXELS, GreyImage, PixelMatch, compare_pixels
from lookalike.errors import ImageError
from lookalike.images.decode import decode
from lookalike.images.reading import read
from lookalike.images.resize import fit
from lookalike.stores.interface import Snapshot
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

# Images that one task compares with another: a dozen keypoint extractions and comparisons take a second.
TASK_SIZE = 6

# Images that a worker caches, 200 KB each.
CACHE_SIZE = 256

# A task reads several files, so it gets a multiple of the time limit of one.
TIMEOUT_FACTOR = 4


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The path of an image and the SHA-256 of its content when it was indexed."""

    path: str
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class CompareTask:
    """An image, and others to compare it with."""

    one: ImageFile
    others: tuple[ImageFile, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison. `readable` is False where a file is missing, changed or broken."""

    match: PixelMatch | None
    readable: bool = True


UNREADABLE = Comparison(None, readable=False)


@dataclass(frozen=True, slots=True)
class CompareWorker:
    """Runs in a worker process; caches the images read last."""

    limits: Limits
    cache: OrderedDict[ImageFile, GreyImage | None] = field(default_factory=OrderedDict)

    def __call__(self, task: CompareTask) -> list[Comparison] | Failure:
        one = self._load(task.one)
        return [self._compare(one, self._load(other)) for other in task.others]

    def _compare(self, one: GreyImage | None, other: GreyImage | None) -> Comparison:
        if one is None or other is None:
            return UNREADABLE
        return Comparison(compare_pixels(one, other))

    def _load(self, file: ImageFile) -> GreyImage | None:
        if file not in self.cache:
            self.cache[file] = _read(file, self.limits)
            while len(self.cache) > CACHE_SIZE:
                self.cache.popitem(last=False)
        self.cache.move_to_end(file)
        return self.cache[file]


def _read(file: ImageFile, limits: Limits) -> GreyImage | None:
    try:
        content = read(file.path)
        if file.hash is not None and content.digest != file.hash:
            return None
        decoded = decode(content.data, specs=[PIXELS], limits=limits, name=file.path)
    except ImageError:
        return None
    return GreyImage(fit(decoded.pixels, PIXELS))


def files_of(snapshot: Snapshot) -> Callable[[Iterable[int]], dict[int, ImageFile]]:
    """Return a function that looks up the files of images by id."""
    roots = {root.id: root.path for root in snapshot.roots()}

    def files(ids: Iterable[int]) -> dict[int, ImageFile]:
        return {
            id: ImageFile(os.fspath(roots[image.root] / image.path), image.hash)
            for id, image in snapshot.images(ids).items()
        }

    return files


class PairVerifier:
    """Compares pairs of images and caches the results. Close it: it owns worker processes."""

    def __init__(
        self,
        files: Callable[[Iterable[int]], Mapping[int, ImageFile]],
        *,
        limits: Limits | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._files = files
        self._progress = progress
        self._comparisons: dict[Pair, Comparison] = {}
        self._pool: Pool[CompareTask, list[Comparison] | Failure] = Pool(
            CompareWorker(limits),
            workers=workers,
            limits=replace(limits, timeout=TIMEOUT_FACTOR * limits.timeout),
        )

    def compare(self, pairs: Sequence[Pair]) -> dict[Pair, Comparison]:
        """Return the comparison of every pair. Calls `progress` with (done, total)."""
        fresh = sorted(p for p in {*pairs} if p not in self._comparisons)
        total = len(self._comparisons) + len(fresh)
        files = self._files({id for p in fresh for id in p})
        partners: dict[int, list[int]] = {}
        for one, other in fresh:
            partners.setdefault(one, []).append(other)
        work = [
            (one, others[start : start + TASK_SIZE])
            for one, others in partners.items()
            for start in range(0, len(others), TASK_SIZE)
        ]
        tasks = (
            CompareTask(files[one], tuple(files[other] for other in others)) for one, others in work
        )
        for (one, others), found in zip(work, self._pool.map(tasks), strict=True):
            if isinstance(found, Failure):
                found = [UNREADABLE] * len(others)
            for other, comparison in zip(others, found, strict=True):
                self._comparisons[one, other] = comparison
            if self._progress:
                self._progress(len(self._comparisons), total)
        return {p: self._comparisons[p] for p in pairs}

    @property
    def compared(self) -> int:
        """Pairs whose pixels were compared."""
        return sum(comparison.readable for comparison in self._comparisons.values())

    @property
    def unreadable(self) -> int:
        """Pairs that could not be compared."""
        return len(self._comparisons) - self.compared

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker processes."""
        self._pool.close()

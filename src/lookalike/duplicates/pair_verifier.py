"""Compares the pixels of image pairs in worker processes, reading each file as rarely as possible."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from lookalike.duplicates.comparison import UNREADABLE, ComparedFile, Comparison, compare_files
from lookalike.duplicates.comparison_memory import ComparisonMemory, Contents
from lookalike.duplicates.detail import LOSSLESS, Detail, measure
from lookalike.duplicates.grouping import Pair, pair
from lookalike.duplicates.pixel_compare import PIXELS, GreyImage
from lookalike.errors import ImageError, Outcome
from lookalike.images.decode import decode, decode_frame
from lookalike.images.formats import VIDEO_FORMATS
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import Content, read
from lookalike.images.resize import MAX_ASPECT_RATIO, fit
from lookalike.stores.interface import Snapshot
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool

# Images that one task compares with another: a dozen keypoint extractions and comparisons take a second.
TASK_SIZE = 6

# Images that a worker caches, 200 KB each.
CACHE_SIZE = 256

# The pixels in which differences are searched for: details of a few pixels of a photo or a page must show.
FINE = PixelSpec(fit="any", min_side=720)
# Most pixels of them: long screenshots and panoramas.
MAX_PIXELS = 2_000_000
# Bytes of such images that a worker caches; images of so few bytes are kept from the first decoding.
LARGE_BYTES, SMALL_BYTES = 48 << 20, 1 << 20

# Seconds between two times that results are stored, which a kill may lose. While a snapshot is read, SQLite's
# write-ahead log keeps all that was written: at 5 seconds it grew to 950 MB with 100,000 photos.
SAVE_SECONDS = 30.0

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


@dataclass(slots=True)
class CompareWorker:
    """Runs in a worker process; caches the images read last."""

    limits: Limits
    scenes: bool = False
    cache: OrderedDict[ImageFile, ComparedFile | None] = field(default_factory=OrderedDict)
    large: OrderedDict[tuple[ImageFile, int], Pixels] = field(default_factory=OrderedDict)
    large_bytes: int = 0

    def __call__(self, task: CompareTask | ImageFile) -> list[Comparison] | Detail | Failure | None:
        if isinstance(task, ImageFile):
            return self._measure(task)
        one = self._load(task.one)
        found = []
        for file in task.others:
            pair = (one, self._load(file))
            # In one order, so that the result does not depend on the ids.
            ordered = pair if (task.one.hash or b"") <= (file.hash or b"") else pair[::-1]
            found.append(self._compare(*ordered))
        return found

    def _measure(self, file: ImageFile) -> Detail | None:
        """Return the detail of an image; None if it is missing, changed or broken."""
        try:
            decoded = decode(_content(file), specs=[], limits=self.limits, name=file.path)
        except ImageError:
            return None
        return measure(decoded.pixels, lossless=decoded.facts.format in LOSSLESS)

    def _compare(self, one: ComparedFile | None, other: ComparedFile | None) -> Comparison:
        if one is None or other is None:
            return UNREADABLE
        try:
            return compare_files(one, other, scenes=self.scenes)
        except ImageError:
            return UNREADABLE

    def _load(self, file: ImageFile) -> ComparedFile | None:
        if file not in self.cache:
            try:
                self.cache[file] = self._read(file)
            except ImageError:
                self.cache[file] = None
            while len(self.cache) > CACHE_SIZE:
                self.cache.popitem(last=False)
        self.cache.move_to_end(file)
        return self.cache[file]

    def _read(self, file: ImageFile) -> ComparedFile:
        data = _content(file)
        decoded = decode(data, specs=[PIXELS], limits=self.limits, name=file.path)
        pixels, facts = decoded.pixels, decoded.facts
        long = max(facts.width, facts.height) > MAX_ASPECT_RATIO * min(facts.width, facts.height)
        if long:
            pixels = decode_frame(data, 0, spec=PIXELS, limits=self.limits, name=file.path)
        elif pixels.shape[:2] == (facts.height, facts.width) and pixels.size <= SMALL_BYTES:
            self._keep((file, 0), pixels)

        def fine(frame: int) -> Pixels:
            return self._fine(file, frame, cropped=long)

        is_video = facts.format in VIDEO_FORMATS
        part = "frame of a video" if is_video else "page of a file" if data.page else ""
        frames = 1 if is_video else max(1, facts.frames)
        return ComparedFile(GreyImage(fit(pixels, PIXELS)), frames, fine, part)

    def _fine(self, file: ImageFile, frame: int, *, cropped: bool) -> Pixels:
        kept = self.large.pop((file, frame), None)
        if kept is None:
            data = _content(file)
            if frame or cropped:
                kept = decode_frame(data, frame, spec=FINE, limits=self.limits, name=file.path)
            else:
                kept = decode(data, specs=[FINE], limits=self.limits, name=file.path).pixels
        else:
            self.large_bytes -= kept.size
        kept = _limited(kept)
        self._keep((file, frame), kept)
        return kept

    def _keep(self, key: tuple[ImageFile, int], pixels: Pixels) -> None:
        self.large[key] = pixels
        self.large_bytes += pixels.size
        while self.large_bytes > LARGE_BYTES and len(self.large) > 2:
            self.large_bytes -= self.large.popitem(last=False)[1].size


def _content(file: ImageFile) -> Content:
    """Return the content of a file. Raises ImageError, also if they have changed since it was indexed."""
    content = read(file.path)
    if file.hash is not None and content.digest != file.hash:
        raise ImageError(Outcome.MISSING, "has changed since it was indexed; run `lookalike index`")
    return content


def _limited(pixels: Pixels) -> Pixels:
    """Return an image of at most `MAX_PIXELS`."""
    import cv2

    height, width = pixels.shape[:2]
    scale = (MAX_PIXELS / (height * width)) ** 0.5
    short = FINE.min_side / min(height, width)
    scale = min(scale, max(short, 0.0)) if height * width > MAX_PIXELS else min(1.0, short)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _contents(one: ImageFile, other: ImageFile) -> Contents | None:
    """Return the hashes of two files in ascending order, or None if one is unknown."""
    if one.hash is None or other.hash is None:
        return None
    return (one.hash, other.hash) if one.hash < other.hash else (other.hash, one.hash)


def _by_partners(pairs: Iterable[Pair]) -> Iterator[tuple[int, list[int]]]:
    """Yield images and their partners, each pair once; images that have partners in common come together.

    A worker then finds most of the images in its cache.
    """
    partners: dict[int, set[int]] = {}
    for one, other in pairs:
        partners.setdefault(one, set()).add(other)
        partners.setdefault(other, set()).add(one)
    for first in list(partners):
        stack = [first]
        while stack:
            one = stack.pop()
            others = sorted(partners.pop(one, ()))
            if not others:
                continue
            for other in others:
                partners[other].discard(one)
            yield one, others
            stack += reversed(others)


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
    """Compares pairs of images and caches the results. Close it: it owns worker processes.

    memory  results of earlier searches; what is compared is added to it now and then
    scenes  also recognise two shots of one scene in which everything has moved, which takes longer
    """

    def __init__(
        self,
        files: Callable[[Iterable[int]], Mapping[int, ImageFile]],
        *,
        memory: ComparisonMemory | None = None,
        scenes: bool = False,
        limits: Limits | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._files = files
        self._memory = memory
        self._progress = progress
        self._measured = 0
        self._comparisons: dict[Pair, Comparison] = {}
        self._pool: Pool[CompareTask | ImageFile, Any] = Pool(
            CompareWorker(limits, scenes),
            workers=workers,
            limits=replace(limits, timeout=TIMEOUT_FACTOR * limits.timeout),
        )

    def compare(self, pairs: Sequence[Pair]) -> dict[Pair, Comparison]:
        """Return the comparison of every pair. Calls `progress` with (done, total)."""
        fresh = sorted(p for p in {*pairs} if p not in self._comparisons)
        files = self._files({id for p in fresh for id in p})
        total = self._done + len(fresh)
        fresh = self._recall(fresh, files)
        if self._progress and total > len(fresh) and not fresh:
            self._progress(self._done, total)
        try:
            self._compare(fresh, files, total)
        finally:  # an interrupted search goes on from here
            if self._memory:
                self._memory.save()
        return {p: self._comparisons[p] for p in pairs}

    def measure(self, files: Iterable[ImageFile]) -> Iterator[Detail | None]:
        """Yield the detail of each image; None for one that is missing, changed or broken."""
        files = list(files)
        total = self._done + len(files)
        for found in self._pool.map(files):
            self._measured += 1
            if self._progress:
                self._progress(self._done, total)
            yield found if isinstance(found, Detail) else None

    @property
    def _done(self) -> int:
        """Pairs compared and images measured."""
        return len(self._comparisons) + self._measured

    def _recall(self, fresh: Sequence[Pair], files: Mapping[int, ImageFile]) -> list[Pair]:
        """Take the pairs that are remembered, and return the others."""
        if not self._memory:
            return list(fresh)
        contents = {p: _contents(files[p[0]], files[p[1]]) for p in fresh}
        known = self._memory.recall({both for both in contents.values() if both})
        for p, both in contents.items():
            if both in known:
                self._comparisons[p] = known[both]
        return [p for p in fresh if p not in self._comparisons]

    def _compare(self, fresh: Sequence[Pair], files: Mapping[int, ImageFile], total: int) -> None:
        work = [
            (one, others[start : start + TASK_SIZE])
            for one, others in _by_partners(fresh)
            for start in range(0, len(others), TASK_SIZE)
        ]
        tasks = (
            CompareTask(files[one], tuple(files[other] for other in others)) for one, others in work
        )
        saved = time.monotonic()
        for (one, others), found in zip(work, self._pool.map(tasks), strict=True):
            if isinstance(found, Failure):
                found = [UNREADABLE] * len(others)
            for other, comparison in zip(others, found, strict=True):
                self._comparisons[pair(one, other)] = comparison
                both = _contents(files[one], files[other])
                if self._memory and both and comparison.readable:
                    self._memory.add({both: comparison})
            if self._memory and time.monotonic() - saved > SAVE_SECONDS:
                self._memory.save()
                saved = time.monotonic()
            if self._progress:
                self._progress(self._done, total)

    @property
    def compared(self) -> int:
        """Pairs whose pixels were compared, now or in an earlier search."""
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

"""Pairs of pictures compared in the guarded workers, each file read as seldom as can be."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from lookalike.duplicates.links import Pair
from lookalike.duplicates.pixel_compare import NEEDS, Likeness, Look, likeness
from lookalike.errors import ImageError, Outcome
from lookalike.images.decode import decode
from lookalike.images.reading import read
from lookalike.images.resize import fit
from lookalike.stores.interface import Snapshot
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool

PARTNERS = 6
"""Pictures that one task compares with another: a dozen keypoints and comparisons take a second."""

KEPT = 256
"""Pictures that a worker remembers, 200 KB each."""

SLOWER = 4
"""A task reads several files: so many times the time of one."""


@dataclass(frozen=True, slots=True)
class File:
    """Where an image lies, and the SHA-256 it had when it was indexed."""

    path: str
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One picture, and those to compare it with."""

    one: File
    others: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found: `readable` is False where a file is gone, changed or broken."""

    likeness: Likeness | None
    readable: bool = True


UNREADABLE = Verdict(None, readable=False)


@dataclass(frozen=True, slots=True)
class Comparing:
    """The work of a worker; remembers the pictures it saw last."""

    limits: Limits
    seen: OrderedDict[File, Look | None] = field(default_factory=OrderedDict)

    def __call__(self, task: Comparison) -> list[Verdict]:
        one = self._look(task.one)
        return [self._verdict(one, self._look(other)) for other in task.others]

    def _verdict(self, one: Look | None, other: Look | None) -> Verdict:
        if one is None or other is None:
            return UNREADABLE
        return Verdict(likeness(one, other))

    def _look(self, file: File) -> Look | None:
        if file not in self.seen:
            self.seen[file] = _read(file, self.limits)
            while len(self.seen) > KEPT:
                self.seen.popitem(last=False)
        self.seen.move_to_end(file)
        return self.seen[file]


def _read(file: File, limits: Limits) -> Look | None:
    try:
        content = read(file.path)
        if file.hash is not None and content.digest != file.hash:
            return None
        decoded = decode(content.data, needs=[NEEDS], limits=limits, name=file.path)
    except ImageError:
        return None
    return Look(fit(decoded.pixels, NEEDS))


def _lost(task: Comparison, outcome: Outcome, reason: str) -> list[Verdict]:
    return [UNREADABLE] * len(task.others)


def files_of(snapshot: Snapshot) -> Callable[[Iterable[int]], dict[int, File]]:
    """Where the images of a view lie."""
    folders = {root.id: root.path for root in snapshot.roots()}

    def files(ids: Iterable[int]) -> dict[int, File]:
        return {
            id: File(os.fspath(folders[image.root] / image.path), image.hash)
            for id, image in snapshot.images(ids).items()
        }

    return files


class Verifier:
    """Compares pairs of images and remembers the verdicts. Close it: it has worker processes."""

    def __init__(
        self,
        files: Callable[[Iterable[int]], Mapping[int, File]],
        *,
        limits: Limits | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._files = files
        self._progress = progress
        self._verdicts: dict[Pair, Verdict] = {}
        self._pool: Pool[Comparison, list[Verdict]] = Pool(
            Comparing(limits),
            workers=workers,
            limits=replace(limits, timeout=SLOWER * limits.timeout),
            on_lost=_lost,
        )

    def verdicts(self, pairs: Sequence[Pair]) -> dict[Pair, Verdict]:
        """The verdict on every pair."""
        fresh = sorted(p for p in {*pairs} if p not in self._verdicts)
        total = len(self._verdicts) + len(fresh)
        files = self._files({id for p in fresh for id in p})
        partners: dict[int, list[int]] = {}
        for one, other in fresh:
            partners.setdefault(one, []).append(other)
        work = [
            (one, others[start : start + PARTNERS])
            for one, others in partners.items()
            for start in range(0, len(others), PARTNERS)
        ]
        tasks = (
            Comparison(files[one], tuple(files[other] for other in others)) for one, others in work
        )
        for (one, others), found in zip(work, self._pool.map(tasks), strict=True):
            for other, verdict in zip(others, found, strict=True):
                self._verdicts[one, other] = verdict
            if self._progress:
                self._progress(len(self._verdicts), total)
        return {p: self._verdicts[p] for p in pairs}

    @property
    def compared(self) -> int:
        """Pairs that were laid upon each other."""
        return sum(verdict.readable for verdict in self._verdicts.values())

    @property
    def unreadable(self) -> int:
        return len(self._verdicts) - self.compared

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._pool.close()

"""Building and judging the indexes of a library's spaces, beside whoever reads and writes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.ann import faiss_index, index_factory, tuning
from lookalike.ann.faiss_index import AnnIndex, Progress, quiet
from lookalike.errors import LibraryBusy, UsageError
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck, RecipeResult
from lookalike.stores.local.ann import index_files as files
from lookalike.stores.local.database import SpaceRow, read_only_error, translate_errors
from lookalike.stores.local.vector_file import MappedVectors

if TYPE_CHECKING:
    from lookalike.stores.local.snapshot import LocalSnapshot

LOCK = "ann.lock"

EXACT_TIMED = 5
"""Queries of a check that are also timed exactly."""

THREADED = 1 << 24
"""Numbers in all vectors together from which more than one thread is worth its start."""

THREADS = 8
"""Of building, at most: beyond, k-means waits for memory."""


class LocalIndexes:
    """See `Indexes`."""

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool,
        snapshot: Callable[[], AbstractContextManager[LocalSnapshot]],
    ) -> None:
        self._folder = folder
        self._read_only = read_only
        self._snapshot = snapshot

    def build(
        self, space: str, wish: IndexBuildOptions | None = None, *, progress: Progress = quiet
    ) -> Index:
        """See `Indexes`."""
        wish = wish or IndexBuildOptions()
        if not 0 < wish.target <= 1:
            raise UsageError(f"a recall lies between 0 and 1, not {wish.target}")
        if self._read_only:
            raise read_only_error(self._folder)
        with _lock(self._folder), self._snapshot() as snapshot:
            row, matrix = snapshot.open_space(space)
            if snapshot.region_count(row) > 1:
                raise UsageError(
                    f"{row.name} keeps vectors of parts of pictures, which are searched exactly"
                )
            if not len(matrix.ids) - len(matrix.deleted):
                raise UsageError(f"the space {space} has no vectors yet")
            return _build(self._folder, row, matrix, wish, progress)

    def remove(self, space: str) -> bool:
        """See `Indexes`."""
        if self._read_only:
            raise read_only_error(self._folder)
        with _lock(self._folder), self._snapshot() as snapshot:
            row, _ = snapshot.open_space(space)
            with translate_errors(self._folder):
                there = files.facts_file(self._folder, row).exists()
                files.facts_file(self._folder, row).unlink(missing_ok=True)
                files.remove_others(self._folder, row, None)
        return there

    def check(self, space: str, *, queries: int = 500) -> IndexCheck:
        """See `Indexes`. Asks what a user would ask: the tail is merged, what is gone is left out."""
        with self._snapshot() as snapshot:
            row, matrix = snapshot.open_space(space)
            facts = next(one.index for one in snapshot.spaces() if one.key == space)
            if facts is None or facts.disabled_reason:
                why = f": {facts.disabled_reason}" if facts else ""
                raise UsageError(
                    f"the space {space} has no index to check{why}: build one with "
                    "`lookalike ann build`"
                )
            asked = tuning.questions(
                matrix.vectors,
                similarity=row.similarity,
                normalised=bool(row.normalised),
                exclude=matrix.deleted,
                count=queries,
                seed=time.time_ns() % 2**32,  # other queries each time
            )
            check = _judged(snapshot, row, matrix, asked, facts.unindexed)
        if not self._read_only:
            with translate_errors(self._folder):
                files.keep_check(self._folder, row, check)
        return check

    def compare(
        self, space: str, recipes: Sequence[str] = (), *, progress: Progress = quiet
    ) -> list[RecipeResult]:
        """See `Indexes`."""
        from lookalike.stores.local.ann.benchmarks import compare

        with self._snapshot() as snapshot:
            row, matrix = snapshot.open_space(space)
            return compare(row, matrix, recipes, cores(matrix), progress)

    def history(self, space: str) -> list[IndexCheck]:
        """See `Indexes`."""
        with self._snapshot() as snapshot:
            row, _ = snapshot.open_space(space)
        return files.checks(self._folder, row)


def _judged(
    snapshot: LocalSnapshot,
    row: SpaceRow,
    matrix: MappedVectors,
    asked: tuning.Questions,
    tail: int,
) -> IndexCheck:
    shares: list[float] = []
    times: list[float] = []
    exact_times: list[float] = []
    for number, own in enumerate(asked.rows):
        vector = asked.vectors[number][None]
        started = time.perf_counter()
        near = snapshot.search(row.key, vector, tuning.K + 1)
        times.append(time.perf_counter() - started)
        if number < EXACT_TIMED:
            started = time.perf_counter()
            snapshot.search(row.key, vector, tuning.K + 1, exact=True)
            exact_times.append(time.perf_counter() - started)
        others = near.similarities[0][near.ids[0] != matrix.ids[own]][: tuning.K]
        right = int((others >= asked.worst[number]).sum())
        shares.append(right / max(int(asked.known[number]), 1))
    return IndexCheck(
        recall=float(np.mean(shares)),
        milliseconds=float(np.median(times)) * 1e3,
        exact_milliseconds=float(np.median(exact_times)) * 1e3,
        queries=len(shares),
        rows=row.rows - row.deleted,
        unindexed=tail,
        when=_now(),
    )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One building at a time; the writer has a lock of its own, and goes on."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        with translate_errors(folder):
            lock.acquire()
    except Timeout:
        raise LibraryBusy(
            f"another process is building an index in {folder}: wait until it is done"
        ) from None
    try:
        yield
    finally:
        lock.release()


def remove_abandoned(folder: Path, rows: Sequence[SpaceRow]) -> None:
    """Delete what a killed building left: of a large library it is gigabytes. Not while somebody builds."""
    with suppress(LibraryBusy), _lock(folder):
        for row in rows:
            filed = files.read(folder, row)
            if filed is None or not filed.index.disabled_reason:
                files.remove_others(folder, row, filed.number if filed else None)


def _build(
    folder: Path, row: SpaceRow, matrix: MappedVectors, wish: IndexBuildOptions, progress: Progress
) -> Index:
    started = time.monotonic()
    threads = wish.threads or cores(matrix)
    normalised = bool(row.normalised)
    count = len(matrix.ids)
    ladder = (
        [wish.recipe] if wish.recipe else index_factory.ladder(count, row.dim, memory=wish.memory)
    )
    if wish.recipe and wish.memory is not None:
        needed = index_factory.estimate(wish.recipe, count, row.dim)
        if needed > wish.memory:
            raise UsageError(
                f"{wish.recipe} takes about {needed >> 20:,} MB for {count:,} vectors, the limit is "
                f"{wish.memory >> 20:,} MB: allow more, or leave the recipe out"
            )
    progress("ask", 0, 1)
    asked = tuning.questions(
        matrix.vectors, similarity=row.similarity, normalised=normalised, exclude=matrix.deleted
    )
    made: list[tuple[AnnIndex, AnnIndex, tuning.Point]] = []
    for recipe in ladder:
        empty, index, point = _made(matrix, recipe, asked, row, wish.target, threads, progress)
        if not made or point.recall > made[0][2].recall:
            made = [(empty, index, point)]
        if point.recall >= wish.target:
            break
    empty, index, point = made[0]
    seconds = time.monotonic() - started
    with translate_errors(folder):
        try:
            return _put_into_use(folder, row, matrix, empty, index, point, wish.target, seconds)
        except FileNotFoundError:
            raise LibraryBusy(
                f"the {row.name} vectors were replaced while their index was built: build it again"
            ) from None


def cores(matrix: MappedVectors) -> int:
    """Threads that building is worth."""
    return min(os.cpu_count() or 1, THREADS) if matrix.vectors.size >= THREADED else 1


def _made(
    matrix: MappedVectors,
    recipe: str,
    asked: tuning.Questions,
    row: SpaceRow,
    target: float,
    threads: int,
    progress: Progress,
) -> tuple[AnnIndex, AnnIndex, tuning.Point]:
    """An index, empty and full, and what it reaches."""
    progress("train", 0, 1)
    empty = faiss_index.train(matrix.vectors, recipe, similarity=row.similarity, threads=threads)
    index = empty.copy()
    faiss_index.fill(index, matrix.vectors, threads=threads, progress=progress)
    allowed = None
    if len(matrix.deleted):
        mask = np.ones(len(matrix.ids), np.bool_)
        mask[matrix.deleted] = False
        allowed = faiss_index.bits(mask)
    point = tuning.tune(
        index,
        matrix.vectors,
        asked,
        target=target,
        allowed=allowed,
        threads=threads,
        progress=progress,
    )
    return empty, index, point


def _put_into_use(
    folder: Path,
    row: SpaceRow,
    matrix: MappedVectors,
    empty: AnnIndex,
    index: AnnIndex,
    point: tuning.Point,
    target: float,
    seconds: float,
) -> Index:
    """Write the files, and then say that they are the index."""
    number = files.next_number(folder, row)
    for one, ending in ((empty, "trained"), (index, "faiss")):
        files.save(one, files.index_file(folder, row, number, ending))
    path = files.index_file(folder, row, number)
    facts = Index(
        recipe=index.recipe,
        recall=point.recall,
        target=target,
        milliseconds=point.milliseconds,
        bytes=path.stat().st_size,
        seconds=seconds,
        rows=index.count,
        probe=point.effort.probe,
        width=point.effort.width,
        built=_now(),
    )
    filed = files.Filed(
        facts,
        number,
        row.generation,
        files.fingerprint_file(path),
        files.fingerprint_rows(matrix.vectors, index.count),
        files.fingerprint_file(files.index_file(folder, row, number, "trained")),
    )
    files.write(folder, row, filed)
    files.remove_others(folder, row, number)
    return facts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

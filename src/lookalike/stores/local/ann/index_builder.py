"""Building and checking the ANN indexes of a library, while others read and write it."""

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
from lookalike.ann.faiss_index import AnnIndex, Progress, no_progress
from lookalike.errors import LibraryBusy, UsageError
from lookalike.files import mode_in
from lookalike.stores.ann_index import Index, IndexBuildOptions, IndexCheck, RecipeResult
from lookalike.stores.local import bus_errors
from lookalike.stores.local.ann import index_files as files
from lookalike.stores.local.database import SpaceRow, read_only_error, translate_errors
from lookalike.stores.local.vector_file import MappedVectors, damaged_error

if TYPE_CHECKING:
    from lookalike.stores.local.snapshot import LocalSnapshot

LOCK = "ann.lock"

# Queries of a check that are also timed exactly.
EXACT_TIMED = 5

# Numbers in all vectors (count · dim) from which building uses more than one thread.
MULTITHREADED_NUMBERS = 1 << 24

# Largest number of build threads: with more, k-means waits for memory.
MAX_THREADS = 8


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
        self,
        space: str,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress = no_progress,
    ) -> Index:
        """See `Indexes`."""
        options = options or IndexBuildOptions()
        if not 0 < options.target <= 1:
            raise UsageError(f"a recall lies between 0 and 1, not {options.target}")
        if self._read_only:
            raise read_only_error(self._folder)
        with _lock(self._folder), self._snapshot() as snapshot:
            row, matrix = snapshot.open_space(space)
            if snapshot.region_count(row) > 1:
                raise UsageError(
                    f"{row.name} has vectors of image regions, which are always searched exactly"
                )
            if not len(matrix.ids) - len(matrix.deleted):
                raise UsageError(f"the space {space} has no vectors yet")
            return _build(self._folder, row, matrix, options, progress)

    def remove(self, space: str) -> bool:
        """See `Indexes`."""
        if self._read_only:
            raise read_only_error(self._folder)
        with _lock(self._folder), self._snapshot() as snapshot:
            row, _ = snapshot.open_space(space)
            with translate_errors(self._folder):
                manifest = files.manifest_file(self._folder, row)
                existed = manifest.exists()
                manifest.unlink(missing_ok=True)
                files.remove_others(self._folder, row, None)
        return existed

    def check(self, space: str, *, queries: int = 500) -> IndexCheck:
        """See `Indexes`. Searches as users do: with the delta index, and without deleted vectors."""
        with self._snapshot() as snapshot:
            row, matrix = snapshot.open_space(space)
            index = next(one.index for one in snapshot.spaces() if one.key == space)
            if index is None or index.disabled_reason:
                why = f": {index.disabled_reason}" if index else ""
                raise UsageError(
                    f"the space {space} has no index to check{why}: build one with "
                    "`lookalike ann build`"
                )
            held_out = tuning.hold_out_queries(
                matrix.vectors,
                similarity=row.similarity,
                normalised=bool(row.normalised),
                exclude=matrix.deleted,
                count=queries,
                seed=time.time_ns() % 2**32,  # other queries each time
            )
            check = _measure(snapshot, row, matrix, held_out, index.unindexed)
        if not self._read_only:
            with translate_errors(self._folder):
                files.append_check(self._folder, row, check)
        return check

    def compare(
        self, space: str, recipes: Sequence[str] = (), *, progress: Progress = no_progress
    ) -> list[RecipeResult]:
        """See `Indexes`."""
        from lookalike.stores.local.ann.benchmarks import compare

        with self._snapshot() as snapshot:
            row, matrix = snapshot.open_space(space)
            return compare(row, matrix, recipes, build_threads(matrix), progress)

    def history(self, space: str) -> list[IndexCheck]:
        """See `Indexes`."""
        with self._snapshot() as snapshot:
            row, _ = snapshot.open_space(space)
        return files.read_checks(self._folder, row)


def _measure(
    snapshot: LocalSnapshot,
    row: SpaceRow,
    matrix: MappedVectors,
    held_out: tuning.HeldOutQueries,
    unindexed: int,
) -> IndexCheck:
    """Measure recall and time of the store's own search."""
    shares: list[float] = []
    times: list[float] = []
    exact_times: list[float] = []
    for number, own in enumerate(held_out.rows):
        vector = held_out.vectors[number][None]
        started = time.perf_counter()
        found = snapshot.search(row.key, vector, tuning.K + 1)
        times.append(time.perf_counter() - started)
        if number < EXACT_TIMED:
            started = time.perf_counter()
            snapshot.search(row.key, vector, tuning.K + 1, exact=True)
            exact_times.append(time.perf_counter() - started)
        others = found.similarities[0][found.ids[0] != matrix.ids[own]][: tuning.K]
        correct = int((others >= held_out.worst[number]).sum())
        shares.append(correct / max(int(held_out.known[number]), 1))
    return IndexCheck(
        recall=float(np.mean(shares)),
        milliseconds=float(np.median(times)) * 1e3,
        exact_milliseconds=float(np.median(exact_times)) * 1e3,
        queries=len(shares),
        rows=row.rows - row.deleted,
        unindexed=unindexed,
        when=_now(),
    )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the build lock. The writer has a lock of its own and is not blocked."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0, thread_local=False, mode=mode_in(folder))
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


def remove_leftovers(folder: Path, rows: Sequence[SpaceRow]) -> None:
    """Delete the files of a killed build, which may be gigabytes; not while another build is running."""
    with suppress(LibraryBusy), _lock(folder):
        for row in rows:
            manifest = files.read_manifest(folder, row)
            if manifest is None or not manifest.index.disabled_reason:
                files.remove_others(folder, row, manifest.number if manifest else None)


def _build(
    folder: Path,
    row: SpaceRow,
    matrix: MappedVectors,
    options: IndexBuildOptions,
    progress: Progress,
) -> Index:
    """Try recipes until one reaches the target recall, and put the best into use."""
    started, faults = time.monotonic(), bus_errors.faults()
    threads = options.threads or build_threads(matrix)
    progress("ask", 0, 1)
    held_out = tuning.hold_out_queries(
        matrix.vectors,
        similarity=row.similarity,
        normalised=bool(row.normalised),
        exclude=matrix.deleted,
    )
    best: tuple[AnnIndex, AnnIndex, tuning.Measurement] | None = None
    for recipe in _recipes(row, len(matrix.ids), options):
        built = _build_one(matrix, recipe, held_out, row, options.target, threads, progress)
        if best is None or built[2].recall > best[2].recall:
            best = built
        if best[2].recall >= options.target:
            break
    assert best is not None
    if faults != bus_errors.faults() or matrix.is_cut():
        raise damaged_error(folder, row)
    seconds = time.monotonic() - started
    with translate_errors(folder):
        try:
            return _put_into_use(folder, row, matrix, *best, options.target, seconds)
        except FileNotFoundError:
            raise LibraryBusy(
                f"the {row.name} vectors were replaced while their index was built: build it again"
            ) from None


def _recipes(row: SpaceRow, count: int, options: IndexBuildOptions) -> list[str]:
    """Return the recipes to try. `UsageError` if none fits into the memory allowed."""
    if options.recipe is None:
        return index_factory.candidate_recipes(count, row.dim, memory=options.memory)
    if options.memory is not None:
        needed = index_factory.estimate_bytes(options.recipe, count, row.dim)
        if needed > options.memory:
            raise UsageError(
                f"{options.recipe} takes about {needed >> 20:,} MB for {count:,} vectors, the limit "
                f"is {options.memory >> 20:,} MB: allow more, or leave the recipe out"
            )
    return [options.recipe]


def build_threads(matrix: MappedVectors) -> int:
    """Return how many threads a build should use."""
    large = matrix.vectors.size >= MULTITHREADED_NUMBERS
    return min(os.cpu_count() or 1, MAX_THREADS) if large else 1


def _build_one(
    matrix: MappedVectors,
    recipe: str,
    held_out: tuning.HeldOutQueries,
    row: SpaceRow,
    target: float,
    threads: int,
    progress: Progress,
) -> tuple[AnnIndex, AnnIndex, tuning.Measurement]:
    """Return the trained index, empty and filled, and its tuned search parameters."""
    progress("train", 0, 1)
    empty = faiss_index.train(matrix.vectors, recipe, similarity=row.similarity, threads=threads)
    index = empty.copy()
    faiss_index.fill(index, matrix.vectors, threads=threads, progress=progress)
    allowed = None
    if len(matrix.deleted):
        mask = np.ones(len(matrix.ids), np.bool_)
        mask[matrix.deleted] = False
        allowed = faiss_index.pack_bitmap(mask)
    measured = tuning.tune(
        index,
        matrix.vectors,
        held_out,
        target=target,
        allowed=allowed,
        threads=threads,
        progress=progress,
    )
    return empty, index, measured


def _put_into_use(
    folder: Path,
    row: SpaceRow,
    matrix: MappedVectors,
    empty: AnnIndex,
    index: AnnIndex,
    measured: tuning.Measurement,
    target: float,
    seconds: float,
) -> Index:
    """Write the index's files, and then the manifest that puts them into use."""
    number = files.next_number(folder, row)
    for one, ending in ((empty, "trained"), (index, "faiss")):
        files.save(one, files.index_file(folder, row, number, ending))
    path = files.index_file(folder, row, number)
    info = Index(
        recipe=index.recipe,
        recall=measured.recall,
        target=target,
        milliseconds=measured.milliseconds,
        bytes=path.stat().st_size,
        seconds=seconds,
        rows=index.count,
        nprobe=measured.params.nprobe,
        candidates=measured.params.candidates,
        built=_now(),
    )
    manifest = files.IndexManifest(
        info,
        number,
        row.generation,
        files.fingerprint_file(path),
        files.fingerprint_rows(matrix.vectors, index.count),
        files.fingerprint_file(files.index_file(folder, row, number, "trained")),
        files.checksum_file(path),
    )
    files.write_manifest(folder, row, manifest)
    files.remove_others(folder, row, number)
    return info


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

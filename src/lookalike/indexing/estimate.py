"""What indexing would cost, found out on a sample before anything is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lookalike.extractors.extraction import Extraction, Loaded, Task, extract_each
from lookalike.extractors.interface import Extractor, space_key
from lookalike.images.walk import Found, find
from lookalike.indexing.counters import settled
from lookalike.indexing.fitting import reservoir
from lookalike.indexing.report import IndexEstimate, IndexOptions
from lookalike.indexing.sources import among, relatives, resolved
from lookalike.stores.interface import Snapshot
from lookalike.workers.pool import Pool

ROW_BYTES = 420  # of the catalogue per picture, measured on 100,000 rows (benchmarks/store.py)


class Survey:
    """Counts the files on their way by."""

    def __init__(
        self, snapshot: Snapshot | None, sources: Sequence[Path], skip: Path, options: IndexOptions
    ) -> None:
        self._skip = [skip]
        self.files = 0
        self.to_index = 0
        self._view = snapshot
        self._roots = snapshot.roots() if snapshot else []
        paths = [resolved(source) for source in sources]
        known = [among(path, self._roots) for path in paths]
        self._sources = [
            path if source is None else source.path
            for path, source in zip(paths, known, strict=True)
        ]
        self._options = options

    def paths(self, keys: frozenset[str]) -> Iterator[str]:
        """Paths of the files that need work."""
        options = self._options
        for found in find(
            self._sources, include=options.include, exclude=options.exclude, skip=self._skip
        ):
            self.files += 1
            if not self._settled(found, keys):
                self.to_index += 1
                yield found.path

    def _settled(self, found: Found, keys: frozenset[str]) -> bool:
        if self._view is None:
            return False
        for root in self._roots:
            if Path(found.path).is_relative_to(root.path):
                (path,) = relatives([found.path], root)
                known = self._view.file_states(root.id, [path]).get(path)
                return known is not None and settled(known, found, keys, self._options)
        return False


def estimate(
    snapshot: Snapshot | None,
    sources: Sequence[Path],
    extractors: Sequence[Extractor],
    options: IndexOptions,
    *,
    skip: Path,
    sample: int,
) -> IndexEstimate:
    """Count the files, index a sample of those that need work without storing it, and multiply.

    `view` is None where there is no library yet. The time holds for files like the sample's and a
    machine as busy as now.
    """
    survey = Survey(snapshot, sources, skip, options)
    paths = reservoir(survey.paths(frozenset(map(space_key, extractors))), sample)
    here = {space_key(e): e for e in extractors if e.runs_in == "main"}
    work = Extraction.of(extractors, limits=options.limits)
    clock = [time.perf_counter()]
    pool = Pool(work, workers=options.workers, limits=options.limits, on_failure=Loaded.failed)
    with pool:
        for loaded in pool.map(Task(path=path) for path in paths):
            for key, pixels in loaded.pixels.items():
                extract_each(here[key], [pixels])
            clock.append(time.perf_counter())
    # The first quarter pays for starting the workers and loading the networks: once, not per picture.
    warm = len(paths) // 4
    timed = clock[-1] - clock[warm]
    rate = (len(paths) - warm) / timed if paths else 0.0
    row = ROW_BYTES + sum(extractor.dim * 4 + 8 for extractor in extractors)
    return IndexEstimate(
        files=survey.files,
        to_index=survey.to_index,
        sampled=len(paths),
        images_per_second=rate,
        seconds=clock[warm] - clock[0] + survey.to_index / rate if rate else 0.0,
        disk_bytes=survey.to_index * row,
        peak_memory_bytes=peak_memory(pool.workers),
    )


def peak_memory(workers: int) -> int | None:
    """Bytes that this process and `workers` of its largest child have held at most, resident."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return int((mine + workers * child) * unit)

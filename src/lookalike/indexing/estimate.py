"""Estimate of what indexing would cost, from a sample, before anything is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from lookalike.extractors.extraction import Extraction, ExtractionResult, Task, extract_each
from lookalike.extractors.interface import Extractor, space_key
from lookalike.images.walk import FoundFile
from lookalike.indexing.report import IndexEstimate, IndexOptions
from lookalike.indexing.sources import (
    Source,
    exclude_below,
    files_of,
    find_source,
    is_up_to_date,
    relative_paths,
    resolve_path,
)
from lookalike.indexing.spaces import reservoir_sample
from lookalike.stores.interface import Root, Snapshot
from lookalike.workers.pool import Pool

ROW_BYTES = 420  # of the catalogue per image, measured on 100,000 rows (benchmarks/store.py)


class FileCounter:
    """Walks the sources, counts the files, and yields those that need work."""

    def __init__(
        self,
        snapshot: Snapshot | None,
        sources: Sequence[Path],
        skip: Path | None,
        options: IndexOptions,
    ) -> None:
        self.files = 0
        self.to_index = 0
        self._snapshot = snapshot
        self._roots = snapshot.roots() if snapshot else []
        paths = [resolve_path(source) for source in sources]
        known = [
            find_source(path, self._roots)
            or Source(Root(0, path if path.is_dir() else path.parent), path, "")
            for path in paths
        ]
        self._sources = [exclude_below(source, options) for source in known]
        self._skip = [] if skip is None else [skip]
        self._options = options

    def paths(self, keys: frozenset[str]) -> Iterator[str]:
        """Yield the paths of the files that need work."""
        options = self._options
        for found in chain.from_iterable(
            files_of(source, options, skip=self._skip) for source in self._sources
        ):
            self.files += 1
            if not self._is_up_to_date(found, keys):
                self.to_index += 1
                yield found.path

    def _is_up_to_date(self, found: FoundFile, keys: frozenset[str]) -> bool:
        if self._snapshot is None:
            return False
        for root in self._roots:
            if Path(found.path).is_relative_to(root.path):
                (path,) = relative_paths([found.path], root)
                known = self._snapshot.file_states(root.id, [path]).get(path)
                return known is not None and is_up_to_date(known, found, keys, self._options)
        return False


def estimate(
    snapshot: Snapshot | None,
    sources: Sequence[Path],
    extractors: Sequence[Extractor],
    options: IndexOptions,
    *,
    skip: Path | None,
    sample: int,
) -> IndexEstimate:
    """Count the files, index a sample of those that need work without storing it, and extrapolate.

    `snapshot` is None where there is no library yet. The time holds for files like those of the sample and
    a machine as busy as now.
    """
    counter = FileCounter(snapshot, sources, skip, options)
    paths = reservoir_sample(counter.paths(frozenset(map(space_key, extractors))), sample)
    in_main = {space_key(e): e for e in extractors if e.runs_in == "main"}
    work = Extraction.of(extractors, limits=options.limits)
    times = [time.perf_counter()]
    pool = Pool(
        work, workers=options.workers, limits=options.limits, on_failure=ExtractionResult.failed
    )
    with pool:
        for loaded in pool.map(Task(path=path) for path in paths):
            for key, pixels in loaded.pixels.items():
                extract_each(in_main[key], [pixels])
            times.append(time.perf_counter())
    # The first quarter pays for starting workers and loading networks, which happens once per run.
    warm = len(paths) // 4
    timed = times[-1] - times[warm]
    rate = (len(paths) - warm) / timed if paths else 0.0
    row = ROW_BYTES + sum(extractor.dim * 4 + 8 for extractor in extractors)
    return IndexEstimate(
        files=counter.files,
        to_index=counter.to_index,
        sampled=len(paths),
        images_per_second=rate,
        seconds=times[warm] - times[0] + counter.to_index / rate if rate else 0.0,
        disk_bytes=counter.to_index * row,
        peak_memory_bytes=peak_memory(pool.workers),
    )


def peak_memory(workers: int) -> int | None:
    """Return the peak resident memory in bytes of this process and `workers` of its largest child."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return int((own + workers * child) * unit)

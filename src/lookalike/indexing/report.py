"""Indexing as data: what is asked of a run, what it reports on the way, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import Outcome
from lookalike.workers.limits import Limits


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to index.

    include, exclude  globs on the path below the source; without `include`, every file is looked at
    workers           decoding processes; None: one for every core this process may use
    normalise         False: new spaces keep vectors at the length they have
    retry_failed      try files again that failed before and have not changed since
    metadata          table with a column `path` (relative to the table's folder), a CSV or lines of
                      JSON; a column `caption` (or `description`, `text`) holds what words can find
    sidecars          read files beside the pictures (photo.jpg.txt, photo.json, …; see `sidecars`)
    ann               afterwards, give spaces an index that are too large to be searched exactly at ease
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    normalise: bool = True
    retry_failed: bool = False
    metadata: Path | None = None
    sidecars: bool = True
    ann: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; passed to the progress callback about ten times a second.

    done     files whose outcome is settled, unchanged ones too
    total    None until the folders have been counted
    path     the file settled last
    seconds  since the start
    """

    done: int
    total: int | None
    indexed: int
    failed: int
    path: str
    seconds: float


ProgressCallback: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did. Every file found is counted exactly once.

    added_vectors        unchanged pictures that got vectors of a further space
    failed          pictures that this run could not index, by outcome
    not_pictures    files that are no pictures, neither by name nor by content (outcome `unsupported`)
    known_failures  unchanged files that had failed before and were not tried again
    unfound         folders that could not be read, with the reason
    described       pictures that got metadata; undescribed: rows of the table that name no known file;
                    undescribed_example: what the first of these names
    sidecars        pictures whose sidecars were new or had changed
    broken_sidecars files among these that could not be used; broken_examples: some, with the reason
    """

    new: int = 0
    changed: int = 0
    added_vectors: int = 0
    moved: int = 0
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: Mapping[Outcome, int] = field(default_factory=dict)
    not_pictures: int = 0
    known_failures: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    described: int = 0
    unmatched_rows: int = 0
    undescribed_example: str = ""
    sidecars: int = 0
    broken_sidecars: int = 0
    broken_examples: tuple[tuple[str, str], ...] = ()
    spaces: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def indexed(self) -> int:
        """Pictures whose vectors this run made or took over."""
        return self.new + self.changed + self.added_vectors + self.moved + self.copied

    @property
    def failures(self) -> int:
        """Pictures that this run could not index."""
        return sum(self.failed.values())


@dataclass(frozen=True, slots=True)
class IndexEstimate:
    """What indexing would cost, from a timed sample (`index --dry-run`); nothing is written.

    files              files found below the sources
    to_index           those that need work: new, changed, or without a vector in one of the spaces
    sampled            pictures that were read and turned into vectors to find out
    images_per_second  rate on the sample, start-up not counted
    seconds            predicted time of the run
    disk_bytes         predicted growth of the library
    peak_memory_bytes  the processes of the sample together at their largest, resident; None where the
                       operating system does not tell
    """

    files: int
    to_index: int
    sampled: int
    images_per_second: float
    seconds: float
    disk_bytes: int
    peak_memory_bytes: int | None

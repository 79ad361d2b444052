"""Options, progress, counters and report of an indexing run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from lookalike.errors import Outcome
from lookalike.images.drawing_mark import DRAWING
from lookalike.images.formats import still_of
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    pass

# Reason given for a source that contains no file, for example an unmounted drive.
EMPTY_SOURCE = "no file in it; the images stored for it are kept (`lookalike remove` forgets them)"


@runtime_checkable
class DataFrame(Protocol):
    """A table of pandas."""

    def to_dict(self, orient: Any) -> Any:
        """Return the rows, as pandas does."""
        ...


@runtime_checkable
class ArrowTable(Protocol):
    """A table of pyarrow."""

    def to_pylist(self) -> list[Any]:
        """Return the rows, as pyarrow does."""
        ...


Table: TypeAlias = Path | str | Iterable[Mapping[str, Any]] | DataFrame | ArrowTable
"""A CSV or JSON-lines file, or rows in memory."""


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Options of an indexing run.

    include           globs on the path below the source; without it, every file is considered
    exclude           globs of files and folders that are left out, now and in all later runs
    no_exclude        globs of `exclude` that no longer hold
    workers           decoding processes; None: one per core available to this process
    normalise         False: new spaces keep vectors at their original length
    prune             remove images whose files are gone even if they are more than a tenth of the library
    retry_failed      try files again that failed before and have not changed since
    metadata          table with a column of paths: a CSV or JSON-lines file (paths are relative to its
                      folder), a list of dicts, or a table of pandas or pyarrow; a column `caption` (or
                      `description`, `text`) is searched by text queries
    path_column       column of the table that holds the paths
    replace_metadata  the table replaces what earlier tables said about its images; otherwise it adds to it
    sidecars          read files next to the images (photo.jpg.txt, photo.json, …; see `sidecars`)
    pages             pages of TIFF files and chosen frames of animations become images of their own, as those
                      of PDF files and videos do
    pairs             the raw file of an image, and the video of a live photo, belong to it
    ann               afterwards, build ANN indexes for spaces too large for fast exact search
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    no_exclude: tuple[str, ...] = ()
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    normalise: bool = True
    prune: bool = False
    retry_failed: bool = False
    metadata: Table | None = None
    path_column: str = "path"
    replace_metadata: bool = False
    sidecars: bool = True
    ann: bool = True
    pages: bool = False
    pairs: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run; passed to the progress callback about ten times a second.

    done     files that have an outcome, unchanged ones included
    total    None until the folders have been counted
    path     the file finished last
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
    """Summary of a run. Every file found is counted exactly once, and so is every further page of one.

    added_vectors      unchanged images that got vectors in a further space
    missing            images whose files are gone and that are kept, because they are more than a tenth of
                       the library (`IndexOptions.prune`)
    failed             images that this run could not index, by outcome
    not_images         files that are not images by name or content (outcome `skipped`)
    companions         raw files and videos that belong to an image of the same name (outcome `skipped`)
    drawings           files that this program has drawn, such as grids (outcome `skipped`)
    known_failures     unchanged files that failed before and were not tried again
    unreadable         folders and links that could not be read, each with the reason
    described          images that got metadata from the table
    repeated_rows      rows of the table that describe an image again: captions were joined
    table_notes        how columns of the table were read, where that is not plain
    unmatched_rows     rows of the table that match no known file; unmatched_example: the first of them
    sidecars           images whose sidecars were new or had changed
    broken_sidecars    sidecars that could not be used; broken_examples: some of them, with the reason
    orphan_sidecars    XMP sidecars that describe no image; orphan_example: the first of them
    spaces             names of the extractors
    """

    new: int = 0
    changed: int = 0
    added_vectors: int = 0
    moved: int = 0
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    missing: int = 0
    failed: Mapping[Outcome, int] = field(default_factory=dict)
    not_images: int = 0
    companions: int = 0
    drawings: int = 0
    known_failures: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    described: int = 0
    repeated_rows: int = 0
    table_notes: tuple[str, ...] = ()
    unmatched_rows: int = 0
    unmatched_example: str = ""
    sidecars: int = 0
    broken_sidecars: int = 0
    broken_examples: tuple[tuple[str, str], ...] = ()
    orphan_sidecars: int = 0
    orphan_example: str = ""
    spaces: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def indexed(self) -> int:
        """Images whose vectors this run computed or reused."""
        return self.new + self.changed + self.added_vectors + self.moved + self.copied

    @property
    def failures(self) -> int:
        """Images that this run could not index."""
        return sum(self.failed.values())


@dataclass(slots=True)
class Counters:
    """Counters of a run in progress.

    counts  files by field of `IndexReport`; every file found is in one of these fields, or in `failed`
    failed  files by outcome
    found   files found in each source
    last    path of the file finished last
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: Counter[Outcome] = field(default_factory=Counter)
    found: Counter[Path] = field(default_factory=Counter)
    last: str = ""

    @property
    def done(self) -> int:
        """Files that have an outcome."""
        return self.counts.total() + self.failed.total()

    @property
    def indexed(self) -> int:
        """Images whose vectors were computed or reused."""
        names = ("new", "changed", "added_vectors", "moved", "copied")
        return sum(self.counts[name] for name in names)

    def count_failure(self, outcome: Outcome, reason: str) -> None:
        """Count a file that this run tried and did not index."""
        if outcome is Outcome.SKIPPED:
            self._count_skipped(reason)
        else:
            self.failed[outcome] += 1

    def count_known_failure(self, outcome: Outcome, reason: str) -> None:
        """Count an unchanged file that an earlier run did not index."""
        if outcome is Outcome.SKIPPED:
            self._count_skipped(reason)
        else:
            self.counts["known_failures"] += 1

    def _count_skipped(self, reason: str) -> None:
        if still_of(reason):
            self.counts["companions"] += 1
        else:
            self.counts["drawings" if reason == DRAWING else "not_images"] += 1

    def report(
        self, removed: int, missing: int, unreadable: Sequence[tuple[str, str]]
    ) -> IndexReport:
        """Return the report of the run, without the fields about metadata."""
        counts: Mapping[str, Any] = self.counts
        return IndexReport(
            removed=removed,
            missing=missing,
            failed=dict(self.failed),
            unreadable=tuple(unreadable),
            **counts,
        )


@dataclass(frozen=True, slots=True)
class IndexEstimate:
    """Estimated cost of indexing, from a timed sample (`index --dry-run`); nothing is written.

    files              files found below the sources
    to_index           those that need work: new, changed, or without a vector in one of the spaces
    sampled            images that were read and turned into vectors for the estimate
    images_per_second  rate on the sample, start-up not counted
    seconds            predicted time of the run
    disk_bytes         predicted growth of the library
    peak_memory_bytes  peak resident memory of all processes of the sample; None where the operating
                       system does not report it
    """

    files: int
    to_index: int
    sampled: int
    images_per_second: float
    seconds: float
    disk_bytes: int
    peak_memory_bytes: int | None

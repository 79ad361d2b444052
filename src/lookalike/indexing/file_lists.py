"""The walk over sources, cut into lists of files that are indexed apart from each other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from lookalike.errors import Outcome
from lookalike.images.walk import DANGLING, FoundFile
from lookalike.indexing.part_writer import PartWriter
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.sidecars import split_extension
from lookalike.indexing.sources import Source, count_of, files_of, is_up_to_date, relative_paths
from lookalike.object_storage import is_url
from lookalike.stores.interface import Entry

LIST_FILES = 512
"""Files of a list, some seconds of work: what a lost node costs at most, twice for each of its actors."""

SHORT_LIST_FILES = 32
"""Files of the last lists, and of the first ones, so that all actors begin and end at about the same time."""

LISTS_LEFT = 4
"""Lists for each actor into which the files that are left are divided."""


@dataclass(frozen=True, slots=True)
class FileList:
    """Work for an actor: files of one source, and the paths of those that need no work."""

    source: Source
    files: tuple[FoundFile, ...]
    known: frozenset[str]


class FileLists:
    """The walk over all sources, cut into lists for so many actors; counts what needs no work."""

    def __init__(
        self,
        writer: PartWriter,
        sources: Sequence[Source],
        keys: frozenset[str],
        options: IndexOptions,
        total: FileTotal,
        actors: int,
    ) -> None:
        self._total = total
        self._actors = actors
        self._cut = 0
        self._writer = writer
        self._sources = sources
        self._keys = keys
        self._options = options
        self.unchanged = self.known_failures = 0
        self.failed: Counter[Outcome] = Counter()
        self.unreadable: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[FileList]:
        for source in self._sources:
            found = files_of(source, self._options, on_error=partial(self._add_unreadable, source))
            for files in cut(found, lambda: list_size(self._total, self._cut, self._actors)):
                self._cut += len(files)
                paths = relative_paths((file.path for file in files), source.root)
                known = self._known(source, files, paths)
                if len(known) < len(files):
                    yield FileList(source, tuple(files), known)

    def _known(
        self, source: Source, files: Sequence[FoundFile], paths: Sequence[str]
    ) -> frozenset[str]:
        """Return the paths of files that have a row and have not changed."""
        states = self._writer.file_states(source.root.id, paths)
        known = []
        for file, path in zip(files, paths, strict=True):
            state = states.get(path)
            if state is None or not is_up_to_date(state, file, self._keys, self._options):
                continue
            known.append(path)
            if state.outcome is Outcome.INDEXED:
                self.unchanged += 1
            else:
                self.known_failures += 1
        return frozenset(known)

    def _add_unreadable(self, source: Source, path: str, reason: str) -> None:
        """Write a row for a folder or link that could not be read."""
        self.unreadable += ((path, reason),)
        (relative,) = relative_paths([path], source.root)
        outcome = Outcome.MISSING if reason == DANGLING else Outcome.UNREADABLE
        if not relative or relative in self._writer.file_states(source.root.id, [relative]):
            return
        self.failed[outcome] += 1
        self._writer.put([Entry(source.root.id, relative, 0, 0, None, outcome, reason)])


def list_size(total: FileTotal, done: int, actors: int) -> int:
    """Return the files of the next list: the shorter, the fewer are left."""
    left = total.left(done)
    if left is None:
        return LIST_FILES
    return min(LIST_FILES, max(SHORT_LIST_FILES, left // (LISTS_LEFT * actors)))


def cut(files: Iterator[FoundFile], size: Callable[[], int]) -> Iterator[list[FoundFile]]:
    """Cut a walk into lists of at least `size()` files; an image and its sidecars stay in one list."""
    collected: list[FoundFile] = []
    wanted = 0
    for file in files:
        wanted = wanted or size()
        if len(collected) >= wanted:
            stem = split_extension(collected[-1].path)[0]
            if not file.path.startswith(f"{stem}.") and not stem.startswith(
                split_extension(file.path)[0] + "."
            ):
                yield collected
                collected, wanted = [], 0
        collected.append(file)
    if collected:
        yield collected


class FileTotal:
    """Counts the files of all sources in a thread; `files` is None until that is done."""

    def __init__(self, sources: Sequence[Source], options: IndexOptions) -> None:
        self.files: int | None = None
        self._counting = not any(is_url(source.root.path) for source in sources)
        if self._counting:
            threading.Thread(target=self._count, args=(sources, options), daemon=True).start()

    def left(self, done: int) -> int | None:
        """Return how many files are left, 0 while they are counted; None where nobody counts them."""
        if self.files is not None:
            return max(0, self.files - done)
        return 0 if self._counting else None

    def _count(self, sources: Sequence[Source], options: IndexOptions) -> None:
        self.files = count_of(sources, options)

"""Further pages of the files of a run: each is read like a file of its own (`images.pages`)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from lookalike.errors import Outcome
from lookalike.extractors.extraction import ExtractionResult
from lookalike.images.formats import DOCUMENTS
from lookalike.images.pages import free_name, page_digest, split_page
from lookalike.images.walk import FoundFile
from lookalike.indexing.report import Counters, IndexOptions
from lookalike.stores.interface import Entry, FileState, Image, IndexWriter


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file on its way through the workers.

    still  path of the image that it may belong to
    file   of which this is a further page
    """

    root: int
    path: str
    found: FoundFile
    known: FileState | None
    still: str | None = None
    file: PendingFile | None = None

    def to_fetch(self) -> list[str]:
        """Return the paths whose content is needed to read it: its own, then that of the still."""
        return [self.found.path] if self.still is None else [self.found.path, self.still]


@dataclass(slots=True)
class _OpenFile:
    """A file whose pages are being read: the row of the file is written after theirs."""

    pending: PendingFile
    loaded: ExtractionResult
    pages: int


class PageQueue:
    """The pages to read, and the files that wait for theirs.

    The row of a file is written last. When a run is killed before, the next one finds no row that is up to
    date, and reads the file again; pages that are stored by then are kept.

    several  ids of the stored images whose files have several pages
    found    pages that were found to be read, or to be stored
    """

    def __init__(
        self,
        writer: IndexWriter,
        keys: frozenset[str],
        options: IndexOptions,
        several: Collection[int],
    ) -> None:
        self._writer = writer
        self._keys = keys
        self._options = options
        self._several = several
        self._waiting: deque[PendingFile] = deque()
        self._open: dict[tuple[int, str], _OpenFile] = {}
        self._stored: list[Image] = []
        self.found = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Iterator[PendingFile]:
        """Yield the pages to read, until there are no more for now."""
        while self._waiting:
            yield self._waiting.popleft()

    # ---- unchanged files ----

    def are_stored(self, root: int, path: str, state: FileState) -> bool:
        """Return whether the pages of an unchanged file are stored, as far as they are wanted; note them."""
        if state.id not in self._several:
            return True
        pages = [
            page
            for page in self._writer.pages(root, path)
            if (page.size, page.mtime_ns)
            == (state.size, state.mtime_ns)  # else a file of that name
        ]
        self._stored += pages
        return bool(pages) or not self._options.pages

    def count_stored(self, counters: Counters) -> None:
        """Count the pages that were noted, and mark them as seen."""
        self._writer.mark_seen([page.id for page in self._stored])
        self.found += len(self._stored)
        for page in self._stored:
            if page.outcome is Outcome.INDEXED:
                counters.counts["unchanged"] += 1
            else:
                counters.count_known_failure(page.outcome, page.reason)
        self._stored.clear()

    # ---- files that were read ----

    def add(self, file: PendingFile, loaded: ExtractionResult, counters: Counters) -> bool:
        """Take the pages of a file that was read, and forget those that it no longer has.

        Returns whether there are pages to read, so that the file has to wait for them.
        """
        if file.file is not None:
            return False
        wanted = loaded.pages if self._wants(loaded) else ()
        names = [free_name(file.found.path, page) for page in wanted]
        paths = [file.path + name for name in names]
        if file.known is not None and not loaded.known:
            self._forget_others(file, paths)
        if not wanted:
            return False
        states = self._writer.file_states(file.root, paths)
        left = 0
        for page, name, path in zip(wanted, names, paths, strict=True):
            state = states.get(path)
            if state and self._is_stored(state, file, page_digest(loaded.hash or b"", page)):
                self._writer.mark_seen([state.id])
                counters.counts["unchanged"] += 1
                continue
            found = replace(file.found, path=file.found.path + name)
            self._waiting.append(PendingFile(file.root, path, found, state, file=file))
            left += 1
        self.found += len(wanted)
        if left:
            self._open[file.root, file.path] = _OpenFile(file, loaded, left)
        return left > 0

    def finished(self, page: PendingFile) -> tuple[PendingFile, ExtractionResult] | None:
        """Note that a page is done; return the file to which it belongs if that was the last one."""
        if page.file is None:
            return None
        key = page.file.root, page.file.path
        self._open[key].pages -= 1
        if self._open[key].pages:
            return None
        done = self._open.pop(key)
        return done.pending, done.loaded

    def of_copy(self, entry: Entry, image: Image) -> list[Entry]:
        """Return the entries of the pages of a file that has the content of a stored image."""
        if image.facts.get("frames", 1) == 1:
            return []
        return [
            replace(
                entry,
                path=f"{entry.path}#{(split_page(page.path) or ('', ''))[1]}",
                hash=page.hash,
                outcome=page.outcome,
                reason=page.reason,
                same_as=page.id,
            )
            for page in self._writer.pages(image.root, image.path)
            if page.hash is not None and page.size == image.size
        ]

    def _wants(self, loaded: ExtractionResult) -> bool:
        if loaded.outcome is not Outcome.INDEXED or loaded.facts is None:
            return False
        return self._options.pages or loaded.facts.format in DOCUMENTS

    def _is_stored(self, state: FileState, file: PendingFile, digest: bytes) -> bool:
        found = file.found.size, file.found.mtime_ns
        return (
            (state.size, state.mtime_ns) == found
            and state.hash == digest
            and state.outcome is Outcome.INDEXED
            and self._keys <= state.spaces
        )

    def _forget_others(self, file: PendingFile, paths: Collection[str]) -> None:
        """Delete the stored pages of a file other than these, unless files have their names."""
        gone = [
            page.id
            for page in self._writer.pages(file.root, file.path)
            if page.path not in paths
            and not os.path.lexists(file.found.path + page.path[len(file.path) :])
        ]
        if gone:
            self._writer.remove(gone)

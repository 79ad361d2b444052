"""One run of indexing: the way of a file, from the folder to the store."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lookalike.errors import Outcome, UsageError
from lookalike.extractors.extraction import Extraction, Loaded, Task
from lookalike.extractors.interface import Extractor, space_key
from lookalike.images.reading import is_elsewhere
from lookalike.images.walk import Found, count, find
from lookalike.indexing.content_reuse import Twins
from lookalike.indexing.counters import (
    EMPTY,
    NOT_A_PICTURE,
    Tally,
    failed_before,
    kind,
    settled,
    unchanged,
)
from lookalike.indexing.extractor_thread import Inference
from lookalike.indexing.report import IndexOptions, IndexReport, Progress, ProgressCallback
from lookalike.indexing.sidecars import Descriptions
from lookalike.indexing.sources import Source, relatives
from lookalike.indexing.unreadable import Unseen
from lookalike.stores.interface import Entry, FileState, Root, Writer
from lookalike.workers.pool import Pool

CHUNK = 500  # paths that are looked up in the catalogue together
# Pictures that one transaction stores; a kill loses at most these, or two seconds' work. Each waits for
# the disk seven times, some 20 ms each: with 256, on small files, that took a third of the time.
BATCH = 1024
FLUSH_SECONDS = 2.0  # a slow run commits at least this often
# Tasks under way for each worker: vectors are small, and a commit on a slow disk should not leave anybody
# without work. Pixels for an extractor in the parent are not small: there the pool's own window holds.
AHEAD = 512
REPORT_SECONDS = 0.1  # the progress callback is called about this often


@dataclass(frozen=True, slots=True)
class Pending:
    """A file on its way through the workers."""

    root: int
    path: str
    found: Found
    known: FileState | None


class Run:
    """One run of indexing: holds the writer, the extractors and the batch in flight.

    roots  those that the library has so far; skip: its own folder, which is not searched for pictures
    """

    def __init__(
        self,
        writer: Writer,
        extractors: Sequence[Extractor],
        roots: Sequence[Root],
        skip: Path,
        options: IndexOptions,
        progress: ProgressCallback | None,
    ) -> None:
        self._writer = writer
        self._folders = {root.id: root.path for root in roots}
        self._skip = [skip]
        self._keys = frozenset(space_key(extractor) for extractor in extractors)
        self._here = {space_key(e): e for e in extractors if e.runs_in == "main"}
        self._inference: Inference[Pending] | None = None
        self._extractors = extractors
        self._options = options
        self._pending: deque[Pending] = deque()
        self._entries: list[Entry] = []
        self._twins = Twins(writer, self._keys, self._folders, failed=not options.retry_failed)
        self._flushed = self._reported = self._started = time.monotonic()
        self._total: int | None = None
        self._unseen = Unseen()
        self._again: Callable[[Task], Loaded]
        self._progress = progress
        self._beside = Descriptions(writer.sidecars) if options.sidecars else None
        self.tally = Tally()

    def go(self, sources: Sequence[Source]) -> IndexReport:
        """Index the sources. When it is interrupted, what is finished is stored before it ends."""
        self._folders.update({source.root.id: source.root.path for source in sources})
        counting = threading.Event()
        if self._progress:
            threading.Thread(target=self._count, args=(sources, counting), daemon=True).start()
        limits = self._options.limits
        work = Extraction.of(self._extractors, limits=limits)
        try:
            with Pool(
                work, workers=self._options.workers, limits=limits, on_failure=Loaded.failed
            ) as pool:
                self._again = pool.run
                window = None if self._here else AHEAD * pool.workers
                if self._here:
                    self._inference = Inference(self._here)
                for loaded in pool.map(self._tasks(sources), window=window):
                    self._settle(self._pending.popleft(), loaded)
                if self._inference:
                    for pending, loaded in self._inference.rest():
                        self._keep(pending, loaded)
        finally:
            counting.set()
            self._flush()
            if self._inference:
                self._inference.close()
                self._keep_left_over(self._inference)
            self._report(force=True)
        removed = sum(self._sweep(source) for source in sources)
        return self._with_sidecars(self.tally.added(removed, self._unseen.places))

    def _with_sidecars(self, added: IndexReport) -> IndexReport:
        beside = self._beside
        if beside is None:
            return added
        return replace(
            added,
            sidecars=beside.read,
            broken_sidecars=beside.broken,
            broken_examples=tuple(beside.named),
        )

    def _sweep(self, source: Source) -> int:
        """Forget what is gone below the source. Not where a part of it could not be read or went away
        meanwhile, nor where it holds no file at all (a drive that is not mounted is an empty folder, or one
        that a link led to), nor under globs, which hide files that still exist."""
        options, tally = self._options, self.tally
        if options.include or options.exclude or not source.path.is_dir():
            return 0
        if self._unseen.hides(self._writer, source):
            return 0
        if not tally.seen[source.path]:
            self._unseen.places.append((str(source.path), EMPTY))
            return 0
        if self._beside:
            self._writer.sidecars.sweep(source.root.id, source.below)
        return self._writer.sweep(source.root.id, source.below)

    def _count(self, sources: Sequence[Source], stop: threading.Event) -> None:
        options = self._options
        paths = [source.path for source in sources]
        with suppress(UsageError):  # the source has gone meanwhile: the walk itself will say so
            self._total = count(
                paths,
                include=options.include,
                exclude=options.exclude,
                skip=self._skip,
                stop=stop.is_set,
            )

    def _tasks(self, sources: Sequence[Source]) -> Iterator[Task]:
        """The files that need work; unchanged ones are settled on the way."""
        for source in sources:
            found = find(
                [source.path],
                include=self._options.include,
                exclude=self._options.exclude,
                skip=self._skip,
                on_error=self._unseen.note,
            )
            while chunk := list(islice(found, CHUNK)):
                self.tally.seen[source.path] += len(chunk)
                self._twins.begin({file.size for file in chunk})
                paths = relatives((file.path for file in chunk), source.root)
                if self._beside:
                    self._beside.pass_by(source.root, paths, chunk)
                for pending in self._unsettled(source.root, paths, chunk):
                    self._pending.append(pending)
                    yield Task(
                        path=pending.found.path, same_content=self._twins.hashes(pending.found.size)
                    )
                if self._beside and not self._pending:
                    self._beside.settle()
                self._report()
            if self._beside:
                self._beside.end(source.root)

    def _unsettled(self, root: Root, paths: Sequence[str], chunk: Sequence[Found]) -> list[Pending]:
        """Those of the files that need work; the others are marked as seen and counted."""
        known = self._writer.file_states(root.id, paths)
        work, kept = [], []
        for file, path in zip(chunk, paths, strict=True):
            row = known.get(path)
            if row is None or not settled(row, file, self._keys, self._options):
                work.append(Pending(root.id, path, file, row))
                continue
            kept.append(row.id)
            whole = row.outcome is Outcome.INDEXED
            self.tally.counts["unchanged" if whole else failed_before(row.reason)] += 1
        self._writer.mark_seen(kept)
        return work

    def _settle(self, pending: Pending, loaded: Loaded) -> None:
        """Take one result from the workers; with an extractor here it waits for its vectors."""
        if self._inference is None:
            self._keep(pending, loaded)
        else:
            self._inference.add(pending, loaded)
            for done in self._inference.finished():
                self._keep(*done)
            self._report()

    def _keep(self, pending: Pending, loaded: Loaded) -> None:
        """What became of a file goes into the batch, and that into the store when it is full."""
        self._take(pending, self._sure(pending, loaded))
        late = time.monotonic() - self._flushed > FLUSH_SECONDS
        if len(self._entries) >= BATCH or late:
            self._flush()
        self._report()

    def _keep_left_over(self, inference: Inference[Pending]) -> None:
        """Stores what was finished when the run was interrupted."""
        for pending, loaded in inference.left_over():
            if loaded.known and not self._twins.of(pending.found.size, loaded.hash):
                break  # to be read once more, for which there are no workers any more
            self._take(pending, loaded)
        self._flush()

    def _take(self, pending: Pending, loaded: Loaded) -> None:
        """Into the batch; but a picture that is known and has not changed, whose file was gone or shut when
        it should be read for one more space, keeps what it has."""
        known = pending.known
        if (
            known is not None
            and known.outcome is Outcome.INDEXED
            and unchanged(known, pending.found)
            and is_elsewhere(loaded.outcome, loaded.reason)
        ):
            self.tally.failed[loaded.outcome] += 1
            self._writer.mark_seen([known.id])
        else:
            self._entries.append(self._entry(pending, loaded))

    def _sure(self, pending: Pending, loaded: Loaded) -> Loaded:
        """A file whose twin has changed or gone since the worker was told of it is read once more."""
        if not loaded.known or self._twins.of(pending.found.size, loaded.hash):
            return loaded
        loaded = self._again(Task(path=pending.found.path))
        return self._inference.at_once(loaded) if self._inference else loaded

    def _entry(self, pending: Pending, loaded: Loaded) -> Entry:
        entry = Entry(
            root=pending.root,
            path=pending.path,
            size=pending.found.size,
            mtime_ns=pending.found.mtime_ns,
            hash=loaded.hash,
            outcome=loaded.outcome,
            reason=loaded.reason,
            facts=loaded.facts,
            vectors=loaded.vectors,
        )
        self.tally.last = pending.path
        if loaded.known:
            return self._taken_over(entry)
        if loaded.outcome is Outcome.INDEXED:
            self.tally.counts[kind(pending.known, entry)] += 1
        elif loaded.reason.startswith(NOT_A_PICTURE):
            self.tally.counts["not_pictures"] += 1
        else:
            self.tally.failed[loaded.outcome] += 1
        return entry

    def _taken_over(self, entry: Entry) -> Entry:
        """The content is known from another path, or from this one whose date alone has changed."""
        entry, how = self._twins.take_over(entry)
        if entry.outcome is not Outcome.INDEXED:
            self.tally.counts[failed_before(entry.reason)] += 1
        else:
            self.tally.counts[how] += 1
        return entry

    def _flush(self) -> None:
        if self._entries:
            self._writer.put(self._entries)
            self._twins.stored({entry.size for entry in self._entries})
            self._entries = []
        if self._beside:
            self._beside.settle()
        self._flushed = time.monotonic()

    def _report(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or (now - self._reported < REPORT_SECONDS and not force):
            return
        self._reported = now
        tally = self.tally
        failed = sum(tally.failed.values())
        elapsed = now - self._started
        self._progress(
            Progress(tally.done, self._total, tally.indexed, failed, tally.last, elapsed)
        )

"""An indexing run: the path of a file from the folder to the store.

Read `Indexer` from top to bottom: walk, skip what is up to date, decode and extract in the workers,
extract in the main process, write in batches, sweep what is gone.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.extractors.extraction import Extraction, ExtractionResult, Task
from lookalike.extractors.interface import Extractor, space_key
from lookalike.images.formats import still_of
from lookalike.images.metadata.facts import OCR_FIELDS, Facts
from lookalike.images.reading import is_access_failure
from lookalike.images.walk import DANGLING, FoundFile
from lookalike.indexing.change_detection import ChangeDetection
from lookalike.indexing.companions import StillFinder
from lookalike.indexing.content_reuse import ContentReuse
from lookalike.indexing.extractor_thread import ExtractorQueue
from lookalike.indexing.fetch_ahead import fetch_ahead
from lookalike.indexing.page_queue import PageQueue, PendingFile
from lookalike.indexing.report import (
    EMPTY_SOURCE,
    Counters,
    IndexOptions,
    IndexReport,
    Progress,
    ProgressCallback,
)
from lookalike.indexing.sidecars import SidecarReader
from lookalike.indexing.sources import (
    Source,
    Unreadable,
    count_of,
    files_of,
    is_folder,
    is_up_to_date,
    relative_paths,
    same_file,
)
from lookalike.object_storage import is_address_list, is_url
from lookalike.stores.interface import Entry, FileState, IndexWriter, Root
from lookalike.workers.pool import Pool

CHUNK = 500  # paths looked up in the catalogue together
# Images stored in one transaction; a kill loses at most these, or two seconds' work. A transaction waits
# for the disk seven times, some 20 ms each: with 256 small images, that took a third of the time.
BATCH = 1024
FLUSH_SECONDS = 2.0  # a slow run commits at least this often
# Tasks in flight per worker: vectors are small, and a commit on a slow disk should not leave a worker
# idle. Pixels for extractors in the main process are larger: there the pool's own window applies.
WINDOW_PER_WORKER = 512
REMOTE_WINDOW = 32  # tasks in flight that hold the content of their images
EXTRACTOR_BATCH = 32  # images per call of an extractor in the main process that is not concurrent
MAX_WAITING = 64  # images that may wait for such an extractor, not counting those being extracted
# The same three where such an extractor takes images of any size: a screenshot has 6 MB, a scan 150 MB.
ANY_SIZE_WINDOW_PER_WORKER = 4
ANY_SIZE_BATCH = 8
MAX_WAITING_OF_ANY_SIZE = 8
REPORT_SECONDS = 0.1  # interval of the progress callback


def extraction_pool(
    extractors: Sequence[Extractor], options: IndexOptions, thumbnail_side: int = 0
) -> Pool[Task, ExtractionResult]:
    """Return workers that read, decode and extract; they start when there is work for them."""
    work = Extraction.of(
        extractors, limits=options.limits, skip_drawings=True, thumbnail_side=thumbnail_side
    )
    return Pool(
        work,
        workers=options.workers,
        limits=options.limits,
        on_failure=ExtractionResult.failed,
    )


class Indexer:
    """One indexing run. Holds the writer, the extractors and the batch in progress.

    roots  roots that the library has so far
    skip   the library's own folder, which is not searched for images

    may_forget  whether that many images whose files are gone may be removed without `prune`
    takes       whether this run takes a file, by its path relative to the root (None: all); it sees the
                others, too, because sidecars may lie among them
    share       it takes one of so many files, for the progress
    files       of the only source, in the order of the walk; None: they are found
    keep_thumbnail
                called with content (SHA-256) and JPEG of every indexed image, its longer side
                `thumbnail_side` pixels
    pool        workers to use, which stay; by default the run starts its own
    several     ids of the stored images whose files have several pages
    """

    def __init__(
        self,
        writer: IndexWriter,
        extractors: Sequence[Extractor],
        roots: Sequence[Root],
        skip: Path | None,
        options: IndexOptions,
        progress: ProgressCallback | None,
        *,
        may_forget: Callable[[int], bool],
        takes: Callable[[str], bool] | None = None,
        share: int = 1,
        files: Sequence[FoundFile] | None = None,
        thumbnail_side: int = 0,
        keep_thumbnail: Callable[[bytes, bytes], None] | None = None,
        pool: Pool[Task, ExtractionResult] | None = None,
        several: Collection[int] = (),
    ) -> None:
        self._writer = writer
        self._may_forget = may_forget
        self._takes = takes
        self._share = share
        self._files = files
        self._thumbnail_side = thumbnail_side if keep_thumbnail else 0
        self._keep_thumbnail = keep_thumbnail
        self._pool = pool
        self._folders = {root.id: root.path for root in roots}
        self._skip = [] if skip is None else [skip]
        self._extractors = extractors
        self._keys = frozenset(space_key(extractor) for extractor in extractors)
        self._options = options
        self._progress = progress
        self._pending: deque[PendingFile] = deque()
        self._queue: ExtractorQueue[PendingFile] | None = None
        self._batch: list[Entry] = []
        self._pages = PageQueue(writer, self._keys, options, several)
        self._stills: StillFinder | None = None
        self._known_content = ContentReuse(
            writer, self._keys, self._folders, failed=not options.retry_failed
        )
        self._sidecars = SidecarReader(writer.sidecars) if options.sidecars else None
        self._unreadable = Unreadable()
        self._changes = ChangeDetection()
        self._flushed = self._reported = self._started = time.monotonic()
        self._total: int | None = None
        self._run_task: Callable[[Task], ExtractionResult]
        self.counters = Counters()

    def run(self, sources: Sequence[Source]) -> IndexReport:
        """Index the sources. When interrupted, finished files are stored before the error is raised."""
        self._folders.update({source.root.id: source.root.path for source in sources})
        stop_counting = threading.Event()
        if self._progress:
            arguments = sources, stop_counting
            threading.Thread(target=self._count_files, args=arguments, daemon=True).start()
        try:
            self._index(sources)
        finally:
            stop_counting.set()
            self._flush()
            if self._queue:
                self._queue.close()
                self._store_finished(self._queue)
            self._report_progress(force=True)
        self._changes.store_identities(self._writer)
        removed, missing = self._sweep(sources)
        report = self.counters.report(removed, missing, self._unreadable.paths)
        return self._sidecars.add_to(report) if self._sidecars else report

    def _index(self, sources: Sequence[Source]) -> None:
        in_main = {space_key(e): e for e in self._extractors if e.runs_in == "main"}
        own = extraction_pool(self._extractors, self._options, self._thumbnail_side)
        with own if self._pool is None else nullcontext(self._pool) as pool:
            self._run_task = pool.run
            window: int | None = WINDOW_PER_WORKER * pool.workers
            if any(extractor.pixels.fit == "any" for extractor in in_main.values()):
                window = ANY_SIZE_WINDOW_PER_WORKER * pool.workers
                self._queue = ExtractorQueue(
                    in_main, batch=ANY_SIZE_BATCH, max_waiting=MAX_WAITING_OF_ANY_SIZE
                )
            elif in_main:
                window = None
                self._queue = ExtractorQueue(
                    in_main, batch=EXTRACTOR_BATCH, max_waiting=MAX_WAITING
                )
            if any(is_url(source.root.path) for source in sources):
                window = min(window or REMOTE_WINDOW, REMOTE_WINDOW)
            tasks = self._tasks(sources)
            while True:
                for loaded in pool.map(tasks, window=window):
                    self._handle_result(self._pending.popleft(), loaded)
                if self._queue:
                    for pending, loaded in self._queue.rest():
                        self._write(pending, loaded)
                if not self._pages:
                    break
                tasks = self._page_tasks()

    # ---- walk and skip ----

    def _tasks(self, sources: Sequence[Source]) -> Iterator[Task]:
        """Yield a task for every file that needs work; the others are counted on the way."""
        for source in sources:
            files = self._files_to_read(source)
            if is_url(source.root.path):
                yield from self._remote_tasks(files)
                continue
            for pending in files:
                self._pending.append(pending)
                hashes = self._known_content.hashes(pending.found.size)
                if pending.still or (pending.known and self._options.pages):
                    hashes = ()  # decoded though it is known: for its time, or for pages that are not stored
                yield Task(path=pending.found.path, same_content=hashes, still=pending.still)
                yield from self._page_tasks()

    def _page_tasks(self) -> Iterator[Task]:
        """Yield a task for every page of the files that were found to have several."""
        for pending in self._pages.take():
            self._pending.append(pending)
            yield Task(path=pending.found.path)

    def _remote_tasks(self, files: Iterator[PendingFile]) -> Iterator[Task]:
        """Yield a task for every file, with its content, which is fetched while others are decoded."""
        fetched = fetch_ahead(files, PendingFile.to_fetch, lambda one: one.found.size)
        for pending, (data, *beside) in fetched:
            path = pending.found.path
            if isinstance(data, ImageError):
                self._pending.append(pending)
                yield Task(path=path, failure=(data.outcome, data.reason))
                continue
            size = len(data)  # the size of a member of a Parquet file is not known before
            self._pending.append(replace(pending, found=replace(pending.found, size=size)))
            self._known_content.start_chunk({size})
            still = beside[0] if beside and not isinstance(beside[0], ImageError) else None
            hashes = () if pending.still else self._known_content.hashes(size)
            yield Task(
                path=path, data=data, same_content=hashes, still=pending.still, still_data=still
            )

    def _files_to_read(self, source: Source) -> Iterator[PendingFile]:
        """Yield the files of a source that need work."""
        self._changes.start_source(source)
        self._stills = StillFinder(source, self._options.include) if self._options.pairs else None
        on_error = partial(self._add_unreadable, source.root)
        found = (
            files_of(source, self._options, skip=self._skip, on_error=on_error)
            if self._files is None
            else iter(self._files)
        )
        while chunk := list(islice(found, CHUNK)):
            self.counters.found[source.path] += len(chunk)
            paths = relative_paths((file.path for file in chunk), source.root)
            if self._sidecars:
                self._sidecars.add_files(source.root, paths, chunk)
            needed = self._skip_up_to_date(source.root, *self._own_files(paths, chunk))
            self._known_content.start_chunk({pending.found.size for pending in needed})
            yield from needed
            if self._sidecars and not self._pending:
                self._sidecars.store()
            self._report_progress()
        if self._sidecars:
            self._sidecars.end_source(source.root)

    def _own_files(
        self, paths: Sequence[str], chunk: Sequence[FoundFile]
    ) -> tuple[Sequence[str], Sequence[FoundFile]]:
        """Return the files that this run takes, with their paths relative to the root."""
        if self._takes is None:
            return paths, chunk
        own = [number for number, path in enumerate(paths) if self._takes(path)]
        return [paths[number] for number in own], [chunk[number] for number in own]

    def _add_unreadable(self, root: Root, path: str, reason: str) -> None:
        """Count a folder or link that could not be read, and store it, so that it is listed with the files
        that failed. What the library knows of an image there is kept."""
        self._unreadable.add(path, reason)
        if not path.startswith(os.path.join(root.path, "")):  # noqa: PTH118
            return  # a line of a list that is no address
        (relative,) = relative_paths([path], root)
        if self._takes is not None and not self._takes(relative):
            return
        outcome = Outcome.MISSING if reason == DANGLING else Outcome.UNREADABLE
        self.counters.count_failure(outcome, reason)
        known = self._writer.file_states(root.id, [relative]).get(relative)
        if known is not None and known.outcome is Outcome.INDEXED:
            self._writer.mark_seen([known.id])
        elif relative:
            self._batch.append(Entry(root.id, relative, 0, 0, None, outcome, reason))

    def _skip_up_to_date(
        self, root: Root, paths: Sequence[str], chunk: Sequence[FoundFile]
    ) -> list[PendingFile]:
        """Return the files that need work; mark the others as seen and count them."""
        known = self._writer.file_states(root.id, paths)
        states = [(file, known.get(path)) for file, path in zip(chunk, paths, strict=True)]
        replaced, inodes = self._changes.replaced(root.id, states)
        if inodes:
            self._writer.set_inodes(inodes)
        pending, seen = [], []
        for (file, state), path in zip(states, paths, strict=True):
            still = self._stills.find(file) if self._stills else None
            if (
                state is None
                or state.id in replaced
                or not is_up_to_date(state, file, self._keys, self._options)
                or not _stands_alone_as_before(state, still, root, known)
                or not self._pages.are_stored(root.id, path, state)
            ):
                pending.append(PendingFile(root.id, path, file, state, still))
                continue
            seen.append(state.id)
            if state.outcome is Outcome.INDEXED:
                self.counters.counts["unchanged"] += 1
            else:
                self.counters.count_known_failure(state.outcome, state.reason)
        self._writer.mark_seen(seen)
        self._pages.count_stored(self.counters)
        return pending

    # ---- results ----

    def _handle_result(self, pending: PendingFile, loaded: ExtractionResult) -> None:
        """Take a result from the workers; extractors in the main process add their vectors first."""
        if self._queue is None:
            self._write(pending, loaded)
            return
        self._queue.add(pending, loaded)
        for finished in self._queue.finished():
            self._write(*finished)
        self._report_progress()

    def _write(self, pending: PendingFile, loaded: ExtractionResult) -> None:
        """Add a result to the batch, and store the batch when it is full or two seconds old."""
        loaded = self._read_again_if_stale(pending, loaded)
        if not self._pages.add(pending, loaded, self.counters):
            self._add_to_batch(pending, loaded)
            if (whole := self._pages.finished(pending)) is not None:
                self._add_to_batch(*whole)
        overdue = time.monotonic() - self._flushed > FLUSH_SECONDS
        if len(self._batch) >= BATCH or overdue:
            self._flush()
        self._report_progress()

    def _read_again_if_stale(
        self, pending: PendingFile, loaded: ExtractionResult
    ) -> ExtractionResult:
        """Read a file again if the image whose content it shares has since changed or gone."""
        if not loaded.known or self._known_content.images(pending.found.size, loaded.hash):
            return loaded
        loaded = self._run_task(Task(path=pending.found.path, still=pending.still))
        return self._queue.extract_now(loaded) if self._queue else loaded

    def _add_to_batch(self, pending: PendingFile, loaded: ExtractionResult) -> None:
        """Add the outcome of a file to the batch.

        A known, unchanged image whose file could not be read just now (its drive is gone, say) when it
        was to get a further space keeps what it has.
        """
        known = pending.known
        if (
            known is not None
            and known.outcome is Outcome.INDEXED
            and same_file(known, pending.found)
            and is_access_failure(loaded.outcome, loaded.reason)
        ):
            self.counters.failed[loaded.outcome] += 1
            self._writer.mark_seen([known.id])
        else:
            self._batch.append(self._entry(pending, loaded))

    def _entry(self, pending: PendingFile, loaded: ExtractionResult) -> Entry:
        """Return what the store gets of a file, and count it."""
        entry = Entry(
            root=pending.root,
            path=pending.path,
            size=pending.found.size,
            mtime_ns=pending.found.mtime_ns,
            hash=loaded.hash,
            inode=pending.found.inode,
            outcome=loaded.outcome,
            reason=loaded.reason,
            facts=self._with_known_text(pending, loaded),
            vectors=loaded.vectors,
        )
        self.counters.last = pending.path
        if self._keep_thumbnail and loaded.thumbnail and loaded.hash:
            self._keep_thumbnail(loaded.hash, loaded.thumbnail)
        if loaded.known:
            entry, change, image = self._known_content.reuse(entry)
            for page in self._pages.of_copy(entry, image):
                self._batch.append(page)
                self.counters.counts[change] += page.outcome is Outcome.INDEXED
            if entry.outcome is Outcome.INDEXED:
                self.counters.counts[change] += 1
            else:
                self.counters.count_known_failure(entry.outcome, entry.reason)
        elif entry.outcome is not Outcome.INDEXED:
            self.counters.count_failure(entry.outcome, entry.reason)
        elif pending.known is None:
            self.counters.counts["new"] += 1
        else:
            same_content = pending.known.hash == entry.hash
            self.counters.counts["added_vectors" if same_content else "changed"] += 1
        return entry

    def _with_known_text(self, pending: PendingFile, loaded: ExtractionResult) -> Facts | None:
        """Return the facts of a file with the text that was read in the same content before."""
        facts, known = loaded.facts, pending.known
        if facts is None or known is None or known.hash != loaded.hash or facts.ocr_outcome:
            return facts
        stored = self._writer.sidecars.facts([known.id]).get(known.id, {})
        return replace(facts, **{name: stored[name] for name in OCR_FIELDS if name in stored})

    def _flush(self) -> None:
        if self._batch:
            self._writer.put(self._batch)
            self._known_content.batch_stored({entry.size for entry in self._batch})
            self._batch = []
        if self._sidecars:
            self._sidecars.store()
        self._flushed = time.monotonic()

    def _store_finished(self, queue: ExtractorQueue[PendingFile]) -> None:
        """Store what was finished when the run was interrupted."""
        for pending, loaded in queue.finished_before_error():
            if loaded.pages:
                continue  # read again by the next run, with its pages
            if loaded.known and not self._known_content.images(pending.found.size, loaded.hash):
                break  # it would have to be read again, and the workers have ended
            self._add_to_batch(pending, loaded)
        self._flush()

    # ---- sweep ----

    def _sweep(self, sources: Sequence[Source]) -> tuple[int, int]:
        """Remove images whose files are gone; return how many, or how many are kept because they are many."""
        complete = [source for source in sources if self._is_complete(source)]
        places = [(source.root.id, source.below) for source in complete]
        missing = sum(self._writer.sweep(*place, dry_run=True) for place in places)
        asked = self._options.prune or self._options.exclude
        if not (asked or self._may_forget(missing)):
            return 0, missing
        if self._sidecars:
            for place in places:
                self._writer.sidecars.sweep(*place)
        return sum(self._writer.sweep(*place) for place in places), 0

    def _is_complete(self, source: Source) -> bool:
        """Return whether all files below a source were seen, so that the others are gone.

        Not where a part of the source could not be read or vanished meanwhile, not where it holds no file
        at all (an unmounted drive is an empty folder), and not with `include`, which hides existing files.
        """
        if self._options.include or is_address_list(source.path) or not is_folder(source.path):
            return False
        if self._unreadable.may_hide_images(self._writer, source):
            return False
        if not self.counters.found[source.path]:
            self._unreadable.paths.append((str(source.path), EMPTY_SOURCE))
            return False
        return True

    # ---- progress ----

    def _count_files(self, sources: Sequence[Source], stop: threading.Event) -> None:
        if any(is_url(source.root.path) for source in sources):
            return  # listing everything twice would take long
        with suppress(UsageError):  # the source vanished meanwhile: the walk itself reports that
            files = count_of(sources, self._options, skip=self._skip, stop=stop.is_set)
            self._total = -(-files // self._share)  # pages are added as they are found

    def _report_progress(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or (now - self._reported < REPORT_SECONDS and not force):
            return
        self._reported = now
        counters = self.counters
        failed = counters.failed.total()
        elapsed = now - self._started
        total = None if self._total is None else self._total + self._pages.found
        self._progress(
            Progress(counters.done, total, counters.indexed, failed, counters.last, elapsed)
        )


def _stands_alone_as_before(
    state: FileState, still: str | None, root: Root, known: Mapping[str, FileState]
) -> bool:
    """Return whether a file that need not be read belongs to the image that it belonged to, or to none.

    A still that is new beside a known raw file or video may be the image that it belongs to.
    """
    if (before := still_of(state.reason)) is not None:
        return still is not None and os.path.basename(still) == before  # noqa: PTH119
    if still is None or state.outcome is not Outcome.INDEXED:
        return True
    return relative_paths([still], root)[0] in known

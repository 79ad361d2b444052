"""`lookalike index --watch`: index again whenever files change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lookalike.cli import output
from lookalike.errors import LibraryError, UsageError
from lookalike.workers.worker_process import keep

Index = Callable[[Sequence[Path]], None]
"""Indexes folders and reports what it did."""

# Milliseconds without a change after which changes are indexed, and between two looks at them: a camera or a
# browser writes a file in pieces.
QUIET_MS, STEP_MS = 1600, 400

# Seconds until a run that failed is tried again, and until everything is looked at in any case: a system may
# lose events, and drives in a network send none.
RETRY_SECONDS = 30.0
RESCAN_SECONDS = 3600.0

KEPT_WORKERS = 2
"""Idle workers between changes, most of which are a few images."""

LIMIT_MESSAGE = (
    "the system watches no more folders: raise fs.inotify.max_user_watches, or set "
    "WATCHFILES_FORCE_POLLING=1"
)


def watch(sources: Sequence[Path], index: Index, *, whole: bool) -> None:
    """Index what changes in folders until the program is interrupted. Errors are reported and tried again.

    whole  index all of a source, not only the folder that has changed: patterns are relative to sources
    """
    keep(KEPT_WORKERS)
    folders = [source.resolve() for source in sources]
    queue = _Queue(index)
    while True:
        queue.add(folders)  # what has changed since they were indexed last
        try:
            for changed in _changes(folders):
                if not all(folder.is_dir() for folder in folders):
                    break  # an unplugged drive: what is mounted later is another folder
                queue.add(changed if not whole else _sources_of(changed, folders))
                queue.run(folders)
        except FileNotFoundError:
            pass
        except OSError as error:
            limit = "limit" in str(error).lower() or error.errno == 28
            queue.complain(LIMIT_MESSAGE if limit else f"cannot watch: {error}")
        while not all(folder.is_dir() for folder in folders):
            missing = next(folder for folder in folders if not folder.is_dir())
            queue.complain(f"{missing} is gone: waiting for it")
            time.sleep(1.0)


class _Queue:
    """Folders that are to be indexed."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._folders: set[Path] = set()
        self._not_before = 0.0
        self._rescan = time.monotonic() + RESCAN_SECONDS
        self._complaint = ""

    def add(self, folders: Sequence[Path]) -> None:
        """Add folders. The deletion of one that is gone already has added its source."""
        self._folders |= set(folders)

    def run(self, everything: Sequence[Path]) -> None:
        """Index the folders of the queue unless a run has just failed."""
        now = time.monotonic()
        if now >= self._rescan:
            self._folders |= set(everything)
        self._folders = {folder for folder in self._folders if folder.is_dir()}
        if not self._folders or now < self._not_before:
            return
        try:
            self._index(sorted(self._folders))
        except (LibraryError, UsageError, OSError) as error:
            self._not_before = time.monotonic() + RETRY_SECONDS
            self.complain(str(error))
            return
        if self._folders >= set(everything):
            self._rescan = time.monotonic() + RESCAN_SECONDS
        self._folders.clear()
        self._complaint = ""

    def complain(self, message: str) -> None:
        """Report an error, but not the same one again and again."""
        if message != self._complaint:
            output.complain(message)
        self._complaint = message


def _changes(folders: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the folders in which something has changed, or nothing after some seconds."""
    from watchfiles import Change
    from watchfiles import watch as watch_files

    for changes in watch_files(
        *folders,
        watch_filter=None,  # changes of hidden files count as a pause, or a busy library would hide it
        debounce=QUIET_MS,
        step=STEP_MS,
        rust_timeout=2000,
        yield_on_timeout=True,
        raise_interrupt=True,
        ignore_permission_denied=True,
    ):
        found: list[Path] = []
        for kind, name in changes:
            path = Path(name)
            if _is_hidden(path, folders):
                continue
            if kind == Change.deleted:  # a folder that is empty now is not swept: it may be a drive
                found += _sources_of([path], folders)
            else:
                found.append(path if path.is_dir() else path.parent)
        yield found


def _is_hidden(path: Path, folders: Sequence[Path]) -> bool:
    """Return whether a path is one that indexing skips: the library's own folder, among others."""
    inside = (path.relative_to(folder) for folder in folders if path.is_relative_to(folder))
    return all(any(part.startswith(".") for part in relative.parts) for relative in inside)


def _sources_of(paths: Sequence[Path], folders: Sequence[Path]) -> list[Path]:
    """Return the sources in which paths lie."""
    return [folder for folder in folders if any(path.is_relative_to(folder) for path in paths)]

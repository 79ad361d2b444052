"""The store in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from lookalike.errors import LibraryBusy, UsageError
from lookalike.stores.memory.snapshot import MemorySnapshot
from lookalike.stores.memory.writer import CurrentState, MemoryWriter

if TYPE_CHECKING:
    from lookalike.ann.faiss_index import Progress
    from lookalike.stores.ann_index import IndexBuildOptions, IndexCheck


class MemoryStore:
    """See `Store`. A snapshot is a reference to the state of its moment, which never changes."""

    def __init__(self) -> None:
        self._current = CurrentState()
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        """See `Store`."""
        return "memory"

    @property
    def folder(self) -> None:
        """See `Store`: there is none."""
        return

    @property
    def read_only(self) -> bool:
        """See `Store`."""
        return False

    def disk_bytes(self) -> int:
        """See `Store`: the bytes of the vectors."""
        with self.snapshot() as snapshot:
            return sum(space.bytes for space in snapshot.spaces())

    @contextmanager
    def snapshot(self) -> Iterator[MemorySnapshot]:
        """See `Store`."""
        yield MemorySnapshot(self._current.state)

    @contextmanager
    def writer(self) -> Iterator[MemoryWriter]:
        """See `Store`."""
        if not self._lock.acquire(blocking=False):
            raise LibraryBusy("another thread is writing to the library: wait until it is done")
        try:
            yield MemoryWriter(self._current)
        finally:
            self._lock.release()

    @property
    def indexes(self) -> NoIndexes:
        """See `Store`."""
        return NoIndexes()

    def check(self) -> list[str]:
        """See `Store`."""
        return []

    def close(self) -> None:
        """See `Store`."""


class NoIndexes:
    """See `Indexes`. All searches are exact."""

    def build(
        self,
        space: str,
        options: IndexBuildOptions | None = None,
        *,
        progress: Progress | None = None,
    ) -> NoReturn:
        """See `Indexes`."""
        raise UsageError("a library in memory has no ANN indexes")

    def remove(self, space: str) -> bool:
        """See `Indexes`."""
        return False

    def check(self, space: str, *, queries: int = 500) -> NoReturn:
        """See `Indexes`."""
        raise UsageError("a library in memory has no ANN indexes")

    def compare(
        self, space: str, recipes: Sequence[str] = (), *, progress: Progress | None = None
    ) -> NoReturn:
        """See `Indexes`."""
        raise UsageError("a library in memory has no ANN indexes")

    def history(self, space: str) -> list[IndexCheck]:
        """See `Indexes`."""
        return []

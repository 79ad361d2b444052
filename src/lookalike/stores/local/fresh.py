"""An index in memory of the vectors that came after the one on the disk was built.

A process that searches for long (a server) makes it for itself, in a thread beside its searches, of some
thousand vectors at a time: until they are in it, they are compared one by one. It is never changed once it
is in use: a copy grows, and takes its place.
"""

from __future__ import annotations

import threading
from pathlib import Path

from lookalike.stores.local.matrix import Matrix
from lookalike.vectors.ann import AnnIndex
from lookalike.vectors.similarity import Similarity

STEP = 1 << 20
"""Numbers in vectors that may be compared one by one before they are indexed: below a millisecond, in
half precision too."""

SLICE = 2048
"""Vectors that are indexed at a time: some milliseconds, and not yet the higher price of few at once."""

PATIENCE = 8
"""Searches that a process does first: one that answers a single question has no use for it."""


class Fresh:
    """The index of the rows from `start` on; `current` is what may be searched now."""

    def __init__(self, trained: Path, recipe: str, similarity: Similarity, start: int) -> None:
        self.start = start
        self.current: AnnIndex | None = None
        self._trained = trained
        self._recipe = recipe
        self._similarity = similarity
        self._asked = 0
        self._ended = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def end(self) -> int:
        return self.start + (self.current.count if self.current else 0)

    def offer(self, matrix: Matrix) -> None:
        """Begin to index the rows that are not in it, if they are many; returns at once."""
        late = len(matrix.ids) - self.end
        if late * matrix.vectors.shape[1] < STEP:
            return
        with self._lock:
            self._asked += 1
            if self._asked <= PATIENCE or (self._thread and self._thread.is_alive()):
                return
            # No daemon: FAISS must not be at work when Python is taken apart. It ends by itself then.
            self._thread = threading.Thread(target=self._grow, args=(matrix,))
            self._thread.start()

    def end_soon(self) -> None:
        """Leave what was begun; returns when nothing is at work."""
        self._ended = True
        self.wait()

    def wait(self) -> None:
        """Until what was begun is done."""
        if self._thread is not None:
            self._thread.join()

    def _grow(self, matrix: Matrix) -> None:
        try:
            index = self.current or AnnIndex.load(self._trained, self._recipe, self._similarity)
        except ValueError:
            return  # the file is gone or cut: these vectors go on being compared one by one
        grown = index.copy() if index is self.current else index
        # At the priority of the searches: with less, it would be stopped at times while it holds what they
        # wait for (20 ms instead of 5 for one search in a hundred).
        for start in range(self.end, len(matrix.ids), SLICE):
            if self._ended or not threading.main_thread().is_alive():
                return
            grown.add(matrix.vectors[start : min(start + SLICE, len(matrix.ids))], threads=1)
        self.current = grown

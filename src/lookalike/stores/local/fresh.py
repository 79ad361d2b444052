"""An index in memory of the vectors that came after the one on the disk was built.

A process that searches for long (a server) makes it for itself, in a thread beside its searches, of some
thousand vectors at a time: until they are in it, they are compared one by one. It is never changed once it
is in use: a copy grows, and takes its place.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np

from lookalike.stores.local.matrix import Matrix
from lookalike.vectors.ann import AnnIndex, chunks
from lookalike.vectors.similarity import Similarity

STEP = 1 << 20
"""Numbers in vectors that may be compared one by one before they are indexed: below a millisecond, in
half precision too."""

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
            # A daemon: nothing is lost if the process ends meanwhile.
            self._thread = threading.Thread(target=self._grow, args=(matrix,), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until what was begun is done."""
        if self._thread is not None:
            self._thread.join()

    def _grow(self, matrix: Matrix) -> None:
        # Searches go first. Where a thread has no priority of its own, they share the cores.
        with suppress(AttributeError, OSError):
            if sys.platform == "linux":
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        try:
            index = self.current or AnnIndex.load(self._trained, self._recipe, self._similarity)
        except ValueError:
            return  # the file is gone or cut: these vectors go on being compared one by one
        grown = index.copy() if index is self.current else index
        late = np.arange(self.end, len(matrix.ids), dtype=np.int64)
        for rows in chunks(late, matrix.vectors.shape[1]):
            grown.add(matrix.vectors[rows[0] : rows[-1] + 1], threads=1)
        self.current = grown

"""Micro-batching: queries that arrive at the same time are answered together.

One query reads all vectors once; thirty-two queries read them once, too. And matrix products that run at the
same time compete for the same cores: with four threads each takes more than four times as long. So queries
that only compare stored vectors are answered by one thread, as many at a time as are waiting.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.query import Hits, Query
from lookalike.server.responses import shutting_down, too_busy, too_many

# Queries of one batch; beyond it the time grows with their number.
MAX_BATCH = 32

# Low-priority queries of one batch: a query that comes meanwhile waits for no more than these.
MAX_LOW_PRIORITY_BATCH = 8

# For so long after a normal query, low-priority ones are taken one by one: another may follow, and would find
# a large batch under way every time.
QUIET_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class PendingQuery:
    """A query that waits for its hits."""

    query: Query
    submitted: float
    low_priority: bool
    hits: Future[Hits] = field(default_factory=Future)


class MicroBatcher:
    """One thread that answers queries in batches. Thread-safe.

    queue_size  normal queries that may wait
    timeout     seconds after which a query that waits is dropped
    """

    def __init__(
        self,
        library: Library,
        *,
        queue_size: int,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._clock = clock
        self._queue_size = queue_size
        self._timeout = timeout
        self._normal: deque[PendingQuery] = deque()
        self._low: deque[PendingQuery] = deque()
        # When the last batch began, and the last one with a normal query.
        self._last_batch = self._last_normal = -math.inf
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Queries that wait."""
        return len(self._normal) + len(self._low)

    def submit(self, query: Query, *, low_priority: bool = False) -> Future[Hits]:
        """Return the future hits. `low_priority`: others may go first. `HTTPError` 429 if too many wait."""
        pending = PendingQuery(query, self._clock(), low_priority)
        with self._changed:
            if self._closed:
                raise shutting_down()
            if not low_priority and len(self._normal) >= self._queue_size:
                raise too_many(
                    "too many searches are waiting: try again in a moment", retry_after=1
                )
            (self._low if low_priority else self._normal).append(pending)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="lookalike-micro-batcher", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return pending.hits

    def close(self) -> None:
        """Fail the queries that still wait."""
        with self._changed:
            self._closed = True
            left = [*self._normal, *self._low]
            self._normal.clear()
            self._low.clear()
            self._changed.notify()
        for pending in left:
            with suppress(Exception):  # it may have been cancelled
                pending.hits.set_exception(shutting_down())

    def _work(self) -> None:
        while batch := self._take():
            wanted = [pending for pending in batch if pending.hits.set_running_or_notify_cancel()]
            self._last_batch = self._clock()
            oldest = self._last_batch - self._timeout
            if not batch[0].low_priority:
                self._last_normal = self._last_batch
            for pending in wanted:
                if pending.submitted < oldest:
                    pending.hits.set_exception(too_busy())
            if in_time := [pending for pending in wanted if pending.submitted >= oldest]:
                self._search(in_time)

    def _take(self) -> list[PendingQuery]:
        with self._changed:
            while not self._normal and not self._low and not self._closed:
                self._changed.wait()
            limit, source = MAX_BATCH, self._normal
            if not self._normal:
                quiet = self._last_batch - self._last_normal > QUIET_SECONDS
                limit, source = MAX_LOW_PRIORITY_BATCH if quiet else 1, self._low
            return [source.popleft() for _ in range(min(limit, len(source)))]

    def _search(self, batch: list[PendingQuery]) -> None:
        try:
            found = self._library.search_batch([pending.query for pending in batch])
        except Exception as error:
            for pending in batch:
                pending.hits.set_exception(error)
            return
        for pending, hits in zip(batch, found, strict=True):
            if hits.failure:
                pending.hits.set_exception(UsageError(hits.failure))
            else:
                pending.hits.set_result(hits)


def only_compares(query: Query) -> bool:
    """Whether answering a query only compares stored vectors: no image to read, no text, no keypoints."""
    return (
        all(term.id is not None and term.region is None for term in query.terms)
        and not query.any_orientation
        and query.verify is None
    )

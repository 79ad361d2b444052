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
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.query import Hits, Query
from lookalike.server.responses import shutting_down, too_busy, too_many

T = TypeVar("T")

# Queries of one batch; beyond it the time grows with their number.
MAX_BATCH = 32

# Low-priority queries of one batch: a query that comes meanwhile waits for no more than these.
MAX_LOW_PRIORITY_BATCH = 8

# For so long after a normal query, low-priority ones are taken one by one: another may follow, and would find
# a large batch under way every time.
QUIET_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class PendingQuery:
    """A query that waits for its answer."""

    make: Callable[[], Query]
    finish: Callable[[Query, Hits], Any]
    submitted: float
    context: Context = field(default_factory=copy_context)
    answer: Future[Any] = field(default_factory=Future)


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
        return self.submit_work(lambda: query, lambda _, hits: hits, low_priority=low_priority)

    def submit_work(
        self,
        make: Callable[[], Query],
        finish: Callable[[Query, Hits], T],
        *,
        low_priority: bool = False,
    ) -> Future[T]:
        """Return the future result of `finish` for the hits of the query that `make` returns. Both are called
        by the batcher's thread: another thread would cost more than they do."""
        pending = PendingQuery(make, finish, self._clock())
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
        return pending.answer

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
                pending.answer.set_exception(shutting_down())

    def _work(self) -> None:
        while batch := self._take():
            wanted = [one for one in batch if one.answer.set_running_or_notify_cancel()]
            oldest = self._last_batch - self._timeout
            in_time: list[tuple[PendingQuery, Query]] = []
            for pending in wanted:
                if pending.submitted < oldest:
                    pending.answer.set_exception(too_busy())
                    continue
                try:
                    in_time.append((pending, pending.make()))
                except Exception as error:
                    pending.answer.set_exception(error)
            if in_time:
                self._search(in_time)

    def _take(self) -> list[PendingQuery]:
        with self._changed:
            while not self._normal and not self._low and not self._closed:
                self._changed.wait()
            limit, source = MAX_BATCH, self._normal
            if not self._normal:
                quiet = self._last_batch - self._last_normal > QUIET_SECONDS
                limit, source = MAX_LOW_PRIORITY_BATCH if quiet else 1, self._low
            batch = [source.popleft() for _ in range(min(limit, len(source)))]
            self._last_batch = self._clock()
            if source is self._normal:
                self._last_normal = self._last_batch
            return batch

    def _search(self, batch: list[tuple[PendingQuery, Query]]) -> None:
        try:
            # Logs and traces name the request that came first.
            search = batch[0][0].context.run
            found = search(self._library.search_batch, [query for _, query in batch])
        except Exception as error:
            for pending, _ in batch:
                pending.answer.set_exception(error)
            return
        for (pending, query), hits in zip(batch, found, strict=True):
            try:
                if hits.failure:
                    raise UsageError(hits.failure)
                pending.answer.set_result(pending.finish(query, hits))
            except Exception as error:
                pending.answer.set_exception(error)


def only_compares(query: Query) -> bool:
    """Whether answering a query only compares stored vectors: no image to read, no text, no keypoints."""
    return (
        all(term.id is not None and term.region is None for term in query.terms)
        and not query.any_orientation
        and query.verify is None
    )

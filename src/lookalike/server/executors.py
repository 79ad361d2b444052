"""Thread pools with bounded queues, one per kind of blocking work: slow requests never delay quick ones."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

from lookalike.server.responses import shutting_down, too_busy, too_many
from lookalike.server.settings import Settings

T = TypeVar("T")


class BoundedExecutor:
    """A thread pool whose queue is bounded in length and in time.

    threads     calls that run at once
    queue_size  calls that may wait for a thread
    timeout     seconds after which a call that waits is dropped
    """

    def __init__(self, name: str, *, threads: int, queue_size: int, timeout: float) -> None:
        self.name = name
        self._capacity = threads + queue_size
        self._timeout = timeout
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"lookalike-{name}")
        self._lock = threading.Lock()
        self._active = 0

    @property
    def active(self) -> int:
        """Calls that run or wait."""
        return self._active

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, called in a thread. `HTTPError` 429 if the queue is full, 503 if it
        waited too long. Cancelled while it waits, it is never called."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Return the future result of `work`; see `run`."""
        submitted = time.monotonic()

        def call() -> T:
            if time.monotonic() - submitted > self._timeout:
                raise too_busy()
            return work()

        with self._lock:
            if self._active >= self._capacity:
                raise too_many(
                    f"too many requests of this kind ({self.name}) are waiting: try again in a moment",
                    retry_after=1,
                )
            self._active += 1
        try:
            future = self._executor.submit(
                copy_context().run, call
            )  # logs and traces name the request
        except RuntimeError:
            self._release()
            raise shutting_down() from None
        future.add_done_callback(lambda _: self._release())
        return future

    def close(self) -> None:
        """Drop the calls that wait; do not wait for those that run."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _release(self) -> None:
        with self._lock:
            self._active -= 1


@dataclass(frozen=True, slots=True)
class Executors:
    """The thread pools of one server process.

    quick    facts and thumbnails that exist: milliseconds
    search   queries
    decode   decoding: uploads, thumbnails that must be made
    slow     what takes seconds: batches, queries with geometric verification
    explain  explanations, which extract some hundred variants of two images
    jobs     waiting for job processes: duplicates, maps
    export   reading from exports
    write    short changes of the library, one at a time
    """

    quick: BoundedExecutor
    search: BoundedExecutor
    decode: BoundedExecutor
    slow: BoundedExecutor
    explain: BoundedExecutor
    jobs: BoundedExecutor
    export: BoundedExecutor
    write: BoundedExecutor

    @classmethod
    def of(cls, settings: Settings) -> Executors:
        """Return the pools for these settings."""

        def pool(name: str, threads: int, queue_size: int, timeout: float) -> BoundedExecutor:
            return BoundedExecutor(name, threads=threads, queue_size=queue_size, timeout=timeout)

        size, timeout = settings.queue_size, settings.queue_timeout
        return cls(
            quick=pool("quick", 4, 8 * size, timeout),
            search=pool("search", settings.search_threads, size, timeout),
            decode=pool("decode", 4, 4 * size, timeout),
            slow=pool("slow", 2, 16, 2 * timeout),
            explain=pool("explain", 2, 16, timeout),
            jobs=pool("jobs", 2, 16, 3600.0),
            export=pool("export", 4, 16, timeout),
            write=pool("write", 1, 16, timeout),
        )

    def all(self) -> tuple[BoundedExecutor, ...]:
        """Return every pool."""
        return (
            self.quick, self.search, self.decode, self.slow, self.explain, self.jobs, self.export,
            self.write,
        )  # fmt: skip

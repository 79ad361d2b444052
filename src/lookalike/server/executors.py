"""Threads for blocking work, in lanes: a slow question never stands before a quick one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lookalike.server.errors import Refusal

T = TypeVar("T")


class Lane:
    """Some threads, and a queue before them that is bounded in length and in time."""

    def __init__(self, name: str, *, threads: int, waiting: int, patience: float) -> None:
        self.name = name
        self._most = threads + waiting
        self._patience = patience
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"lookalike-{name}")
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Requests that are worked on or wait."""
        return self._taken

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, called in a thread of this lane. `Refusal` 429 where the queue is full,
        503 where the turn came too late. Cancelled while it waits, it is never begun."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """The same for those who do not wait for it."""
        asked = time.monotonic()

        def begun() -> T:
            if time.monotonic() - asked > self._patience:
                raise Refusal(503, "the server is too busy: try again later", {"Retry-After": "5"})
            return work()

        with self._lock:
            if self._taken >= self._most:
                raise Refusal(
                    429,
                    f"too many requests of this kind ({self.name}) wait already: try again in a moment",
                    {"Retry-After": "1"},
                )
            self._taken += 1
        try:
            future = self._executor.submit(begun)
        except RuntimeError:
            self._leave()
            raise Refusal(503, "the server is going down") from None
        future.add_done_callback(lambda _: self._leave())
        return future

    def close(self) -> None:
        """What waits is dropped; what runs is waited for by whoever ends the process."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        with self._lock:
            self._taken -= 1

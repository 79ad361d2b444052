"""Results of jobs that only read, computed once for all requests that need the same."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any
from weakref import WeakKeyDictionary

from lookalike.server.executors import BoundedExecutor


class JobResultCache:
    """Results by key, the `size` most recently used ones. For the event loop of one process."""

    def __init__(self, executor: BoundedExecutor, *, size: int = 8) -> None:
        self._executor = executor
        self._size = size
        self._futures: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._finished: WeakKeyDictionary[Future[Any], float] = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def get(
        self, key: Hashable, work: Callable[[], Any], *, wait: float, ttl: float = math.inf
    ) -> Any | None:
        """Return what `work` returned for this key, at most `ttl` seconds ago; None if it takes more than
        `wait` seconds. Then it goes on: ask again."""
        with self._lock:
            future = self._futures.get(key)
            if future is None or self._expired(future, ttl):
                future = self._futures[key] = self._executor.submit(work)
                future.add_done_callback(self._note)
            self._futures.move_to_end(key)
            while len(self._futures) > self._size:
                self._futures.popitem(last=False)
        waiting = asyncio.wrap_future(future)
        # Marks the exception as retrieved, in case no request is left that would; the next one gets it.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait([waiting], timeout=wait)
        return waiting.result() if done else None

    def _note(self, future: Future[Any]) -> None:
        self._finished[future] = time.monotonic()

    def _expired(self, future: Future[Any], ttl: float) -> bool:
        if not future.done():
            return False
        age = time.monotonic() - self._finished.get(future, math.inf)
        return future.cancelled() or future.exception() is not None or age > ttl

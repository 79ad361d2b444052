"""Results of jobs that read: documents shared by equal requests, and streamed vectors."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from lookalike.errors import LibraryError
from lookalike.indexing.vectors import ExportHeader
from lookalike.server.executors import BoundedExecutor
from lookalike.server.jobs.process import EXPORT
from lookalike.server.jobs.runner import Job, JobRunner
from lookalike.server.responses import HTTPError
from lookalike.server.security.limits import MIN_BYTES_PER_SECOND
from lookalike.wire import decode


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


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """An export that has begun: what comes, and the job that writes it."""

    header: ExportHeader
    job: Job
    runner: JobRunner
    executor: BoundedExecutor

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes. `LibraryError` if they are not complete."""
        while chunk := await self.executor.run(self.job.read):
            yield chunk

    def close(self) -> None:
        """End the job, however much was read; again without effect."""
        self.job.kill()
        with suppress(HTTPError):  # the server shuts down, and its jobs with it
            self.executor.submit(lambda: self.runner.end(self.job))


async def start_export(
    runner: JobRunner, executor: BoundedExecutor, arguments: Mapping[str, Any]
) -> Export:
    """Start `stream_vectors` with these arguments and return it once it has begun; raise what it raises.
    `HTTPError` 429 if too many run. The caller must `close` it."""

    def start() -> Export:
        job = runner.start(EXPORT, arguments)
        try:
            return Export(decode(ExportHeader, job.begin()), job, runner, executor)
        except BaseException:
            runner.end(job)
            raise

    return await executor.run(start)


class ExportResponse(StreamingResponse):
    """The response that streams an export: cut if it fails or is read too slowly.

    close    called in the end: what is exported is held until then
    seconds  that the client may take, plus the time that the bytes take at MIN_BYTES_PER_SECOND
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        close: Callable[[], None],
        media_type: str,
        headers: Mapping[str, str],
        *,
        seconds: float,
    ) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._close = close
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline, sent = time.monotonic() + self._seconds, 0

        async def send_in_time(message: Message) -> None:
            nonlocal sent
            left = deadline + sent / MIN_BYTES_PER_SECOND - time.monotonic()
            try:
                await asyncio.wait_for(send(message), max(0.0, left))
            except TimeoutError:
                raise LibraryError("the export was not read in time") from None
            sent += len(message.get("body", b""))

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            self._close()

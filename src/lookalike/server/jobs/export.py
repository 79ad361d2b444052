"""Vectors streamed to a client from an export job.

Nothing is kept on disk and little in memory: the job waits while the client reads what there is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from lookalike.errors import LibraryError
from lookalike.indexing.vector_export import ExportHeader
from lookalike.server.errors import HTTPError
from lookalike.server.executors import BoundedExecutor
from lookalike.server.jobs.process import EXPORT
from lookalike.server.jobs.runner import Job, JobRunner
from lookalike.server.security.body_limits import MIN_BYTES_PER_SECOND
from lookalike.wire import decode


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
    """The response that streams an export: cut if it fails or is read too slowly. It ends the job, which
    holds a snapshot of the library.

    seconds  that the client may take, plus the time that the bytes take at MIN_BYTES_PER_SECOND
    """

    def __init__(
        self, export: Export, media_type: str, headers: Mapping[str, str], *, seconds: float
    ) -> None:
        super().__init__(export.chunks(), media_type=media_type, headers=headers)
        self._export = export
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline, sent = time.monotonic() + self._seconds, 0

        async def send_in_time(message: Message) -> None:
            nonlocal sent
            left = deadline + sent / MIN_BYTES_PER_SECOND - time.monotonic()
            try:
                await asyncio.wait_for(send(message), max(0.0, left))
            except TimeoutError:
                raise LibraryError("the vectors were not read in time") from None
            sent += len(message.get("body", b""))

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            self._export.close()

"""Vectors on their way out, each export in a process of its own: reading them would hold the interpreter,
and every search would wait for it. Nothing is kept on disk and little in memory: the process waits while
the visitor takes what it has.

    Exports ── starts `python -m lookalike.server.jobs.exports`, gives it a job on its standard input
            ◄─ one line of JSON on its standard output (an `ExportHeader`, or an error), then the bytes

The process ends by itself when its standard input is closed: so it does not outlive the server.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from lookalike.errors import LookalikeError, error_by_name
from lookalike.indexing.vector_export import ExportHeader
from lookalike.library import Library
from lookalike.server.errors import Refusal
from lookalike.server.jobs.computations import environment, step_back
from lookalike.server.security.body_limits import SLOWEST

T = TypeVar("T")

PROGRAM = (sys.executable, "-P", "-m", "lookalike.server.jobs.exports")

AT_ONCE = 2
"""Exports of one server process: each holds a state of the library, and a core while it is taken fast."""

PIECE = 256 << 10
"""Bytes that are handed on at a time."""

PATIENCE = 60.0
"""Seconds that a visitor may take, beside the time that the bytes need at `SLOWEST`; else the state of the
library that is held is let go."""

EARLY = 503, "the export ended early: try again, or see the server's log"


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """One that has begun: what comes, and the process it comes from."""

    outline: ExportHeader
    process: subprocess.Popen[bytes]


class Exports:
    """The exports of one server process. For its event loop; what blocks is done in threads."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lookalike-exports")
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._beginning = 0

    @property
    def running(self) -> int:
        """How many there are now."""
        return len(self._processes) + self._beginning

    async def begin(self, words: Mapping[str, Any]) -> Export:
        """What `stream_vectors` gives for these words; raises what it raises. `Refusal` 429 where there are
        enough already. Whoever begins one must `end` it."""
        if self.running >= AT_ONCE:
            raise Refusal(
                429,
                "vectors are exported to others already: try again in a moment",
                {"Retry-After": "10"},
            )
        self._beginning += 1
        try:
            return await self._in_thread(lambda: self._begin(words))
        finally:
            self._beginning -= 1

    async def pieces(self, export: Export) -> AsyncIterator[bytes]:
        """The bytes. `Refusal` where they are not the whole."""
        while piece := await self._in_thread(lambda: read(export.process)):
            yield piece
        if await self._in_thread(export.process.wait) != 0:
            raise Refusal(*EARLY)

    def end(self, export: Export) -> None:
        """Whatever was taken of it; once or twice."""
        if export.process in self._processes:
            self._processes.discard(export.process)
            export.process.kill()
            with suppress(RuntimeError):  # the server ends, and its processes with it
                self._threads.submit(finish, export.process)

    def close(self) -> None:
        """End what runs."""
        for process in self._processes:
            process.kill()
        self._threads.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            raise Refusal(503, "the server is going down") from None
        return await asyncio.wrap_future(future)

    def _begin(self, words: Mapping[str, Any]) -> Export:
        process = subprocess.Popen(
            PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        )
        self._processes.add(process)
        assert process.stdin is not None and process.stdout is not None
        try:
            job = {"library": os.fspath(self._library), "words": dict(words)}
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            head = json.loads(process.stdout.readline(PIECE))
            if "error" in head:
                raise error_by_name(head["error"], head["message"])
            return Export(ExportHeader(**head), process)
        except BaseException as error:
            self._processes.discard(process)
            process.kill()
            finish(process)
            if isinstance(error, ValueError | TypeError | OSError):
                raise Refusal(*EARLY) from error
            raise


def read(process: subprocess.Popen[bytes]) -> bytes:
    """What there is of the next piece; nothing at the end."""
    assert isinstance(process.stdout, io.BufferedReader)
    return process.stdout.read1(PIECE)


def finish(process: subprocess.Popen[bytes]) -> None:
    """See a process that was told to end to its end."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


class Poured(StreamingResponse):
    """An answer that is an export: cut where it fails or nobody takes it, and ended in any case."""

    def __init__(
        self, exports: Exports, export: Export, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(exports.pieces(export), media_type=media_type, headers=headers)
        self._end = partial(exports.end, export)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        until, taken = time.monotonic() + PATIENCE, 0

        async def in_time(message: Message) -> None:
            nonlocal taken
            left = until + taken / SLOWEST - time.monotonic()
            try:
                await asyncio.wait_for(send(message), max(0.0, left))
            except TimeoutError:
                raise Refusal(408, "the vectors were not taken in time") from None
            taken += len(message.get("body", b""))

        try:
            await super().__call__(scope, receive, in_time)
        finally:
            self._end()


def main() -> None:
    """The process: reads its job and pours the vectors out."""
    job = json.loads(sys.stdin.readline())
    step_back()
    with os.fdopen(os.dup(1), "wb") as out, suppress(KeyboardInterrupt, BrokenPipeError):
        os.dup2(2, 1)  # what a library prints must not get among the vectors
        begun = False

        def begin(outline: ExportHeader) -> None:
            nonlocal begun
            begun = True
            out.write(json.dumps(asdict(outline)).encode() + b"\n")

        try:
            with Library.open(job["library"], read_only=True) as library:
                library.vectors.stream_vectors(out=out, begin=begin, **job["words"])
        except LookalikeError as error:
            if begun:
                raise
            told = {"error": type(error).__name__, "message": str(error)}
            out.write(json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()

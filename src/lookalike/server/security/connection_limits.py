"""Closes connections that are kept open without use: after a while, and at once when there are too many.

A server handles one request at a time on a connection, and waits for the first byte of its head up to the
last. A client that sends the head byte by byte on many connections would lock everybody else out (slowloris);
so would clients that request large files and do not read them. Bodies have a limit of their own
(`Settings.body_seconds`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Seconds in which the head of a request must arrive.
HEAD_TIMEOUT = 30.0

# Bytes around the body of a request: its head, the sizes of chunks, and trailers. The parser has no limit.
MAX_HEAD = 64 << 10

# Seconds in which a client must read some of what is buffered for it, a megabyte perhaps.
WRITE_TIMEOUT = 120.0

# Of one process, below the 1,024 open files that systems allow. With one more, the connection that has kept
# the server waiting longest is closed: that is seldom one in use.
MAX_CONNECTIONS = 500


class LimitedConnection(HttpToolsProtocol):
    """One HTTP/1.1 connection of uvicorn, with timeouts and a limit on the heads of requests.

    `HttpToolsProtocol` is not a public interface of uvicorn, which is why pyproject.toml caps its version:
    the methods overridden here, `cycle`, `flow`, `connections` and `loop` may change in a minor release.
    """

    def __init__(
        self,
        *args: Any,
        head_timeout: float = HEAD_TIMEOUT,
        write_timeout: float = WRITE_TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._head_timeout = head_timeout
        self._write_timeout = write_timeout
        self._max_connections = max_connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.waiting_since = time.monotonic()
        self._head_bytes = 0

    @property
    def in_request(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def waiting(self) -> bool:
        """Whether the server waits for the client: for a request, or until it reads the response."""
        return not self.in_request or self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()
        if len(self.connections) > self._max_connections:
            waiting = [
                one
                for one in self.connections
                if isinstance(one, LimitedConnection) and one.waiting
            ]
            min(waiting, key=lambda one: one.waiting_since).drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.waiting_since = time.monotonic()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._write_timeout, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def drop(self) -> None:
        """Close at once, without what the client has not read: `close` would wait for that, perhaps for
        ever."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        if self.in_request:
            self._stop_head_timer()

    def on_body(self, body: bytes) -> None:
        # Twice: as many bytes around a body as in it are fine, if it comes in small chunks.
        self._head_bytes -= 2 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._start_head_timer()
        super().on_response_complete()
        if self.in_request:  # a pipelined request
            self._stop_head_timer()

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self.waiting_since = time.monotonic()
        self._head_timer = self.loop.call_later(self._head_timeout, self._head_timed_out)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_timed_out(self) -> None:
        if not self.in_request:
            self.drop()

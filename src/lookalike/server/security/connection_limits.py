"""Connections that are kept open to no purpose: closed after a while, and at once where there are many.

A server takes one request at a time from a connection, and waits for the first byte to the last of its
head. Whoever sends that byte by byte, on many connections, would else keep everybody out (slowloris). So
would those who ask for large files and do not take them. Bodies have a limit of their own
(`Settings.body_seconds`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
"""In which the head of a request must arrive."""

TAKE_SECONDS = 120.0
"""In which a visitor must take some of what the system holds ready, a megabyte perhaps."""

MOST_CONNECTIONS = 500
"""Of one process, below the 1,024 files that systems let it open. One more, and the one that has kept the
server waiting longest is closed: those of visitors are seldom that one."""


class Connection(H11Protocol):
    """One connection, as uvicorn serves it, with an eye on the clock."""

    def __init__(
        self,
        *given: Any,
        seconds: float = HEAD_SECONDS,
        taking: float = TAKE_SECONDS,
        most: int = MOST_CONNECTIONS,
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self._seconds = seconds
        self._taking = taking
        self._most = most
        self._timer: asyncio.TimerHandle | None = None
        self._taker: asyncio.TimerHandle | None = None
        self.waits_since = time.monotonic()

    @property
    def asked(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def waits(self) -> bool:
        """Whether the server waits for the visitor: for a request, or until an answer is taken."""
        return not self.asked or self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self._most:
            waiting = [one for one in self.connections if isinstance(one, Connection) and one.waits]
            min(waiting, key=lambda one: one.waits_since).drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.waits_since = time.monotonic()
        if self._taker is None:
            self._taker = self.loop.call_later(self._taking, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taker is not None:
            self._taker.cancel()
            self._taker = None

    def drop(self) -> None:
        """Close at once: without what is not taken, for which `close` would wait, for ever perhaps."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.asked:
            self._stop()

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()
        if self.asked:  # a request that came with the one before
            self._stop()

    def _wait(self) -> None:
        self._stop()
        self.waits_since = time.monotonic()
        self._timer = self.loop.call_later(self._seconds, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.asked:
            self.drop()

"""The bodies of requests on their way in: none too large, none too slow, and all together no more than this
machine bears, for a body lies in memory until its request is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from lookalike.server.errors import Refusal
from lookalike.server.settings import Settings

SLOWEST = 500_000
"""Bytes a second at which bodies must come and go, beside the seconds that any may take: 4 megabits."""

TOGETHER = 10
"""Bodies of the largest size that may be here at a time."""

SMALL = 1 << 16
"""Bytes that any request may send, however much of others is here."""


LARGE = frozenset(
    f"/api/{name}"
    for name in ("search", "batch", "uploads", "images", "vectors", "decisions/lines")
)
"""Addresses that take more than a few words: pictures, vectors, lists. The words of all others are checked
by the thread that answers everybody, at a price for every one that is wrong."""


def largest(path: str, settings: Settings) -> int:
    """Bytes that a request to this address may send."""
    most = settings.max_upload_bytes
    return most if path in LARGE else min(SMALL, most)


class Bodies:
    """Those of one process. For its event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._here = 0

    @property
    def here(self) -> int:
        """Bytes that have come with requests which are not answered yet."""
        return self._here

    @contextmanager
    def measured(self, receive: Receive, most: int) -> Iterator[Receive]:
        """Receives a body of at most so many bytes; `Refusal` 413, 408 or 503 from the message that is too
        much or too late."""
        settings = self._settings
        until = time.monotonic() + settings.body_seconds
        received, ended = 0, False

        async def receiving() -> Message:
            nonlocal received, ended
            if ended:  # what comes now is only that the client went away
                return await receive()
            try:
                left = until + received / SLOWEST - time.monotonic()
                message = await asyncio.wait_for(receive(), max(0.0, left))
            except TimeoutError:
                raise Refusal(
                    408, "the request's body took too long to arrive", {"Connection": "close"}
                ) from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                received += size
                self._here += size
                ended = not message.get("more_body", False)
                if received > most:
                    raise too_large(most)
                if received > SMALL and self._here > TOGETHER * settings.max_upload_bytes:
                    raise too_many()
            return message

        try:
            yield receiving
        finally:
            self._here -= received


def too_large(most: int) -> Refusal:
    size = f"{most / 1e6:g} MB" if most >= 1_000_000 else f"{most / 1000:.0f} KB"
    return Refusal(
        413, f"too large: a request may send at most {size} here", {"Connection": "close"}
    )


def too_many() -> Refusal:
    return Refusal(
        503,
        "others are sending much at this moment: try again later",
        {"Retry-After": "10", "Connection": "close"},
    )

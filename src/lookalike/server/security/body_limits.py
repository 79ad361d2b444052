"""Limits on request bodies: size, transfer time, and memory for all of them together (a body lies in memory
until its request is answered)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from lookalike.server.errors import HTTPError
from lookalike.server.settings import Settings

# Lowest transfer rate of bodies and exports, beyond the seconds that any of them may take: 4 Mbit/s.
MIN_BYTES_PER_SECOND = 500_000

# Bodies of the largest size that may be in memory at a time.
MAX_LARGE_BODIES = 10

# Bytes that any request may send, however many bodies are in memory.
SMALL_BODY = 1 << 16

# Addresses that take more than a few parameters: images, vectors, lists. The parameters of all others are
# validated on the event loop, at a cost for each one that is wrong.
LARGE_BODIES = frozenset(
    f"/api/{name}" for name in ("search", "batch", "uploads", "images", "vectors", "feedback/lines")
)


def max_body_bytes(path: str, settings: Settings) -> int:
    """Return how many bytes a request to this address may send."""
    limit = settings.max_upload_bytes
    return limit if path in LARGE_BODIES else min(SMALL_BODY, limit)


class BodyLimiter:
    """Counts the bodies that are in memory in one process. For its event loop only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes received with requests that are not answered yet."""
        return self._held

    @contextmanager
    def limit(self, receive: Receive, max_bytes: int) -> Iterator[Receive]:
        """Yield a `receive` for a body of at most so many bytes. It raises `HTTPError` 413, 408 or 503 at
        the message that is too much or too late."""
        settings = self._settings
        deadline = time.monotonic() + settings.body_seconds
        received, complete = 0, False

        async def limited() -> Message:
            nonlocal received, complete
            if complete:  # all that can still come is that the client disconnects
                return await receive()
            try:
                left = deadline + received / MIN_BYTES_PER_SECOND - time.monotonic()
                message = await asyncio.wait_for(receive(), max(0.0, left))
            except TimeoutError:
                raise HTTPError(
                    408, "the request's body took too long to arrive", {"Connection": "close"}
                ) from None
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                received += size
                self._held += size
                complete = not message.get("more_body", False)
                if received > max_bytes:
                    raise body_too_large(max_bytes)
                if (
                    received > SMALL_BODY
                    and self._held > MAX_LARGE_BODIES * settings.max_upload_bytes
                ):
                    raise HTTPError(
                        503,
                        "too much is being uploaded at the moment: try again later",
                        {"Retry-After": "10", "Connection": "close"},
                    )
            return message

        try:
            yield limited
        finally:
            self._held -= received


def body_too_large(max_bytes: int) -> HTTPError:
    size = f"{max_bytes / 1e6:g} MB" if max_bytes >= 1_000_000 else f"{max_bytes / 1000:.0f} KB"
    return HTTPError(
        413, f"too large: a request may send at most {size} here", {"Connection": "close"}
    )

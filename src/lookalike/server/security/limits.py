"""Limits for clients: requests per second, and size and pace of bodies."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from lookalike.server.responses import HTTPError, too_many
from lookalike.server.settings import Settings

# Seconds' worth of requests that may come at once: a page shows some hundred thumbnails.
BURST_SECONDS = 10.0

# Wrong tokens per address and time that are compared.
WRONG_TOKENS, WRONG_TOKEN_SECONDS = 10.0, 60.0

# Addresses that are remembered.
MAX_CLIENTS = 10_000


class TokenBuckets:
    """A token bucket for each client: it holds at most `size` tokens and gains `rate` per second; each
    request takes one."""

    def __init__(self, rate: float, size: float, clock: Callable[[], float]) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def delay(self, client: str) -> float:
        """Return 0 and take one token, or return the seconds until there is one."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.pop(client, (self._size, now))
            level = min(self._size, level + (now - then) * self._rate)
            missing = max(0.0, 1.0 - level)
            self._levels[client] = (level if missing else level - 1.0, now)
            while len(self._levels) > MAX_CLIENTS:
                self._levels.popitem(last=False)
        return missing / self._rate


class RateLimiter:
    """Limits the requests of each client address (`rate` per second, 0: unlimited) and its wrong tokens."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = TokenBuckets(rate, max(1.0, rate * BURST_SECONDS), clock) if rate else None
        self._wrong = TokenBuckets(WRONG_TOKENS / WRONG_TOKEN_SECONDS, WRONG_TOKENS, clock)

    def check_request(self, client: str) -> None:
        """Count a request. `HTTPError` 429 if there were too many."""
        delay = self._requests.delay(client_key(client)) if self._requests else 0.0
        if delay:
            raise too_fast("too many requests from your address", delay)

    def check_token(self, client: str, *, valid: bool) -> None:
        """Count a wrong token. `HTTPError` 429 if there were too many; the right one is always accepted, or
        others could lock out whoever has it."""
        delay = 0.0 if valid else self._wrong.delay(client_key(client))
        if delay:
            raise too_fast("too many wrong tokens from your address", delay)


def client_key(client: str) -> str:
    """Return the unit that requests are counted by: an IPv4 address, or the /64 network of an IPv6 address,
    from which a single client can choose addresses. A socket for both gives IPv4 as ::ffff:192.0.2.1."""
    try:
        address = ipaddress.IPv6Address(client.partition("%")[0])
    except ValueError:
        return client
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))


def too_fast(reason: str, delay: float) -> HTTPError:
    """Return the 429 error with the seconds to wait."""
    seconds = max(1, round(delay + 0.5))
    return too_many(f"{reason}: wait {seconds} s", retry_after=seconds)


# Lowest transfer rate of bodies and exports, beyond the seconds that any of them may take: 4 Mbit/s.
MIN_BYTES_PER_SECOND = 500_000

# Bodies of the largest size that may be in memory at a time.
MAX_LARGE_BODIES = 10

# Bytes that any request may send, however many bodies are in memory. JSON holds up the requests of others
# while it is parsed, in whatever thread, so it has limits of its own.
SMALL_BODY = 1 << 16
JSON_BODIES = {
    "/api/batch": 4 << 20,
    "/api/embed": 32 << 20,  # images in base64: long texts, which parse fast
    **dict.fromkeys(
        (
            "/api/search", "/api/images", "/api/images/export", "/api/images/trash",
            "/api/duplicates/trash", "/api/duplicates/done",
        ),
        1 << 20,
    ),
}  # fmt: skip

# Addresses that take images, vectors and files. Those in `JSON_BODIES` take JSON unless it is a form.
LARGE_BODIES = frozenset(
    f"/api/{name}"
    for name in (
        "search",
        "embed",
        "uploads",
        "images",
        "images/files",
        "vectors",
        "feedback/lines",
    )
)


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type header, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def max_body_bytes(path: str, content_type: str, settings: Settings) -> int:
    """Return how many bytes a request to this address may send as this Content-Type."""
    kind = media_type(content_type)
    is_json = kind != "multipart/form-data" if path in JSON_BODIES else kind.endswith("json")
    large = path in LARGE_BODIES and not is_json
    limit = settings.max_upload_bytes
    return limit if large else min(JSON_BODIES.get(path, SMALL_BODY), limit)


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
    """Return the error for a request body beyond the limit."""
    size = f"{max_bytes / 1e6:g} MB" if max_bytes >= 1_000_000 else f"{max_bytes / 1000:.0f} KB"
    return HTTPError(
        413, f"too large: a request may send at most {size} here", {"Connection": "close"}
    )

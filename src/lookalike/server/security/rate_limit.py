"""Rate limiter with token buckets, one for each client address."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from lookalike.server.errors import HTTPError, too_many
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

    def delay(self, client: str, *, take: bool = True) -> float:
        """Return 0 and take one token, or return the seconds until there is one. `take=False` only looks."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.pop(client, (self._size, now))
            level = min(self._size, level + (now - then) * self._rate)
            missing = max(0.0, 1.0 - level)
            self._levels[client] = (level - 1.0 if take and not missing else level, now)
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

    def check_token(self, client: str, settings: Settings, *, valid: bool) -> None:
        """Count a token that was sent. `HTTPError` 429 if there were too many wrong ones.

        A guessable token is refused even if it is right while the address has no attempt left: otherwise
        going on trying would find it."""
        if valid and not settings.guessable:
            return
        delay = self._wrong.delay(client_key(client), take=not valid)
        if delay:
            raise too_fast("too many wrong tokens from your address", delay)


def client_key(client: str) -> str:
    """Return the unit that requests are counted by: an IPv4 address, or the /64 network of an IPv6 address,
    from which a single client can choose addresses."""
    try:
        return str(ipaddress.IPv6Network((client.partition("%")[0], 64), strict=False))
    except ValueError:
        return client


def too_fast(reason: str, delay: float) -> HTTPError:
    seconds = max(1, round(delay + 0.5))
    return too_many(f"{reason}: wait {seconds} s", retry_after=seconds)

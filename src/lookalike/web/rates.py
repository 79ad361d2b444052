"""How often one client may ask: buckets that fill with time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from lookalike.web.refusals import Refusal

BURST = 10.0
"""Seconds' worth of requests that may come at once: a page shows some hundred thumbnails."""

GUESSES, GUESS_SECONDS = 10.0, 60.0
"""Wrong tokens of one address that are looked at in a minute."""

KNOWN = 10_000
"""Addresses that are remembered."""


class Buckets:
    """One bucket a client: it holds at most `size`, fills by `rate` a second, each request takes one."""

    def __init__(self, rate: float, size: float, clock: Callable[[], float]) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, client: str) -> float:
        """Takes one; 0, or the seconds until there is one."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.pop(client, (self._size, now))
            level = min(self._size, level + (now - then) * self._rate)
            short = max(0.0, 1.0 - level)
            self._levels[client] = (level if short else level - 1.0, now)
            while len(self._levels) > KNOWN:
                self._levels.popitem(last=False)
        return short / self._rate


class Rates:
    """The two counts of a server: of all requests (`rate` a second, 0: not counted), and of wrong tokens."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = Buckets(rate, max(1.0, rate * BURST), clock) if rate else None
        self._guesses = Buckets(GUESSES / GUESS_SECONDS, GUESSES, clock)

    def too_many(self, client: str) -> Refusal | None:
        """For every request."""
        wait = self._requests.wait(client) if self._requests else 0.0
        return slower("too many requests from your address", wait) if wait else None

    def guesses(self, client: str) -> Refusal | None:
        """For every request with a wrong token."""
        wait = self._guesses.wait(client)
        return slower("too many wrong tokens from your address", wait) if wait else None


def slower(what: str, wait: float) -> Refusal:
    seconds = max(1, round(wait + 0.5))
    return Refusal(429, f"{what}: wait {seconds} s", {"Retry-After": str(seconds)})

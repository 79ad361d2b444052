"""How often one client may ask: buckets that fill with time."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from lookalike.server.errors import Refusal
from lookalike.server.settings import Settings

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

    def wait(self, client: str, *, take: bool = True) -> float:
        """Takes one, or only looks; 0, or the seconds until there is one."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.pop(client, (self._size, now))
            level = min(self._size, level + (now - then) * self._rate)
            short = max(0.0, 1.0 - level)
            self._levels[client] = (level - 1.0 if take and not short else level, now)
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
        wait = self._requests.wait(place_of(client)) if self._requests else 0.0
        return slower("too many requests from your address", wait) if wait else None

    def shown(self, client: str, settings: Settings, *, right: bool) -> Refusal | None:
        """For every request that shows a token where one is needed. Where tokens can be guessed, a right one
        is refused, too, while no guess is left: else whoever tries on would find it all the same."""
        if right and not settings.guessable:
            return None
        wait = self._guesses.wait(place_of(client), take=not right)
        return slower("too many wrong tokens from your address", wait) if wait else None


def place_of(client: str) -> str:
    """Of whom requests are counted together: an address; of IPv6 the network of 64 bits that a single
    visitor has to choose addresses from."""
    try:
        return str(ipaddress.IPv6Network((client.partition("%")[0], 64), strict=False))
    except ValueError:
        return client


def slower(what: str, wait: float) -> Refusal:
    seconds = max(1, round(wait + 0.5))
    return Refusal(429, f"{what}: wait {seconds} s", {"Retry-After": str(seconds)})

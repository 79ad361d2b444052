"""How a server behaves: limits and permissions, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LONG_TOKEN = 16
"""Characters of a token that nobody finds by trying, however fast."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one server allows, and what one request may cost.

    token             what a client must show for everything below /api; None: nobody is asked
    writable          pictures may be added and removed, and decisions made
    allow_url         pictures may be named by their address in the public internet
    exposed           reachable from other machines
    hosts             names under which the server may be called, beside localhost and, where it is
                      exposed, addresses in numbers
    folder            where uploads and the state of indexing are kept while it runs, shared by all
                      processes of one server; None: a temporary folder
    max_upload_bytes  of a whole request, and of one picture
    body_seconds      within which a request's body must have arrived, beside the time that its bytes take
                      at the slowest rate that is borne (`bodies.SLOWEST`)
    max_k, deepest    hits of one answer, and how far down an answer may be paged
    max_batch         questions of one batch
    kept_bytes        of all uploads together; the oldest go first
    rate              requests a second of one client address, in the long run; 0: any number
    searching         threads that answer questions; waiting: requests that may wait for one
    patience          seconds after which waiting in a queue ends with 503
    """

    token: str | None = None
    writable: bool = False
    allow_url: bool = False
    exposed: bool = False
    hosts: tuple[str, ...] = ()
    folder: Path | None = None
    max_upload_bytes: int = 40_000_000
    body_seconds: float = 30.0
    max_k: int = 1000
    deepest: int = 10_000
    max_batch: int = 100
    kept_bytes: int = 400_000_000
    rate: float = 0.0
    searching: int = 4
    waiting: int = 64
    patience: float = 20.0

    @property
    def guessable(self) -> bool:
        """Whether the token could be found by trying."""
        return self.token is not None and len(self.token) < LONG_TOKEN

    @property
    def private(self) -> bool:
        """Whether people at other machines are answered, who are not told where files lie on this one: they
        come by themselves, or through a proxy that knows the server by another name."""
        return self.exposed or bool(self.hosts)

"""Settings of a server: permissions and limits."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.errors import UsageError

# Characters of a token that cannot be guessed, however fast somebody tries.
MIN_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Permissions of a server and limits of one request.

    token               what a client must send for everything below /api, at least 16 characters; None: no
                        token is needed
    writable            images may be added and removed, and feedback given
    allow_url           images may be named by a URL on the public internet
    exposed             reachable from other machines
    hosts               names under which the server may be called, beside localhost and, if it is
                        exposed, IP addresses
    local_name          another name for this machine, below `.localhost`: browsers send cookies to all ports
                        of a name, so that a server with a token has one of its own
    allow_roots         folders that a library may name as its own beside those in which it is kept
    https               visitors come through a proxy that speaks TLS: cookies are sent through it only
    session_key         the secret that the ids of sessions are made with, shared by all processes
    folder              where uploads and job states are kept while the server runs, shared by all its
                        processes; None: a temporary folder
    max_upload_bytes    of a whole request, and of one image
    body_seconds        in which the body of a request must arrive, plus the time that its bytes take at
                        the lowest rate allowed (`limits.MIN_BYTES_PER_SECOND`)
    export_seconds      the same for a client that reads an export
    max_k               hits of one response
    max_depth           largest `offset + k`
    max_batch           queries of one batch
    upload_cache_bytes  of all uploads together; the least recently used are deleted
    rate                requests per second from one client address in the long run; 0: unlimited
    search_threads      threads that answer queries
    queue_size          requests that may wait for one of them
    queue_timeout       seconds after which a request that waits gets 503
    job_wait            seconds that a request waits for a job before it gets 202
    slow_query          seconds from which on a search is logged with its plan
    estimate_ttl        seconds for which an estimate of indexing is reused; files may have changed then
    """

    token: str | None = None
    writable: bool = False
    allow_url: bool = False
    exposed: bool = False
    hosts: tuple[str, ...] = ()
    local_name: str | None = None
    allow_roots: tuple[str, ...] = ()
    https: bool = False
    session_key: str = field(default_factory=secrets.token_hex, repr=False)
    folder: Path | None = None
    max_upload_bytes: int = 40_000_000
    body_seconds: float = 30.0
    export_seconds: float = 60.0
    max_k: int = 1000
    max_depth: int = 10_000
    max_batch: int = 100
    upload_cache_bytes: int = 400_000_000
    rate: float = 0.0
    search_threads: int = 4
    queue_size: int = 64
    queue_timeout: float = 20.0
    job_wait: float = 5.0
    slow_query: float = 1.0
    estimate_ttl: float = 30.0

    def __post_init__(self) -> None:
        """Raise `UsageError` for a token that could be found by trying."""
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise UsageError(
                f"the token has {len(self.token)} characters, and one of fewer than {MIN_TOKEN} can be "
                "guessed: choose a longer one"
            )

    @property
    def hide_paths(self) -> bool:
        """Whether responses hide where files are on this machine, because other machines can connect:
        directly, or through a proxy that knows the server by another name."""
        return self.exposed or bool(self.hosts)

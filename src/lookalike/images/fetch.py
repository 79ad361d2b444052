"""Fetch one image from the public internet, guarded against server-side request forgery (SSRF).

A client that may name a URL could make the server send requests for it to the router of its network,
to a database beside it or to the cloud's metadata service. So a host name is resolved once, all its
addresses must be public, and the connection goes to the address that was checked: a name that
resolves differently a moment later (DNS rebinding) gains nothing. The same holds for every redirect.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from lookalike.errors import FetchFailed, UsageError

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96", "64:ff9b:1::/48", "fec0::/10", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24",
        "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "2001::/23", "2001:4:112::/48",
        "2620:4f:8000::/48", "5f00::/16", "100:0:0:1::/64", "168.63.129.16/32",
    )
)  # fmt: skip
"""Networks that some versions of `ipaddress` take for public: IPv4 in IPv6 (RFC 6052, 8215), site-local
addresses (RFC 3879), documentation (RFC 9637), protocols (RFC 6890, 7526), AS112 (RFC 7534, 7535), AMT
(RFC 7450), segment routing (RFC 9602) and dummy prefixes (RFC 9780); the services that Azure offers to each
machine in it."""

OWN_PREFIX = {4: 24, 6: 64}
"""Bits of an address that machines of one network share, by IP version; /64 is the size of IPv6 networks."""

CHUNK_BYTES = 1 << 16
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUSY = frozenset({429, 500, 502, 503, 504})
PORTS = {"http": 80, "https": 443}

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host and port."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits on one fetch. `any_port` also allows ports other than 80 and 443."""

    max_bytes: int = 40_000_000
    seconds: float = 10.0
    redirects: int = 3
    any_port: bool = False


def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, from the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Return whether an address is on the public internet. Addresses that embed another are not."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo):
        return False
    if any(ip in network for network in NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def own_address(address: str) -> str | None:
    """Return the address from which this machine would connect to another one; None if it cannot. Nothing is
    sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def is_elsewhere(address: str, *, source: Callable[[str], str | None] = own_address) -> bool:
    """Return whether an address is not in a network that this machine belongs to: behind a firewall, public
    addresses may lead to services that trust their neighbours."""
    own = source(address)
    if own is None:
        return True
    ip = ipaddress.ip_address(address)
    network = ipaddress.ip_network((own.partition("%")[0], OWN_PREFIX[ip.version]), strict=False)
    return ip not in network


def may_fetch(address: str) -> bool:
    """Return whether images may be fetched from an address."""
    return is_public(address) and is_elsewhere(address)


def fetch_url(
    url: str,
    limits: FetchLimits,
    *,
    resolve: Resolver = resolve_host,
    public: Callable[[str], bool] = may_fetch,
) -> bytes:
    """Return the content of an http or https URL.

    Raises UsageError that names the cause: FetchFailed where it may work again later.
    """
    return _request("GET", url, limits, resolve, public).body


def validator_of(url: str, limits: FetchLimits) -> tuple[int, str]:
    """Return size and validator of the content of a URL, without fetching it.

    The validator is the ETag or, without one, the time of the last modification; 0 and "" for what the
    server does not tell. Raises as `fetch_url`.
    """
    answer = _request("HEAD", url, limits, resolve_host, may_fetch)
    length = answer.headers.get("Content-Length") or ""
    validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return int(length) if length.isdecimal() and len(length) < 16 else 0, validator


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer of a server: the body, or the address of a redirect."""

    body: bytes
    headers: Message
    location: str | None = None


def _request(
    method: str,
    url: str,
    limits: FetchLimits,
    resolve: Resolver,
    public: Callable[[str], bool],
) -> _Answer:
    """Return the answer at the end of all redirects."""
    deadline = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        parts = _parse(url, limits)
        address = _checked_address(parts, resolve, public)
        answer = _ask(method, parts, address, limits, deadline)
        if answer.location is None:
            return answer
        url = urljoin(url, answer.location)
    raise UsageError(f"cannot fetch the image: more than {limits.redirects} redirects")


def _parse(url: str, limits: FetchLimits) -> SplitResult:
    """Split a URL that is allowed; UsageError otherwise."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("not a valid URL of an image: https://…") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise UsageError("the URL of an image begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise UsageError("the URL of an image must not contain a user name or password")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise UsageError("a URL must not contain spaces or control characters")
    if port not in (None, PORTS[parts.scheme]) and not limits.any_port:
        raise UsageError("images are fetched from ports 80 and 443 only")
    return parts


def _checked_address(parts: SplitResult, resolve: Resolver, public: Callable[[str], bool]) -> str:
    """Resolve the host and return the address to connect to; UsageError if one is not public."""
    host = parts.hostname or ""
    try:
        found = resolve(host, parts.port or PORTS[parts.scheme])
    except (OSError, UnicodeError):
        raise UsageError(f"cannot fetch the image: there is no host {host[:80]}") from None
    if not found or not all(map(public, found)):
        raise UsageError(f"images are fetched from the public internet only, not from {host[:80]}")
    return found[0]


def _ask(
    method: str, parts: SplitResult, address: str, limits: FetchLimits, deadline: float
) -> _Answer:
    """Return the answer to one request."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    connection = HTTPConnection(host, port)
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), _abort, [connection])
    timer.daemon = True
    timer.start()
    try:
        connection.sock = socket.create_connection((address, port), timeout=_seconds_left(deadline))
        if parts.scheme == "https":
            _start_tls(connection, host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, headers={"Accept": "image/*", "User-Agent": "lookalike"})
        response = connection.getresponse()
        if response.status in REDIRECTS:
            return _Answer(b"", response.headers, response.getheader("Location") or "")
        if response.status != 200:
            failure = FetchFailed if response.status in BUSY else UsageError
            raise failure(f"cannot fetch the image: {host} answers with {response.status}")
        body = b"" if method == "HEAD" else _read_body(response, connection, limits, deadline)
        return _Answer(body, response.headers)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
            reason = f"cannot fetch the image: it takes over {limits.seconds:g} s"
            raise FetchFailed(reason) from None
        raise FetchFailed(f"cannot fetch the image from {host}: {_cause(error)}") from None
    finally:
        timer.cancel()
        connection.close()


def _start_tls(connection: HTTPConnection, host: str) -> None:
    """Start TLS. The socket is set before the handshake, so that the timer can end it."""
    context = ssl.create_default_context()
    wrapped = context.wrap_socket(
        connection.sock, server_hostname=host, do_handshake_on_connect=False
    )
    connection.sock = wrapped
    wrapped.do_handshake()


def _abort(connection: HTTPConnection) -> None:
    """Shut a connection down. A socket's own timeout restarts with every byte, so a header that
    arrives byte by byte could take days."""
    if connection.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _read_body(
    response: HTTPResponse, connection: HTTPConnection, limits: FetchLimits, deadline: float
) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_seconds_left(deadline))
        _seconds_left(deadline)
        part = response.read1(CHUNK_BYTES)
        if not part:
            _seconds_left(deadline)  # an end caused by the timer is not the end of the file
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > limits.max_bytes:
            raise UsageError(f"that image is larger than {limits.max_bytes / 1e6:g} MB")


def _seconds_left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises TimeoutError after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _cause(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()[:120]

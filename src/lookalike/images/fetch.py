"""One picture from the public internet, and from nowhere else.

Whoever may name an address to a server may try to make it ask in their place: the router of its network,
a database beside it, the cloud's own metadata (SSRF). So a name is resolved once, every address that it
has must be a public one, and the connection goes to that very address: a name that means something
else a moment later (DNS rebinding) gains nothing. The same holds for every redirect.
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
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import SplitResult, urljoin, urlsplit

from lookalike.errors import UsageError

NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96", "64:ff9b:1::/48", "fec0::/10", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24",
    )
)  # fmt: skip
"""Networks that `ipaddress` takes for public, some versions of it at least: IPv4 in IPv6 (RFC 6052, 8215),
addresses of a site (RFC 3879), of documents (RFC 9637) and of protocols (RFC 6890, 7526)."""
CHUNK = 1 << 16
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Fetching:
    """What fetching may cost. `any_port`: others than 80 and 443 too."""

    max_bytes: int = 40_000_000
    seconds: float = 10.0
    redirects: int = 3
    any_port: bool = False


def addresses(host: str, port: int) -> Sequence[str]:
    """What a name means, by the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Is it an address of the public internet? What carries another address inside it is not."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo):
        return False
    if any(ip in network for network in NEVER):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def fetch(
    url: str,
    limits: Fetching,
    *,
    resolve: Callable[[str, int], Sequence[str]] = addresses,
    public: Callable[[str], bool] = is_public,
) -> bytes:
    """What lies at an http or https address. `UsageError` that names the cause."""
    until = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        parts = parsed(url, limits)
        target = pinned(parts, resolve, public)
        found = ask(parts, target, limits, until)
        if isinstance(found, bytes):
            return found
        url = urljoin(url, found)
    raise UsageError(f"cannot fetch the picture: more than {limits.redirects} redirects")


def parsed(url: str, limits: Fetching) -> SplitResult:
    """The parts of an address that may be asked."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("that is no address of a picture: https://…") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise UsageError("an address of a picture begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise UsageError("an address of a picture must not hold a name or password")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise UsageError("an address holds no spaces and no control characters")
    if port not in (None, PORTS[parts.scheme]) and not limits.any_port:
        raise UsageError("pictures are fetched from the usual ports only, 80 and 443")
    return parts


def pinned(
    parts: SplitResult,
    resolve: Callable[[str, int], Sequence[str]],
    public: Callable[[str], bool],
) -> str:
    """The one address that is asked."""
    host = parts.hostname or ""
    try:
        found = resolve(host, parts.port or PORTS[parts.scheme])
    except (OSError, UnicodeError):
        raise UsageError(f"cannot fetch the picture: there is no host {host[:80]}") from None
    if not found or not all(map(public, found)):
        raise UsageError(
            f"pictures are fetched from the public internet only, not from {host[:80]}"
        )
    return found[0]


def ask(parts: SplitResult, target: str, limits: Fetching, until: float) -> bytes | str:
    """The content at an address, or where else it is."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    connection = HTTPConnection(host, port)
    clock = threading.Timer(max(0.0, until - time.monotonic()), cut, [connection])
    clock.daemon = True
    clock.start()
    try:
        connection.sock = socket.create_connection((target, port), timeout=left(until))
        if parts.scheme == "https":
            shake_hands(connection, host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Accept": "image/*", "User-Agent": "lookalike"})
        response = connection.getresponse()
        if response.status in REDIRECTS:
            return response.getheader("Location") or ""
        if response.status != 200:
            raise UsageError(f"cannot fetch the picture: {host} answers with {response.status}")
        return content(response, connection, limits, until)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, TimeoutError) or time.monotonic() >= until:
            why = f"cannot fetch the picture: it takes over {limits.seconds:g} s"
            raise UsageError(why) from None
        raise UsageError(f"cannot fetch the picture from {host}: {cause(error)}") from None
    finally:
        clock.cancel()
        connection.close()


def shake_hands(connection: HTTPConnection, host: str) -> None:
    """TLS over the connection, whose socket can be cut meanwhile."""
    context = ssl.create_default_context()
    wrapped = context.wrap_socket(
        connection.sock, server_hostname=host, do_handshake_on_connect=False
    )
    connection.sock = wrapped
    wrapped.do_handshake()


def cut(connection: HTTPConnection) -> None:
    """End what goes on at a connection. A socket's own timeout begins anew with every byte, so that a head
    which comes byte by byte would be listened to for days."""
    if connection.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def content(
    response: HTTPResponse, connection: HTTPConnection, limits: Fetching, until: float
) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(left(until))
        left(until)
        part = response.read1(CHUNK)
        if not part:
            left(until)  # an end that the clock made is none
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > limits.max_bytes:
            raise UsageError(f"that picture is larger than {limits.max_bytes / 1e6:g} MB")


def left(until: float) -> float:
    """Seconds that are left; `TimeoutError` where there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def cause(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()[:120]

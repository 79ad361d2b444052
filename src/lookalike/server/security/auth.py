"""Who may ask: pure checks of a request's own words. Each returns why not, or None.

The dangers, for a server on somebody's own machine: a page on the internet that the same browser shows
may send requests here (CSRF), and may call this server by a name of its own (DNS rebinding), which
makes it the same origin. So the Host must be one of ours, what other sites begin is refused by what the
browser says of it (Sec-Fetch-Site, Origin), and no CORS header is ever sent.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from lookalike.server.errors import Refusal
from lookalike.server.settings import Settings

Headers = Mapping[str, str]
"""Names in lower case."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OWN_HEADER = "x-lookalike"
"""A request that carries it was not begun by a foreign page: those may not add headers unasked."""

ASKING = frozenset({"/api/search", "/api/batch", "/api/uploads", "/api/session"})
"""What is sent there changes nothing of the library."""

NEVER_CLOSED = ("/health", "/page/", "/favicon.ico", "/api/session")
"""Need no token: nothing in them is the library's."""


def wrong_host(headers: Headers, settings: Settings) -> Refusal | None:
    """Is the server called by a name of its own?"""
    name = host_name(headers.get("host", ""))
    if name in LOCAL_NAMES or name in {host.lower() for host in settings.hosts}:
        return None
    if settings.exposed and is_address(name):  # no name was resolved, so none was rebound
        return None
    return Refusal(
        421,
        f"this server is not known as {name[:80]!r}: start it with --allow-host NAME if it is meant",
    )


def host_name(host: str) -> str:
    """A Host header without its port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def foreign(method: str, path: str, headers: Headers) -> Refusal | None:
    """Did another site begin this? Following a link to the page is fine; anything else is not, for a window
    that is opened on an address of the API makes the server work as well."""
    refusal = Refusal(403, "another site began this request; open the page of this server itself")
    site = headers.get("sec-fetch-site", "")
    visits = (
        method == "GET"
        and path == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if site in ("cross-site", "same-site") and not visits:
        return refusal
    origin = headers.get("origin")
    if origin is not None and method not in SAFE and not same_origin(origin, headers):
        return refusal
    return None


def same_origin(origin: str, headers: Headers) -> bool:
    """The Origin of a page of this server, whatever the scheme: a proxy may speak TLS for us."""
    scheme, _, host = origin.lower().partition("://")
    return scheme in ("http", "https") and host == headers.get("host", "").strip().lower()


def unmarked(method: str, path: str, headers: Headers) -> Refusal | None:
    """Does a request that changes something show that no foreign page sent it? Browsers of today do by
    Origin or Sec-Fetch-Site; programs, by a token or by a header."""
    if method in SAFE or path in ASKING:
        return None
    if "origin" in headers or headers.get("sec-fetch-site") == "same-origin":  # looked at before
        return None
    if "authorization" in headers or OWN_HEADER in headers:
        return None
    return Refusal(403, "send the header `X-Lookalike: 1` with requests that change something")


def is_open(path: str, settings: Settings) -> bool:
    """Does an address need no token?"""
    return settings.token is None or path == "/" or path.startswith(NEVER_CLOSED)


def closed(path: str, headers: Headers, settings: Settings, port: int) -> Refusal | None:
    """Is the token there where it is needed?"""
    if settings.token is None or is_open(path, settings):
        return None
    shown = shown_token(headers, port)
    if shown is not None and same(shown, settings.token):
        return None
    what = "the token is wrong" if shown else "this server needs its token"
    return Refusal(
        401,
        f"{what}: send `Authorization: Bearer TOKEN`, or open the address that it showed at its start",
        {"WWW-Authenticate": "Bearer"},
    )


def shown_token(headers: Headers, port: int) -> str | None:
    """The token that a request shows: in its header, else in its cookie."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    morsel = cookies.get(cookie_name(port))
    return None if morsel is None else morsel.value


def cookie_name(port: int) -> str:
    """Browsers keep the cookies of all ports of a host together: two servers must not share one."""
    return f"lookalike-{port}"


def cookie(token: str, port: int, *, secure: bool) -> str:
    """The Set-Cookie that keeps a visitor in: never sent from other sites, not readable by scripts."""
    ending = "; Secure" if secure else ""
    return f"{cookie_name(port)}={token}; Path=/; HttpOnly; SameSite=Strict{ending}"


def same(shown: str, token: str) -> bool:
    """Compared in a time that tells nothing of how much was right."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), token.encode("utf-8", "replace"))

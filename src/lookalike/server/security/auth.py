"""Authorisation: checks of the Host, the origin and the token. Each raises `HTTPError` or returns.

The threats to a server on somebody's own machine: a page on the internet, open in the same browser, may send
requests here (CSRF), and may reach this server under a name of its own (DNS rebinding), which makes it the
same origin. So the Host must be one of ours, requests begun by other sites are refused by what the browser
says of them (Sec-Fetch-Site, Origin), and no CORS header is ever sent.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from lookalike.server.responses import HTTPError
from lookalike.server.settings import Settings

# Header names are in lower case.
Headers = Mapping[str, str]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

# A request with this header was not begun by a foreign page: those cannot add headers without CORS.
CSRF_HEADER = "x-lookalike"

# POST requests to these change nothing in the library.
READ_ONLY_POSTS = frozenset({"/api/search", "/api/batch", "/api/uploads", "/api/session"})

# These need no token: nothing in them comes from the library.
PUBLIC_PATHS = ("/health", "/page/", "/favicon.ico", "/api/session")


def check_host(headers: Headers, settings: Settings) -> None:
    """Raise `HTTPError` 421 unless the server is called by one of its names."""
    name = host_name(headers.get("host", ""))
    if name in LOCAL_NAMES or name in {host.lower() for host in settings.hosts}:
        return
    if settings.exposed and is_address(name):  # no name was resolved, so none was rebound
        return
    raise HTTPError(
        421,
        f"this server is not known as {name[:80]!r}: start it with --allow-host NAME if it should be",
    )


def host_name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def is_address(name: str) -> bool:
    """Return whether a host name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_origin(method: str, path: str, headers: Headers) -> None:
    """Raise `HTTPError` 403 if another site began the request. Following a link to the page is allowed;
    anything else is not, because opening a window on an address of the API makes the server work, too."""
    site = headers.get("sec-fetch-site", "")
    follows_link = (
        method == "GET"
        and path == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    origin = headers.get("origin")
    foreign = origin is not None and not same_origin(origin, headers)
    if (site in ("cross-site", "same-site") and not follows_link) or (
        foreign and method not in SAFE_METHODS
    ):
        raise HTTPError(403, "another site began this request; open the page of this server itself")


def same_origin(origin: str, headers: Headers) -> bool:
    """Whether an Origin is a page of this server, whatever the scheme: a proxy may speak TLS for it."""
    scheme, _, host = origin.lower().partition("://")
    return scheme in ("http", "https") and host == headers.get("host", "").strip().lower()


def check_csrf(method: str, path: str, headers: Headers) -> None:
    """Raise `HTTPError` 403 if a request that changes something does not show that no foreign page sent it.
    Browsers show it by Origin or Sec-Fetch-Site, programs by a token or a header."""
    if method in SAFE_METHODS or path in READ_ONLY_POSTS:
        return
    if "origin" in headers or headers.get("sec-fetch-site") == "same-origin":  # see check_origin
        return
    if "authorization" in headers or CSRF_HEADER in headers:
        return
    raise HTTPError(403, "send the header `X-Lookalike: 1` with requests that change something")


def needs_token(path: str, settings: Settings) -> bool:
    """Whether a request to this address must carry the token."""
    return settings.token is not None and path != "/" and not path.startswith(PUBLIC_PATHS)


def sent_token(headers: Headers, port: int) -> str | None:
    """Return the token of a request: from its Authorization header, else from its cookie."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    morsel = cookies.get(cookie_name(port))
    return None if morsel is None else morsel.value


def unauthorized(sent: str | None) -> HTTPError:
    """Return the error for a request with a wrong token or none."""
    what = "the token is wrong" if sent else "this server needs its token"
    return HTTPError(
        401,
        f"{what}: send `Authorization: Bearer TOKEN`, or open the address that was shown at its start",
        {"WWW-Authenticate": "Bearer"},
    )


def cookie_name(port: int) -> str:
    """Return the name of the cookie. Browsers share the cookies of all ports of a host, so that two servers
    need two names."""
    return f"lookalike-{port}"


def cookie(token: str, port: int, *, secure: bool) -> str:
    """Return a Set-Cookie header: not sent from other sites, not readable by scripts."""
    suffix = "; Secure" if secure else ""
    return f"{cookie_name(port)}={token}; Path=/; HttpOnly; SameSite=Strict{suffix}"


def tokens_equal(sent: str, token: str) -> bool:
    """Compare tokens in constant time."""
    return hmac.compare_digest(sent.encode("utf-8", "replace"), token.encode("utf-8", "replace"))

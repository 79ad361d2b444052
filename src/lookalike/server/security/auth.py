"""Authorisation: checks of the Host, the origin and the token. Each raises `HTTPError` or returns.

The threats to a server on somebody's own machine: a page on the internet, open in the same browser, may send
requests here (CSRF), and may reach this server under a name of its own (DNS rebinding), which makes it the
same origin. So the Host must be one of ours, requests begun by other sites are refused by what the browser
says of them (Sec-Fetch-Site, Origin), and no CORS header is ever sent.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping

from lookalike.server.responses import HTTPError
from lookalike.server.settings import Settings

# Header names are in lower case.
Headers = Mapping[str, str]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

# A request with this header was not begun by a foreign page: those cannot add headers without CORS.
CSRF_HEADER = "x-lookalike"

# POST requests to these change nothing in the library.
READ_ONLY_POSTS = frozenset(
    {"/api/search", "/api/batch", "/api/uploads", "/api/embed", "/api/session"}
)

# These need no token: nothing in them comes from the library.
PUBLIC_PATHS = frozenset({"/", "/health", "/favicon.ico", "/api/session"})
PUBLIC_FOLDER = "/page/"


def check_host(headers: Headers, settings: Settings) -> None:
    """Raise `HTTPError` 421 unless the server is called by one of its names."""
    name = host_name(headers.get("host", ""))
    known = {host.lower() for host in (*settings.hosts, settings.local_name) if host}
    if name in LOCAL_NAMES | known:
        return
    if settings.exposed and is_address(name):  # no name was resolved, so none was rebound
        return
    host = headers.get("host", "")[:80]
    raise HTTPError(
        421,
        f"this server is not known as {host!r}: start it with --allow-host NAME if it should be",
    )


# A name or an IPv4 address, or an IPv6 address in brackets; and a port (RFC 9110, 7.2). No zone, no user.
HOST = re.compile(
    r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?)(?::[0-9]{1,5})?"
)


def host_name(host: str) -> str:
    """Return the name or address of a Host header without its port, in lower case; "" if it is not valid."""
    found = HOST.fullmatch(host.strip(" \t").lower())
    return (found[1] or found[2]) if found else ""


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
    follows_link = (
        method == "GET"
        and path == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    origin = headers.get("origin")
    foreign = origin is not None and not same_origin(origin, headers)
    if (is_foreign(headers) and not follows_link) or (foreign and method not in SAFE_METHODS):
        raise HTTPError(403, "another site began this request; open the page of this server itself")


def is_foreign(headers: Headers) -> bool:
    """Return whether a browser says that another site, or another port of this machine, began the request."""
    return headers.get("sec-fetch-site", "") in ("cross-site", "same-site")


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
    public = path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDER)
    return settings.token is not None and not public


def bearer_token(headers: Headers) -> str | None:
    """Return the token of the Authorization header."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def unauthorized(sent: str | None) -> HTTPError:
    """Return the error for a request with a wrong token or none."""
    what = "the token is wrong" if sent else "this server needs its token"
    return HTTPError(
        401,
        f"{what}: send `Authorization: Bearer TOKEN`, or open the address that was shown at its start",
        {"WWW-Authenticate": "Bearer"},
    )


def new_session(settings: Settings) -> str:
    """Return a random id of a session. It tells nothing of the token, and ends with the server: only who has
    `session_key` can make one."""
    nonce = secrets.token_hex(16)
    return f"{nonce}.{_signature(nonce, settings)}"


def in_session(headers: Headers, port: int, settings: Settings) -> bool:
    """Return whether a request has the cookie of a session of this server."""
    return any(
        hmac.compare_digest(signature, _signature(nonce, settings).encode())
        for name, _, value in (one.partition("=") for one in headers.get("cookie", "").split(";"))
        if name.strip() == cookie_name(port, settings)
        for nonce, _, text in [value.strip().partition(".")]
        for signature in [text.encode("utf-8", "replace")]
    )


def _signature(nonce: str, settings: Settings) -> str:
    key, text = settings.session_key.encode(), nonce.encode("utf-8", "replace")
    return hmac.digest(key, text, "sha256").hex()


def cookie_name(port: int, settings: Settings) -> str:
    """Return the name of the cookie. Browsers share the cookies of all ports of a host, so that two servers
    need two names. With the prefix they accept it over TLS from this very host only."""
    return f"{'__Host-' if settings.https else ''}lookalike-{port}"


def session_cookie(port: int, settings: Settings) -> str:
    """Return a Set-Cookie header for a new session: not sent from other sites, not readable by scripts."""
    suffix = "; Secure" if settings.https else ""
    name, id = cookie_name(port, settings), new_session(settings)
    return f"{name}={id}; Path=/; HttpOnly; SameSite=Strict{suffix}"


def tokens_equal(sent: str, token: str) -> bool:
    """Compare tokens in constant time."""
    return hmac.compare_digest(sent.encode("utf-8", "replace"), token.encode("utf-8", "replace"))

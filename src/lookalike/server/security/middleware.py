"""ASGI middleware around every route: access checks, limits, security headers, metrics, and one log line per
request, which never contains the parameters or images of a query."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.server.responses import handle_error
from lookalike.server.security import auth
from lookalike.server.security.limits import (
    BodyLimiter,
    RateLimiter,
    body_too_large,
    max_body_bytes,
)
from lookalike.server.settings import Settings

log = logging.getLogger("lookalike.server")

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered."""

PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
IMAGE_CONTENT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)

# Called for every response with method, route, status and seconds.
Observe = Callable[[str, str, int, float], None]

# The status that nginx logs for a client that disconnected.
CLIENT_CLOSED = 499


class SecurityMiddleware:
    """ASGI middleware that lets only permitted requests reach the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        rate_limiter: RateLimiter,
        observe: Observe | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._rate_limiter = rate_limiter
        self._observe = observe
        self._bodies = BodyLimiter(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        statuses: list[int] = []
        id = request_id(headers_of(scope))
        REQUEST_ID.set(id)
        name_span(scope, id)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                headers = with_security_headers(scope["path"], message["headers"])
                headers.append((b"x-request-id", id.encode()))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._respond(scope, receive, send_with_headers, statuses)
        finally:
            status = statuses[0] if statuses else CLIENT_CLOSED
            self._log(scope, status, time.perf_counter() - started)

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, statuses: list[int]
    ) -> None:
        try:
            redirect = self._check(scope)
            if redirect is not None:
                await redirect(scope, receive, send)
                return
            content_type = headers_of(scope).get("content-type", "")
            limit = max_body_bytes(scope["path"], content_type, self._settings)
            with self._bodies.limit(receive, limit) as limited:
                await self._app(scope, limited, send)
        except Exception as error:  # an HTTPError, or a bug
            response = await handle_error(Request(scope), error)
            if not statuses:
                await response(scope, receive, send)

    def _check(self, scope: Scope) -> Response | None:
        """Raise `HTTPError` for a request that is not permitted; return a response that needs no route."""
        settings, method, path = self._settings, scope["method"], scope["path"]
        headers = headers_of(scope)
        port = (scope.get("server") or ("", 0))[1] or 0
        client = (scope.get("client") or ("", 0))[0]
        auth.check_host(headers, settings)
        auth.check_origin(method, path, headers)
        self._rate_limiter.check_request(client)
        redirect = self._sign_in(scope, headers, port, client)
        if redirect is not None:
            return redirect
        if settings.token is not None and auth.needs_token(path, settings):
            sent = auth.bearer_token(headers)
            if sent is None:  # the ids of sessions are not counted: nobody finds one by trying
                valid = auth.in_session(headers, port, settings)
            else:
                valid = auth.tokens_equal(sent, settings.token)
                self._rate_limiter.check_token(client, valid=valid)
            if not valid:
                raise auth.unauthorized(sent)
        auth.check_csrf(method, path, headers)
        length = headers.get("content-length", "0")
        limit = max_body_bytes(path, headers.get("content-type", ""), settings)
        if length.isdecimal() and int(length) > limit:
            raise body_too_large(limit)
        return None

    def _sign_in(
        self, scope: Scope, headers: Mapping[str, str], port: int, client: str
    ) -> Response | None:
        """Return the redirect for the address that was shown at the start, which carries the token: a session
        begins, and the token leaves the address, so that it stays in no browser history. Links on other sites
        are not counted as guesses of this visitor."""
        token = self._settings.token
        if (
            scope["path"] != "/"
            or scope["method"] != "GET"
            or b"token=" not in scope["query_string"]
        ):
            return None
        params = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        sent = next((value for name, value in params if name == "token"), "")
        rest = urlencode([(name, value) for name, value in params if name != "token"])
        response = RedirectResponse("/" + (f"?{rest}" if rest else ""), status_code=303)
        if token is not None:
            valid = auth.tokens_equal(sent, token)
            if not auth.is_foreign(headers):
                self._rate_limiter.check_token(client, valid=valid)
            if valid:
                response.headers["Set-Cookie"] = auth.session_cookie(port, self._settings)
        return response

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        if self._observe:
            route = scope.get("route")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._observe(method, getattr(route, "path", "other"), status, seconds)
        if not log.isEnabledFor(logging.INFO):
            return
        client = (scope.get("client") or ("-", 0))[0]
        path = scope["path"].encode("unicode_escape").decode()[:200]
        route = getattr(scope.get("route"), "path", "")
        log.info(
            "%s %s %s %d %.1f ms", client, scope["method"], path, status, seconds * 1000,
            extra={
                "client": client, "method": scope["method"], "path": path, "route": route,
                "status": status, "milliseconds": round(seconds * 1000, 1),
            },
        )  # fmt: skip


def name_span(scope: Scope, id: str) -> None:
    """Add the id of the request to its span (FastAPI's, for OpenTelemetry), and take the parameters out."""
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry import trace

        span = trace.get_current_span()
        span.set_attribute("lookalike.request", id)
        if scope["query_string"]:
            span.set_attribute("url.query", "…")


def request_id(headers: Mapping[str, str]) -> str:
    """Return the id of a request in logs: that of a proxy (X-Request-ID) if it is plain, else a new one."""
    sent = headers.get("x-request-id", "")
    return sent if PLAIN_ID.fullmatch(sent) else secrets.token_hex(8)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request; the first of a repeated one, so that no second Host can hide."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def with_security_headers(
    path: str, headers: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response, and the ones that every response carries."""
    kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    policy = IMAGE_CONTENT_POLICY if kind.startswith(b"image/") else CONTENT_POLICY
    present = {name.lower() for name, _ in headers}
    added = [(b"content-security-policy", policy.encode()), *SECURITY_HEADERS]
    if path.startswith("/api") and b"cache-control" not in present:
        added.append((b"cache-control", b"no-store"))
    return [*headers, *((name, value) for name, value in added if name not in present)]

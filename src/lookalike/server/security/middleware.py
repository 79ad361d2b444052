"""Before and behind every route: who may ask, how much may be sent, what every answer carries, and one
line of log, which never has the words or pictures of a question in it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.server.errors import Refusal, answer_refusal
from lookalike.server.security import auth
from lookalike.server.security.body_limits import Bodies, largest, too_large
from lookalike.server.security.rate_limit import Rates
from lookalike.server.settings import Settings

log = logging.getLogger("lookalike.server")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
PICTURE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)

Watch = Callable[[str, str, int, float], None]
"""Told of every answer: method, path, status, seconds."""


class Guard:
    """ASGI around the application."""

    def __init__(
        self, app: ASGIApp, *, settings: Settings, rates: Rates, watch: Watch | None = None
    ) -> None:
        self._app = app
        self._settings = settings
        self._rates = rates
        self._watch = watch
        self._bodies = Bodies(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSocket here
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        statuses: list[int] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                message = {**message, "headers": dressed(scope["path"], message["headers"])}
            await send(message)

        try:
            await self._answer(scope, receive, sending, statuses)
        finally:
            status = statuses[0] if statuses else 499  # nginx's number for a client that went away
            self._note(scope, status, time.perf_counter() - started)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, statuses: list[int]
    ) -> None:
        try:
            first = self._first(scope)
            if first is not None:
                await first(scope, receive, send)
                return
            most = largest(scope["path"], self._settings)
            with self._bodies.measured(receive, most) as receiving:
                await self._app(scope, receiving, send)
        except Exception as error:  # a refusal, or a mistake of ours
            answer = await answer_refusal(Request(scope), error)
            if not statuses:
                await answer(scope, receive, send)

    def _first(self, scope: Scope) -> Response | None:
        """An answer that needs no application; raises `Refusal`."""
        settings, method, path = self._settings, scope["method"], scope["path"]
        headers = headers_of(scope)
        port = (scope.get("server") or ("", 0))[1] or 0
        client = (scope.get("client") or ("", 0))[0]
        raise_if(auth.wrong_host(headers, settings))
        raise_if(auth.foreign(method, path, headers))
        raise_if(self._rates.too_many(client))
        entered = self._entrance(scope, headers, port, client)
        if entered is not None:
            return entered
        refusal = auth.closed(path, headers, settings, port)
        if not auth.is_open(path, settings) and auth.shown_token(headers, port):
            raise_if(self._rates.shown(client, settings, right=refusal is None))
        raise_if(refusal)
        raise_if(auth.unmarked(method, path, headers))
        length = headers.get("content-length", "0")
        most = largest(path, settings)
        if length.isdecimal() and int(length) > most:
            raise too_large(most)
        return None

    def _entrance(
        self, scope: Scope, headers: auth.Headers, port: int, client: str
    ) -> Response | None:
        """The address that was shown at the start carries the token: it becomes a cookie, and the
        address loses it, so that it stands in no history."""
        token = self._settings.token
        if (
            scope["path"] != "/"
            or scope["method"] != "GET"
            or b"token=" not in scope["query_string"]
        ):
            return None
        words = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = next((value for name, value in words if name == "token"), "")
        rest = urlencode([(name, value) for name, value in words if name != "token"])
        response = RedirectResponse("/" + (f"?{rest}" if rest else ""), status_code=303)
        if token is not None:
            right = auth.same(shown, token)
            raise_if(self._rates.shown(client, self._settings, right=right))
            if right:
                secure = scope.get("scheme") == "https"
                response.headers["Set-Cookie"] = auth.cookie(token, port, secure=secure)
        return response

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        if self._watch:
            route = scope.get("route")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._watch(method, getattr(route, "path", "other"), status, seconds)
        client = (scope.get("client") or ("-", 0))[0]
        path = scope["path"].encode("unicode_escape").decode()[:200]
        log.info("%s %s %s %d %.1f ms", client, scope["method"], path, status, seconds * 1000)


def raise_if(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request; of a repeated one the first, so that no second Host can hide."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def dressed(path: str, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What every answer carries beside its own headers."""
    kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
    policy = PICTURE_POLICY if kind.startswith(b"image/") else POLICY
    named = {name.lower() for name, _ in headers}
    more = [(b"content-security-policy", policy.encode()), *ALWAYS]
    if path.startswith("/api") and b"cache-control" not in named:
        more.append((b"cache-control", b"no-store"))
    return [*headers, *((name, value) for name, value in more if name not in named)]

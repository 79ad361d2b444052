"""Why a request is not answered: a status and one sentence that helps, always as JSON."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lookalike.errors import (
    ImageError,
    LibraryBusy,
    LibraryError,
    LibraryReadOnly,
    LookalikeError,
    Outcome,
    StorageFull,
    UsageError,
)
from lookalike.server.security.redact import without_places

log = logging.getLogger("lookalike.server")

_OF_ERROR: tuple[tuple[type[LookalikeError], int], ...] = (
    (UsageError, 400),
    (LibraryBusy, 409),
    (LibraryReadOnly, 403),
    (StorageFull, 507),
    (LibraryError, 503),
)
_OF_OUTCOME = {
    Outcome.TOO_LARGE: 413,
    Outcome.UNSUPPORTED: 415,
    Outcome.MISSING: 404,
}
"""Whatever else is wrong with a picture is 422."""


class Refusal(Exception):  # it is an answer, not an error of ours
    """A request ends with this status and sentence. `headers` go with it."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


class Json(Response):
    """A document. Any value that a library can hold becomes valid JSON: names of files that are no
    Unicode, and numbers that JSON does not know."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return as_json(content)


def as_json(content: Any) -> bytes:
    """Pure ASCII: lone surrogates, which stand for odd bytes in file names, have no UTF-8."""
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError:
        return json.dumps(finite(content), allow_nan=False, separators=(",", ":")).encode("ascii")


def finite(value: Any) -> Any:
    """The value with null in place of NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def refused(refusal: Refusal) -> Json:
    return Json({"error": refusal.sentence}, refusal.status, refusal.headers)


def meaning(error: LookalikeError) -> Refusal:
    """What one of our own errors is in HTTP."""
    if isinstance(error, ImageError):
        status = _OF_OUTCOME.get(error.outcome, 422)
        return Refusal(status, f"the picture cannot be used: {error.reason}")
    status = next((status for kind, status in _OF_ERROR if isinstance(error, kind)), 500)
    return Refusal(status, str(error))


def unreadable(error: ValidationError | RequestValidationError) -> Refusal:
    """The first thing that is wrong with the words of a request, in a sentence."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("query", "body", "path")]
    what = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return Refusal(422, f"there is no parameter {place[-1]!r}; /api/openapi.json lists them")
    return Refusal(422, f"{'.'.join(place)}: {what}" if place else what)


async def answer_refusal(request: Request, error: Exception) -> Response:
    """The answer to a request that raised something: for FastAPI's table of handlers."""
    if isinstance(error, Refusal):
        return refused(error)
    if isinstance(error, LookalikeError):
        refusal = meaning(error)
        if refusal.status >= 500:
            log.error("%s: %s", type(error).__name__, error)
        server = getattr(request.app.state, "server", None)
        if server is not None and server.settings.private:
            refusal.sentence = without_places(server.library, refusal.sentence)
        return refused(refusal)
    if isinstance(error, RequestValidationError | ValidationError):
        return refused(unreadable(error))
    if isinstance(error, ClientDisconnect):
        return refused(Refusal(400, "the connection ended before the request did"))
    if isinstance(error, HTTPException):
        return refused(Refusal(error.status_code, _of_http(error), dict(error.headers or {})))
    log.error("a request failed", exc_info=error)
    return refused(Refusal(500, "something went wrong here; the server's log says more"))


def _of_http(error: HTTPException) -> str:
    return {
        404: "there is nothing at this address; /api/openapi.json lists what there is",
        405: "this address does not know that method; /api/openapi.json lists what there is",
    }.get(error.status_code, str(error.detail).rstrip(".").lower())

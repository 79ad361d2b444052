"""JSON responses; errors become one sentence with the remedy."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

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


class JSONResponse(Response):
    """A JSON document. Any value that a library can hold becomes valid JSON: file names that are not valid
    Unicode, and numbers that JSON does not have."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the content as compact UTF-8 JSON."""
        return to_json(content)


_encode = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode


def to_json(content: Any) -> bytes:
    """Return JSON as pure ASCII: lone surrogates, which stand for undecodable bytes in file names, cannot be
    encoded in UTF-8."""
    try:
        return _encode(content).encode("ascii")
    except ValueError:
        return _encode(replace_non_finite(content)).encode("ascii")


def replace_non_finite(value: Any) -> Any:
    """Return the value with null in place of NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: replace_non_finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replace_non_finite(part) for part in value]
    return value


log = logging.getLogger("lookalike.server")

_STATUS_OF_ERROR: tuple[tuple[type[LookalikeError], int], ...] = (
    (UsageError, 400),
    (LibraryBusy, 409),
    (LibraryReadOnly, 403),
    (StorageFull, 507),
    (LibraryError, 503),
)

# Every other outcome is 422.
_STATUS_OF_OUTCOME = {
    Outcome.TOO_LARGE: 413,
    Outcome.UNSUPPORTED: 415,
    Outcome.SKIPPED: 415,
    Outcome.MISSING: 404,
}

_MESSAGES = {
    404: "there is nothing at this address; /api/openapi.json lists what there is",
    405: "this address does not know that method; /api/openapi.json lists what there is",
}


class HTTPError(Exception):
    """Ends a request with this status and message. `headers` are added to the response."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def too_many(message: str, *, retry_after: int = 10) -> HTTPError:
    """Return the error for a limit that is reached now and will not be later."""
    return HTTPError(429, message, {"Retry-After": str(retry_after)})


def shutting_down() -> HTTPError:
    """Return the error for work that comes after the server began to shut down."""
    return HTTPError(503, "the server is shutting down")


def too_busy() -> HTTPError:
    """Return the error for a request that waited too long in a queue."""
    return HTTPError(503, "the server is too busy: try again later", {"Retry-After": "5"})


def storage_error(what: str, error: OSError) -> HTTPError:
    """Return the error for a file that could not be written."""
    return HTTPError(507, f"{what} cannot be stored: {(error.strerror or str(error)).lower()}")


def http_error(error: LookalikeError) -> HTTPError:
    """Return the HTTP form of an error of the library."""
    if isinstance(error, ImageError):
        status = _STATUS_OF_OUTCOME.get(error.outcome, 422)
        return HTTPError(status, f"the image cannot be used: {error.reason}")
    status = next((status for kind, status in _STATUS_OF_ERROR if isinstance(error, kind)), 500)
    return HTTPError(status, str(error))


def unknown_parameter(name: str, known: Iterable[str] = ()) -> HTTPError:
    """Return the error for a parameter that does not exist; `known`: those that do."""
    near = get_close_matches(name[:80], list(known), n=1)  # of megabytes it would take minutes
    meant = f"; did you mean {near[0]!r}?" if near else "; /api/openapi.json lists them"
    return HTTPError(422, f"there is no parameter {name[:80]!r}{meant}")


def not_modified(request: Request, tag: str, modified: float | None = None) -> bool:
    """Return whether the client has this version of a response already, so that it is answered with 304.

    tag       its ETag
    modified  when it last changed, in seconds since 1970; None: not known

    As in RFC 9110, 13.2.2: tags are compared weakly, and If-None-Match makes If-Modified-Since irrelevant.
    """
    headers = request.headers.getlist("if-none-match")
    if headers:
        given = ",".join(headers)
        return given.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(given)
    try:
        since = parsedate_to_datetime(request.headers["if-modified-since"]).timestamp()
    except (KeyError, ValueError, OverflowError, OSError):
        return False
    return modified is not None and math.floor(modified) <= since


_TAG = re.compile(r'(?:W/)?("[^"]*")')


def validation_error(error: ValidationError | RequestValidationError) -> HTTPError:
    """Return the first mistake in the parameters of a request, in one sentence."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if isinstance(error, RequestValidationError):
        place = place[1:]  # whether it is in the address or in the body
    what = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return unknown_parameter(".".join(place[-1:]))
    if first["type"] in ("model_attributes_type", "model_type") and not place:
        return HTTPError(
            422, "send a JSON object, with the header `Content-Type: application/json`"
        )
    return HTTPError(422, f"{'.'.join(place)}: {what}" if place else what)


def error_response(error: HTTPError) -> JSONResponse:
    """Return the response for an error."""
    return JSONResponse({"error": error.message}, error.status, error.headers)


async def handle_error(request: Request, error: Exception) -> Response:
    """Return the response to a request that raised an exception; an exception handler of FastAPI."""
    if isinstance(error, HTTPError):
        return error_response(error)
    if isinstance(error, LookalikeError):
        found = http_error(error)
        if found.status >= 500:
            log.error("%s: %s", type(error).__name__, error)
        return error_response(found)
    if isinstance(error, RequestValidationError | ValidationError):
        return error_response(validation_error(error))
    if isinstance(error, ClientDisconnect):
        return error_response(HTTPError(400, "the connection ended before the request did"))
    if isinstance(error, HTTPException):
        status = error.status_code
        message = _MESSAGES.get(status, str(error.detail).rstrip(".").lower())
        headers = dict(error.headers or {})
        if status == 405:  # Starlette names the methods of one of several routes
            routes = (one for one in request.app.routes if isinstance(one, Route))
            at = [one for one in routes if one.matches(request.scope)[0] != Match.NONE]
            if methods := {name for one in at for name in one.methods or ()}:
                headers["Allow"] = ", ".join(sorted(methods))
        return error_response(HTTPError(status, message, headers))
    log.error("a request failed", exc_info=error)
    return error_response(HTTPError(500, "internal error; the server's log says more"))

"""OpenAPI documentation of routes: their responses, and the bodies that they read themselves."""

from __future__ import annotations

from typing import Any

from lookalike.wire.codec import model
from lookalike.wire.http import Error

JPEG = "image/jpeg"

_DESCRIPTIONS = {
    400: "The request is valid, but cannot be carried out.",
    401: "The token is missing or wrong.",
    403: "Not allowed.",
    404: "Not found.",
    408: "The body took too long.",
    409: "Another process is writing to the library.",
    412: "The library has changed.",
    413: "Too large.",
    415: "Not a supported format.",
    422: "The request is not valid.",
    429: "Too many requests.",
    503: "Too busy.",
    507: "The disk is full.",
}


def responses(
    answer: type | str | tuple[str, ...], *, status: int = 200, pending: type | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of a route that document its responses.

    answer   the dataclass of its document, or the media types of bytes
    pending  the dataclass of its 202 response, for a route whose answer may take longer than a request
    """
    found: dict[int | str, dict[str, Any]] = {
        code: {"model": model(Error), "description": text} for code, text in _DESCRIPTIONS.items()
    }
    if isinstance(answer, str | tuple):
        schema = {"schema": {"type": "string", "format": "binary"}}
        media_types = (answer,) if isinstance(answer, str) else answer
        found[status] = {"description": "The bytes.", "content": dict.fromkeys(media_types, schema)}
    else:
        found[status] = {"model": model(answer), "description": "The answer."}
    if pending is not None:
        found[202] = {"model": model(pending), "description": "Not done yet: ask again."}
    return {"responses": found, "response_model": None, "status_code": status}


def body(content: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return the documentation of a body by media type, for a route that reads it itself."""
    return {
        "requestBody": {
            "required": required,
            "content": {kind: {"schema": schema} for kind, schema in content.items()},
        }
    }


def fields(*required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of a form or of a JSON object, from the schemas of its fields."""
    schema = {"type": "object", "properties": properties}
    return {**schema, "required": list(required)} if required else schema


TEXT = {"type": "string"}
FILE = {"type": "string", "format": "binary"}
FILES = {"type": "array", "items": FILE}
QUERIES = {"type": "array", "minItems": 1, "items": {"type": "object"}}

SEARCH_BODY = body({"multipart/form-data": fields(image=FILES, query=TEXT)})
UPLOAD_BODY = body(
    {
        "multipart/form-data": fields(image=FILE),
        "application/octet-stream": FILE,
        "application/json": fields("url", url=TEXT),
    }
)
BATCH_BODY = body({"application/json": fields("queries", queries=QUERIES)})
VECTORS_BODY = body(
    {
        "application/octet-stream": FILE,
        "multipart/form-data": fields("vectors", vectors=FILE, paths=FILE),
    }
)

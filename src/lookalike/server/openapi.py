"""What the OpenAPI document says of routes: which answers they give, and which bodies they take."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from lookalike.wire.schemas import Error

JPEG = "image/jpeg"

_SENTENCES = {
    400: "Asked for something that cannot be.",
    401: "The token is missing or wrong.",
    403: "Not allowed.",
    404: "Not here.",
    408: "The body took too long.",
    409: "Another process is writing to the library.",
    412: "The library has changed since.",
    413: "Too large.",
    415: "No format that is read.",
    422: "The request cannot be read.",
    429: "Too many requests.",
    503: "Too busy.",
    507: "The disk is full.",
}


def described(
    answer: type[BaseModel] | str | tuple[str, ...], *, status: int = 200, slow: bool = False
) -> dict[str, Any]:
    """The keywords of a route that say what it answers. `slow`: it may answer that it is not done yet."""
    found: dict[int | str, dict[str, Any]] = {
        code: {"model": Error, "description": sentence} for code, sentence in _SENTENCES.items()
    }
    if isinstance(answer, str | tuple):
        schema = {"schema": {"type": "string", "format": "binary"}}
        kinds = (answer,) if isinstance(answer, str) else answer
        found[status] = {"description": "The bytes.", "content": dict.fromkeys(kinds, schema)}
    else:
        found[status] = {"model": answer, "description": "The answer."}
    if slow:
        found[202] = {"model": answer, "description": "Not done yet: ask again."}
    return {"responses": found, "response_model": None, "status_code": status}


def body(content: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The body of a route that reads it itself."""
    return {
        "requestBody": {
            "required": required,
            "content": {kind: {"schema": schema} for kind, schema in content.items()},
        }
    }


TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": TEXT}
_FLAG = {"type": "boolean"}
_FILE = {"type": "string", "format": "binary"}
PICTURES = body(
    {
        "multipart/form-data": {
            "type": "object",
            "properties": {
                "picture": {"type": "array", "items": _FILE},
                "query": {"type": "string"},
            },
        }
    }
)
ONE_PICTURE = body(
    {
        "multipart/form-data": {"type": "object", "properties": {"picture": _FILE}},
        "application/octet-stream": _FILE,
        "application/json": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": {"type": "string"}},
        },
    }
)
WORDS_BATCH = body(
    {
        "application/json": {
            "type": "object",
            "required": ["queries"],
            "properties": {
                "queries": {"type": "array", "minItems": 1, "items": {"type": "object"}}
            },
        }
    }
)
ADDING = body(
    {
        "application/json": {
            "type": "object",
            "properties": {
                **dict.fromkeys(("paths", "include", "exclude"), _TEXTS),
                **dict.fromkeys(("retry_failed", "sidecars", "ann"), _FLAG),
            },
        },
        "multipart/form-data": {
            "type": "object",
            "properties": {"picture": {"type": "array", "items": _FILE}},
        },
    },
    required=False,
)
VECTORS_IN = body(
    {
        "application/octet-stream": _FILE,
        "multipart/form-data": {
            "type": "object",
            "required": ["vectors"],
            "properties": {"vectors": _FILE, "paths": _FILE},
        },
    }
)

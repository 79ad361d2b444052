"""OpenAPI documentation of routes: their responses, and the bodies that they read themselves."""

from __future__ import annotations

import warnings
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from lookalike.wire.codec import model
from lookalike.wire.http import Error

JPEG = "image/jpeg"
JSON = "application/json"
FILE = {"type": "string", "format": "binary"}

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
    options: dict[str, Any] = {"response_model": None, "status_code": status}
    found: dict[int | str, dict[str, Any]] = {
        code: {"model": model(Error), "description": text} for code, text in _DESCRIPTIONS.items()
    }
    if isinstance(answer, str | tuple):
        content = {
            each: {"schema": {"type": "object"} if each == JSON else FILE}
            for each in ((answer,) if isinstance(answer, str) else answer)
        }
        found[status] = {"description": "The bytes.", "content": content}
        options["response_class"] = Response  # otherwise FastAPI documents JSON, too
    else:
        found[status] = {"model": model(answer), "description": "The answer."}
    if pending is not None:
        found[202] = {"model": model(pending), "description": "Not done yet: ask again."}
    return {**options, "responses": found}


BODY_MODELS: dict[str, type[BaseModel]] = {}
"""Models of the bodies that routes read themselves, by name: FastAPI does not know them."""


def json_body(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the documentation of a JSON body, for a route that reads it itself."""
    BODY_MODELS[kind.__name__] = kind
    return body(
        "application/json", {"$ref": f"#/components/schemas/{kind.__name__}"}, required=required
    )


def body(media_type: str, schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return the documentation of a body. Routes may read other kinds as well, but only one is documented:
    programs that make clients from the document cannot choose."""
    return {
        "requestBody": {"required": required, "content": {media_type: {"schema": schema}}},
    }


def form(*required: str, **files: dict[str, Any]) -> dict[str, Any]:
    """Return the documentation of a form with these files."""
    schema = {"type": "object", "properties": files, "required": list(required)}
    return body("multipart/form-data", schema)


def query_parameters(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the documentation of parameters of the address, for a route that reads them itself."""
    properties = kind.model_json_schema()["properties"].items()
    described = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        | ({"description": schema["description"]} if "description" in schema else {})
        for name, schema in properties
    ]
    return {"parameters": described}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application, with the models of the bodies that routes read.

    HEAD is not documented: it is answered wherever GET is.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate Operation ID")  # of GET and HEAD
        document = FastAPI.openapi(app)
    for operations in document["paths"].values():
        operations.pop("head", None)
    _, found = models_json_schema(
        [(kind, "validation") for kind in BODY_MODELS.values()],
        ref_template="#/components/schemas/{model}",
    )
    document["components"]["schemas"] |= found["$defs"]
    return document


FILES = {"type": "array", "items": FILE}

UPLOAD_BODY = form("image", image=FILE)
VECTORS_BODY = form("vectors", vectors=FILE, paths=FILE)

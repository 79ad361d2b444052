"""Queries as parameters of HTTP. Images that are not in the library are sent to the server first."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.client.connection import Connection
from lookalike.client.images import id_of
from lookalike.errors import UsageError
from lookalike.query import OPTIONS, Query, QueryImage, Term
from lookalike.search.query_parser import WEIGHT


def to_params(connection: Connection, query: Query) -> dict[str, Any]:
    """Return the HTTP parameters of a query, and send its images."""
    params: dict[str, Any] = {
        option.parameter: value
        for option in OPTIONS
        if (value := getattr(query, option.name)) != option.default or option.name == "k"
    }
    images = [term for term in query.terms if term.text is None and term.vector is None]
    # In the order in which the server takes them, because a region belongs to its first image.
    sent = [term for term in images if term.id is None and term.weight > 0]
    first = next(iter([*sent, *(term for term in images if term.weight > 0)]), None)
    for term in query.terms:
        if term.region is not None:
            params["region"] = format_region(term, first)
        kind, value = term_param(connection, term)
        name = kind if term.weight > 0 else f"not_{kind}"
        params.setdefault(name, []).append(with_weight(value, term.weight))
    return params


def term_param(connection: Connection, term: Term) -> tuple[str, str]:
    """Return the name of the parameter for a term, and its value without the weight."""
    if term.text is not None:
        return "text", term.text
    if term.vector is not None:
        numbers = np.ascontiguousarray(term.vector, "<f4")
        if numbers.ndim != 1:
            raise UsageError(f"a vector has one dimension, not the shape {numbers.shape}")
        return "vector", base64.urlsafe_b64encode(numbers.tobytes()).decode()
    if term.id is not None:
        return "image", str(term.id)
    image = term.image
    assert image is not None
    if isinstance(image, Path) and not image.exists():
        return "image", str(id_of(connection, image))
    return "upload", upload(connection, image)


def upload(connection: Connection, image: QueryImage) -> str:
    """Send an image and return the name by which the server knows it from then on."""
    answer = connection.request("POST", "/api/uploads", content=file_bytes(image))
    return str(json.loads(answer)["upload"])


def with_weight(value: str, weight: float) -> str:
    """Return a value with its weight before it, unless the weight is 1 and cannot be misread."""
    amount = f"{abs(weight):.6f}".rstrip("0").rstrip(".")
    return value if amount == "1" and not WEIGHT.fullmatch(value) else f"{amount}:{value}"


def format_region(term: Term, first: Term | None) -> str:
    """Return the region of a term as HTTP has it; `UsageError` if it has none such."""
    assert term.region is not None
    if term is not first:
        raise UsageError("over HTTP only the first image can have a region")
    if max(term.region) > 1:
        raise UsageError("over HTTP a region is in fractions of the image, not in pixels")
    return ",".join(f"{edge:.6f}" for edge in term.region)


def file_bytes(image: QueryImage) -> bytes:
    """Return the bytes of an image file; pixels are encoded as PNG."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, Path):
        try:
            return image.read_bytes()
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(f"cannot search with {image}: {reason}") from None
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()

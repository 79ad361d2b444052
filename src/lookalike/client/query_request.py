"""Questions in the words of HTTP. Pictures that are not in the library are sent on the way."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.client.connection import Connection
from lookalike.client.images import id_of
from lookalike.errors import UsageError
from lookalike.query import Query, QueryImage, Term
from lookalike.search.query_parser import WEIGHT

PARAMETERS = {"extractors": "extractor"}
"""HTTP parameters that are not named as the field of `Query`."""


def words_of(connection: Connection, query: Query) -> dict[str, Any]:
    """The question in the words of HTTP. Its pictures are sent on the way."""
    words: dict[str, Any] = {
        PARAMETERS.get(field.name, field.name): getattr(query, field.name)
        for field in fields(query)
        if field.name != "terms" and getattr(query, field.name) != field.default
    }
    words["k"] = query.k
    pictures = [term for term in query.terms if term.text is None and term.vector is None]
    # In the order in which the server takes them, because a region belongs to its first picture.
    sent = [term for term in pictures if term.id is None and term.weight > 0]
    first = next(iter([*sent, *(term for term in pictures if term.weight > 0)]), None)
    for term in query.terms:
        if term.region is not None:
            words["region"] = region(term, first)
        kind, what = named(connection, term)
        name = kind if term.weight > 0 else f"not_{kind}"
        words.setdefault(name, []).append(what)
    return words


def named(connection: Connection, term: Term) -> tuple[str, str]:
    if term.text is not None:
        return "text", weighted(term.text, term.weight)
    if term.vector is not None:
        numbers = np.ascontiguousarray(term.vector, "<f4")
        if numbers.ndim != 1:
            raise UsageError(f"a vector has one row of numbers, not the shape {numbers.shape}")
        text = base64.urlsafe_b64encode(numbers.tobytes()).decode()
        return "vector", weighted(text, term.weight)
    if term.id is not None:
        return "image", weighted(str(term.id), term.weight)
    picture = term.image
    assert picture is not None
    if isinstance(picture, Path) and not picture.exists():
        return "image", weighted(str(id_of(connection, picture)), term.weight)
    return "upload", weighted(upload(connection, picture), term.weight)


def upload(connection: Connection, picture: QueryImage) -> str:
    """Send a picture; the name by which the server knows it from then on."""
    answered = connection.request("POST", "/api/uploads", content=content(picture))
    return str(json.loads(answered)["upload"])


def weighted(what: str, weight: float) -> str:
    """With its weight before it, where it has one or might seem to have one."""
    amount = f"{abs(weight):.6f}".rstrip("0").rstrip(".")
    return what if amount == "1" and not WEIGHT.fullmatch(what) else f"{amount}:{what}"


def region(term: Term, first: Term | None) -> str:
    assert term.region is not None
    if term is not first:
        raise UsageError("over HTTP a region is a part of the first picture alone")
    if max(term.region) > 1:
        raise UsageError("over HTTP a region is in fractions of the picture, not in pixels")
    return ",".join(f"{edge:.6f}" for edge in term.region)


def content(picture: QueryImage) -> bytes:
    """The bytes of a picture; pixels as PNG."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Path):
        try:
            return picture.read_bytes()
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(f"cannot search with {picture}: {reason}") from None
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()

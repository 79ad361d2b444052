"""Query parameters of a search over HTTP, and the `Query` that they describe.

The options of a query are made from the fields of `Query`; here are the terms, which HTTP names differently.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from fastapi import Depends, Request
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, create_model

from lookalike.errors import UsageError
from lookalike.extractors.registry import parse
from lookalike.field_options import Option
from lookalike.query import OPTIONS, Box, Query, Term
from lookalike.search.query_parser import WEIGHT
from lookalike.server.responses import unknown_parameter

FIRST_BLOCK = 64
"""Hits that a query asks for at least if its results are paged, so that all pages come from one result."""

MAX_TERMS, MAX_UPLOADS = 100, 16
"""Terms of one kind in one query: each upload is decoded for it, each image looked up."""


def as_list(value: Any) -> Any:
    """Return a list of one for a single value, as JSON may have it; a list as it is."""
    return [value] if isinstance(value, str | int | float) else value


def as_text(value: Any) -> Any:
    """Return a whole number as text: an id may be written as either in JSON."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


OneOrMore = BeforeValidator(as_list)
"""Lets a list be given as its only item."""

Name = Annotated[str, BeforeValidator(as_text), StringConstraints(max_length=1 << 19)]
Terms = Annotated[list[Name], OneOrMore, Field(max_length=MAX_TERMS)]
Uploads = Annotated[list[Name], OneOrMore, Field(max_length=MAX_UPLOADS)]

NOTHING: Any = ()
"""Default of lists: Pydantic would copy an empty list for every request."""

BASE64URL_TO_BASE64 = str.maketrans("-_", "+/")


class TermParams(BaseModel, extra="forbid"):
    """The terms of one query and the page of its hits; in a URL and as JSON."""

    image: Terms = Field(
        NOTHING,
        description="More like these images of the library, by id or path (`2:17` counts double).",
    )
    not_image: Terms = Field(NOTHING, description="Less like these images.")
    upload: Uploads = Field(
        NOTHING, description="More like these uploads, by the hash that POST /api/uploads gave."
    )
    not_upload: Uploads = Field(NOTHING, description="Less like these uploads.")
    text: Terms = Field(NOTHING, description="More like this text (`2:red shoe` counts double).")
    not_text: Terms = Field(NOTHING, description="Less like this text.")
    vector: Terms = Field(
        NOTHING,
        description="More like these vectors of the space that is searched, made elsewhere: float32, "
        "little-endian, in base64url.",
    )
    not_vector: Terms = Field(NOTHING, description="Less like these vectors.")
    region: str | None = Field(
        None, description="`x,y,width,height`, fractions: only this part of the first image."
    )
    k: int = Field(24, ge=1, le=100_000, description="Number of hits.")
    offset: int = Field(0, ge=0, le=1_000_000, description="Hits to leave out at the beginning.")


def http_field(option: Option) -> tuple[Any, Any]:
    """Return the type and the field of the HTTP parameter for an option of a query."""
    if option.many:
        return Terms, Field(NOTHING, description=option.help)
    type_: Any = Literal[option.choices] if option.choices else option.kind
    if option.default is None:
        type_ = type_ | None
    return type_, Field(option.default, description=option.help, ge=option.low, le=option.high)


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise `HTTPError` 422 for a parameter of the address that the route does not have: a typing error must
    not pass for a request without it. Models of parameters refuse those themselves."""
    if not request.query_params:
        return
    fields = request.scope["route"].dependant.query_params
    kinds = (field.field_info.annotation for field in fields)
    if any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds):
        return
    names = {field.alias for field in fields}
    unknown = next((name for name in request.query_params if name not in names), None)
    if unknown is not None:
        raise unknown_parameter(unknown, names)


KNOWN_PARAMETERS = Depends(refuse_unknown_parameters)

if TYPE_CHECKING:
    SearchParams: TypeAlias = TermParams
else:
    SearchParams = create_model(
        "SearchParams",
        __base__=TermParams,
        **{option.parameter: http_field(option) for option in OPTIONS if option.name != "k"},
    )


def read_params(request: Request) -> SearchParams:
    """Return the parameters of a search in the address of a request. FastAPI would take longer than the
    search."""
    given = request.query_params
    values: dict[str, Any] = {
        name: given.getlist(name) if name in LISTS else value for name, value in given.items()
    }
    return SearchParams.model_validate(values)


LISTS = frozenset(
    name for name, field in SearchParams.model_fields.items() if isinstance(field.default, tuple)
)
"""Parameters that may be repeated."""


def to_query(params: SearchParams, images: Sequence[Term]) -> Query:
    """Return the query that parameters describe. `images`: terms, which come first."""
    terms = list(images)
    if params.region is not None:
        terms = with_region(terms, parse_region(params.region))
    for sign, texts in ((1.0, params.text), (-1.0, params.not_text)):
        for value in texts:
            weight, text = split_weight(value)
            terms.append(Term(text=text, weight=sign * weight))
    for sign, vectors in ((1.0, params.vector), (-1.0, params.not_vector)):
        for value in vectors:
            weight, encoded = split_weight(value)
            terms.append(Term(vector=decode_vector(encoded), weight=sign * weight))
    options = {
        option.name: getattr(params, option.parameter) for option in OPTIONS if option.name != "k"
    }
    names = tuple(name for given in options["extractors"] for name in parse(given, folders=False))
    options |= {"extractors": names, "where": options["where"] or None}
    return Query(tuple(terms), k=depth(params, options, terms), **options)


def split_weight(value: str) -> tuple[float, str]:
    """Return the weight before a term, and the term: "2:17" → (2.0, "17"), "17" → (1.0, "17")."""
    found = WEIGHT.fullmatch(value)
    return (float(found[1]), found[2]) if found else (1.0, value)


def decode_vector(text: str) -> NDArray[np.float32]:
    """Return a vector from base64url; `UsageError`."""
    try:
        text64 = text.translate(BASE64URL_TO_BASE64) + "=" * (-len(text) % 4)
        return np.frombuffer(base64.b64decode(text64, validate=True), "<f4")
    except ValueError:
        raise UsageError(
            f"vector={text[:20]!r}: write float32 numbers, little-endian, in base64url"
        ) from None


def parse_region(text: str) -> Box:
    """Return a part of an image, as fractions of its size; `UsageError`."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        x = y = width = height = math.nan
    if not all(0 <= part <= 1 for part in (x, y, width, height)):
        raise UsageError(
            f"region={text[:40]!r}: write x,y,width,height as fractions of the image (0.5,0,0.5,1 is "
            "its right half)"
        )
    return x, y, width, height


def with_region(terms: list[Term], region: Box) -> list[Term]:
    """Return the terms, with the region in the first image that hits should be like."""
    for place, term in enumerate(terms):
        if term.weight > 0:
            return [*terms[:place], replace(term, region=region), *terms[place + 1 :]]
    raise UsageError("a region is a part of an image: name the image with image= or upload=")


def depth(params: SearchParams, options: Mapping[str, Any], terms: Sequence[Term]) -> int:
    """Return the number of hits to ask for so that the page is among them.

    The pages of one result share its depth: the beginning of a result that is diversified, verified or
    fused may differ when more hits are asked for.
    """
    end = params.offset + params.k
    reranked = options["diversity"] or options["collapse_duplicates"] or options["verify"]
    fused = len(options["extractors"]) > 1 or any(term.text is not None for term in terms)
    if not (reranked or fused or params.offset):
        return end
    block = FIRST_BLOCK
    while block < end:
        block *= 4
    return block

"""The words of a question over HTTP, and the `Query` that they mean."""

from __future__ import annotations

import base64
import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from lookalike.errors import UsageError
from lookalike.extractors.registry import parse
from lookalike.query import Box, Query, Term
from lookalike.search.query_parser import WEIGHT

FIRST_BLOCK = 64
"""Hits that are asked for at least where an answer is paged, so that its pages come from one answer."""

MOST_TERMS, MOST_UPLOADS = 100, 16
"""Of one kind in one question: each picture that was sent is decoded for it, each image looked up."""

Weighted = Annotated[list[str], Field(max_length=MOST_TERMS)]
Sent = Annotated[list[str], Field(max_length=MOST_UPLOADS)]

STANDARD = str.maketrans("-_", "+/")
"""The letters of base64url as those of base64."""


class Words(BaseModel):
    """One question. The same in an address and as JSON."""

    model_config = ConfigDict(extra="forbid")

    image: Weighted = Field(
        [], description="More like these images of the library, by id (`2:17` counts double)."
    )
    not_image: Weighted = Field([], description="Less like these images.")
    upload: Sent = Field(
        [], description="More like these uploads, by the hash that POST /api/uploads gave."
    )
    not_upload: Sent = Field([], description="Less like these uploads.")
    text: Weighted = Field([], description="More like these words (`2:red shoe` counts double).")
    not_text: Weighted = Field([], description="Less like these words.")
    vector: Weighted = Field(
        [],
        description="More like these vectors of the space that is asked, made elsewhere: float32, little-"
        "endian, in base64url.",
    )
    not_vector: Weighted = Field([], description="Less like these vectors.")
    region: str | None = Field(
        None, description="`x,y,width,height`, fractions: only this part of the first picture."
    )
    extractor: Weighted = Field(
        [], description="Which spaces answer, fused if several. Default: the first."
    )
    where: str | None = Field(None, description="A filter: `kind = 'shoe' and price < 50`.")
    k: int = Field(24, ge=1, le=100_000, description="How many hits.")
    offset: int = Field(0, ge=0, le=1_000_000, description="Hits to leave out at the beginning.")
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of pictures beside words.")
    diversity: float = Field(
        0.0, ge=0, le=1, description="0: by relevance alone; up to 1: hits unlike each other."
    )
    collapse_duplicates: bool = Field(
        False, description="Count near-copies of a hit instead of listing them."
    )
    any_orientation: bool = Field(
        False, description="Try the pictures turned and mirrored in all eight ways."
    )
    min_relevance: Literal["weak", "plausible", "strong", "near-copy"] | None = None
    similarity: Literal["cosine", "euclidean"] | None = None
    fusion: Literal["scores", "ranks"] = "scores"
    exact: bool = Field(
        False, description="Compare with every picture, even where an index is faster."
    )
    feedback: bool = Field(
        False, description="Let relevant / not-relevant decisions steer the question."
    )
    verify: Literal["orb", "sift"] | None = Field(
        None, description="Put those first in which keypoints show the very thing."
    )


def query_of(words: Words, pictures: list[tuple[Term, float]], *, k: int) -> Query:
    """The question that the words ask, with `pictures` (terms and signed weights) before its texts."""
    terms = [Term(image=term.image, id=term.id, weight=weight) for term, weight in pictures]
    if words.region is not None:
        terms = with_region(terms, region_of(words.region))
    for sign, texts in ((1.0, words.text), (-1.0, words.not_text)):
        for text in texts:
            weight, said = weighted(text)
            terms.append(Term(text=said, weight=sign * weight))
    for sign, vectors in ((1.0, words.vector), (-1.0, words.not_vector)):
        for text in vectors:
            weight, numbers = weighted(text)
            terms.append(Term(vector=vector_of(numbers), weight=sign * weight))
    return Query(
        tuple(terms),
        k=k,
        extractors=tuple(name for given in words.extractor for name in parse(given)),
        similarity=words.similarity,
        exact=words.exact,
        where=words.where or None,
        alpha=words.alpha,
        fusion=words.fusion,
        diversity=words.diversity,
        collapse_duplicates=words.collapse_duplicates,
        any_orientation=words.any_orientation,
        min_relevance=words.min_relevance,
        feedback=words.feedback,
        verify=words.verify,
    )


def weighted(word: str) -> tuple[float, str]:
    """A weight above 0 and what it stands before: ("2:17" → 2.0, "17")."""
    found = WEIGHT.fullmatch(word)
    return (float(found[1]), found[2]) if found else (1.0, word)


def vector_of(text: str) -> NDArray[np.float32]:
    """The numbers of a vector; `UsageError`."""
    try:
        data = base64.b64decode(text.translate(STANDARD) + "=" * (-len(text) % 4), validate=True)
        return np.frombuffer(data, "<f4")
    except ValueError:
        raise UsageError(
            f"vector={text[:20]!r}: write float32 numbers, little-endian, in base64url"
        ) from None


def region_of(text: str) -> Box:
    """A part of a picture, as fractions of its size; `UsageError`."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        x = y = width = height = math.nan
    if not all(0 <= part <= 1 for part in (x, y, width, height)):
        raise UsageError(
            f"region={text[:40]!r}: write x,y,width,height as fractions of the picture (0.5,0,0.5,1 is "
            "its right half)"
        )
    return x, y, width, height


def with_region(terms: list[Term], region: Box) -> list[Term]:
    """The region belongs to the first picture that hits should be like."""
    for place, term in enumerate(terms):
        if term.weight > 0:
            cut = Term(image=term.image, id=term.id, weight=term.weight, region=region)
            return [*terms[:place], cut, *terms[place + 1 :]]
    raise UsageError("a region is a part of a picture: name the picture with image= or upload=")


def depth(words: Words) -> int:
    """Hits to ask for so that the page is among them. Pages of one answer share its depth: an answer that
    is spread, verified or fused may differ in its beginning when more is asked for."""
    needed = words.offset + words.k
    single = (
        not (words.diversity or words.collapse_duplicates or words.verify)
        and len(words.extractor) <= 1
    )
    if single and not words.offset and not (words.text or words.not_text):
        return needed
    block = FIRST_BLOCK
    while block < needed:
        block *= 4
    return block

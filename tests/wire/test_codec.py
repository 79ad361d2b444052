"""JSON documents are made from the fields of dataclasses, and lead back to equal values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lookalike.duplicates.report import Duplicates, Group, Member
from lookalike.errors import Outcome
from lookalike.indexing.report import IndexReport
from lookalike.query import Hit, Hits
from lookalike.stores.records import Image
from lookalike.wire import decode, encode
from lookalike.wire.codec import Document, model, model_of
from lookalike.wire.http import ImageDetails, JobState, SearchResponse

IMAGE = Image(
    id=1, root=0, path="a/1.jpg", size=3, mtime_ns=10**18, hash=None, outcome=Outcome.INDEXED, reason="",
    width=4, height=3, format="jpeg", metadata={"price": 7},
)  # fmt: skip
HIT = Hit(
    rank=1, id=1, path="a/1.jpg", root=Path(), score=0.25, similarity=0.25, metadata={"price": 7},
    scores_by_space={"color": 0.5}, box=(0.0, 0.0, 0.5, 1.0), width=4, height=3,
)  # fmt: skip
HITS = Hits(
    (HIT,),
    ranked_by="color",
    similarity="cosine",
    exact=True,
    searched_count=1,
    seconds={"total": 0.5},
)
GROUP = Group("exact", (Member(IMAGE, Path("a/1.jpg"), "exact", 1.0, "same bytes"),) * 2)
VALUES = [
    IMAGE,
    HIT,
    HITS,
    GROUP,
    Duplicates((GROUP,), 1, 2, 3, 4, "", {"total": 0.5}),
    IndexReport(new=1, failed={Outcome.MISSING: 2}, unreadable=(("a", "gone"),), spaces=("color",)),
    ImageDetails(IMAGE, "photos", None),
    JobState(id="0" * 16, kind="index", state="done", result={"new": 1}),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_document_survives_json_and_leads_back_to_the_value(value: Any) -> None:
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_the_schema_has_the_keys_of_the_document(value: Any) -> None:
    document = encode(value)
    assert set(model(type(value)).model_fields) == set(document)
    model(type(value)).model_validate(document)


def test_a_page_of_hits_is_one_flat_object_and_leads_back_to_hits() -> None:
    page = SearchResponse(HITS, {"image": ["1"]}, (HIT,), None)
    document = encode(page)
    assert document["ranked_by"] == "color" and document["query"] == {"image": ["1"]}
    (hit,) = document["hits"]
    assert (hit["rank"], hit["width"], hit["similarity"]) == (1, 4, 0.25) and "root" not in hit
    assert decode(SearchResponse, document).to_hits() == HITS


@dataclass(frozen=True)
class Inner:
    score: float = field(metadata={"digits": 2})
    secret: int = 7


@dataclass(frozen=True)
class Outer:
    inner: Inner
    kinds: Mapping[Outcome, int]
    content: bytes | None
    places: tuple[Path, ...]
    ratio: float = -0.0001
    added_later: str = "new"


INNER = Document(Inner, omit={"secret": lambda document: document["double"] // 2})
OUTER = Document(
    Outer,
    name="Flat",
    digits={"ratio": 2},
    flatten={"inner": INNER},
    computed={"double": (int, lambda outer: 2 * outer.inner.secret)},
)


def test_a_document_differs_from_its_dataclass_as_declared() -> None:
    value = Outer(Inner(0.123), {Outcome.MISSING: 1}, b"\x01\xff", (Path("a/b"),))
    document = OUTER.encode(value)
    assert document == {
        "score": 0.12, "kinds": {"missing": 1}, "content": "01ff", "places": ["a/b"], "ratio": 0.0,
        "added_later": "new", "double": 14,
    }  # fmt: skip
    assert str(document["ratio"]) == "0.0"  # and not "-0.0"
    assert set(model_of(OUTER).model_fields) == set(document)
    back = OUTER.decode({**document, "unknown": 1})
    assert (back.inner, back.kinds, back.content) == (Inner(0.12), value.kinds, value.content)
    assert back.places == value.places


def test_fields_that_an_older_server_does_not_send_have_their_defaults() -> None:
    value = Outer(Inner(0.5), {}, None, ())
    document = OUTER.encode(value)
    del document["added_later"], document["ratio"]
    assert OUTER.decode(document) == value

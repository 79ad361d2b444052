"""What can be done with an open library can be done with a served one, or it says here why not."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lookalike.client.ann import Ann as ServedAnn
from lookalike.client.client import Client
from lookalike.client.feedback import Feedback as ServedFeedback
from lookalike.client.images import Images
from lookalike.client.jobs import LOCAL
from lookalike.client.vectors import Vectors as ServedVectors
from lookalike.feedback.judgements import Feedback
from lookalike.indexing.ann import Ann
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.vectors import Vectors
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.query_params import SearchParams

HERE = "it is an object in this process: its answers go over HTTP, not itself"
OPENED = "a server has opened its library before anybody asks"
LEFT_OUT = {
    Library: {
        "create": OPENED,
        "open": OPENED,
        "folder": "where the library lies is not told",
        "limits": "of the pictures that are sent: whoever starts the server sets them",
        "read_only": "`Client.info` says whether the server writes",
        "encodes_text": "`Client.info` says of each space whether it understands text",
        "snapshot": f"{HERE}; `Client.images` has what is read from it",
        "extractor": HERE,
        "register": HERE,
        "check": "files that may be wrong are looked at where they lie",
        "thumbnails": "`Client.images.thumbnail`",
    },
    Feedback: {},
    Vectors: {"stream_vectors": "`export_vectors` is a stream already; the server pours into it"},
    Ann: {
        "compare": "a benchmark of minutes on all cores, which stores nothing: beside the library",
        "build_due": "`add` and `import_vectors` do it",
        "space": "`Client.info` has the spaces",
    },
}
PAIRS = {
    Library: Client,
    Feedback: ServedFeedback,
    Vectors: ServedVectors,
    Ann: ServedAnn,
}

WORDS_LEFT_OUT = {
    "Library.add.extractors": "a name may be the path of a model here, or one that is downloaded",
    "Library.estimate.extractors": "as for `add`",
    "Library.duplicates.limits": "of reading a picture: whoever starts the server sets them",
    "Library.duplicates.progress": "the server shares one search among all who ask for it",
    "Vectors.import_vectors.metadata": "a table names files by paths, which a server does not follow",
    "Vectors.import_vectors.untrusted_paths": "it is always so over HTTP",
}
NAMED_OTHERWISE = {
    "Library.remove.paths": "pictures",  # ids serve, too
}


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def parameters(kind: type, name: str) -> set[str]:
    found = vars(kind)[name]
    return (
        set()
        if isinstance(found, property)
        else set(inspect.signature(found).parameters) - {"self"}
    )


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_what_a_library_offers_a_client_offers(kind: type) -> None:
    assert public(kind) - public(PAIRS[kind]) == set(LEFT_OUT[kind])


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_methods_take_the_same_words(kind: type) -> None:
    served = PAIRS[kind]
    missing = {
        f"{kind.__name__}.{name}.{word}"
        for name in public(kind) & public(served)
        for word in parameters(kind, name) - parameters(served, name)
    }
    ours = {
        word for word in WORDS_LEFT_OUT | NAMED_OTHERWISE if word.startswith(kind.__name__ + ".")
    }
    assert missing == ours
    for word, other in NAMED_OTHERWISE.items():
        if word in ours:
            assert other in parameters(served, word.split(".")[1])


def test_questions_are_asked_in_the_words_of_a_query() -> None:
    words = set(SearchParams.model_fields)
    assert {field.name for field in fields(Query)} - words == {"terms", "extractors"}
    # `image` is the id of an image of the library, `upload` an image that is sent.
    of_terms = {field.name for field in fields(Term)} - {"id", "weight"}
    assert of_terms <= words and {"upload", "extractor"} <= words


def test_indexing_is_asked_for_in_its_words(client: TestClient) -> None:
    adding = client.get("/api/openapi.json").json()["paths"]["/api/images"]["post"]
    told = adding["requestBody"]["content"]["application/json"]["schema"]["properties"]
    options = {field.name for field in fields(IndexOptions)}
    assert options > LOCAL and options - LOCAL == set(told) - {"paths"}


def test_every_address_is_explained_in_the_documentation(client: TestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    page = page.replace("/ID", "/{id}").replace("/HASH", "/{hash}")
    paths = client.get("/api/openapi.json").json()["paths"]
    assert [path for path in paths if f"{path}`" not in page and f"{path}?" not in page] == []


def test_images_are_reached_as_a_view_reaches_them() -> None:
    assert public(Images) == {"find", "fields", "facts", "neighbours", "thumbnail", "file"}

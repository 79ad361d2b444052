"""A client offers what an open library offers, or this file says why not."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lookalike.client.client import Client
from lookalike.client.connection import SERVER_SIDE_OPTIONS
from lookalike.client.images import Feedback as ServedFeedback
from lookalike.client.images import Images
from lookalike.client.vectors import Ann as ServedAnn
from lookalike.client.vectors import Vectors as ServedVectors
from lookalike.feedback import Feedback
from lookalike.indexing.ann import Ann
from lookalike.indexing.report import IndexOptions
from lookalike.indexing.vectors import Vectors
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.query_params import SearchParams

IN_PROCESS = "an object of this process: its results go over HTTP, not itself"
SERVER_OPENS = "the server has opened the library"
MISSING_METHODS = {
    Library: {
        "create": SERVER_OPENS,
        "open": SERVER_OPENS,
        "folder": "a client is not told where the library is",
        "home": "as `folder`",
        "add_folder": "as `folder`",
        "address": "as `folder`",
        "limits": "on the images that are sent: set by whoever starts the server",
        "read_only": "`Client.info` tells whether the server is writable",
        "encodes_text": "`Client.info` tells of each space whether it understands text",
        "snapshot": f"{IN_PROCESS}; `Client.images` has what is read from it",
        "extractor": IN_PROCESS,
        "register": IN_PROCESS,
        "check": "files are checked where they are",
        "repair": "as `check`",
        "similar_folders": "`Client.duplicates` has the groups from which they are made",
        "move_spare": "files are moved where they are",
        "import_parts": "parts are folders where the library is",
        "copy_to": "the other library is where this one is",
        "reachable": "`GET /health`",
        "export_metadata": "sidecars are written where the images are",
        "trash": "as `move_spare`",
        "undo_move": "as `move_spare`",
        "thumbnails": "`Client.images.thumbnail`",
    },
    Feedback: {},
    Vectors: {"stream_vectors": "`export_vectors` streams"},
    Ann: {
        "compare": "a benchmark of minutes on all cores that stores nothing: run it on the server",
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

MISSING_PARAMETERS = {
    "Library.add.extractors": "a name may be the path of a model, or one that is downloaded",
    "Library.estimate.extractors": "as for `add`",
    "Library.duplicates.limits": "on reading an image: set by whoever starts the server",
    "Library.duplicates.progress": "the server shares one search among all who ask for it",
    "Vectors.import_vectors.metadata": "a table names files by paths, which a server does not follow",
    "Vectors.import_vectors.path_column": "of that table",
    "Vectors.import_vectors.replace_metadata": "as that table",
    "Vectors.import_vectors.untrusted_paths": "always so over HTTP",
}
RENAMED_PARAMETERS = {
    "Library.remove.paths": "images",  # takes ids, too
}


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def parameters(kind: type, name: str) -> set[str]:
    found = vars(kind)[name]
    if isinstance(found, property):
        return set()
    return set(inspect.signature(found).parameters) - {"self"}


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_a_client_has_the_methods_of_a_library(kind: type) -> None:
    assert public(kind) - public(PAIRS[kind]) == set(MISSING_METHODS[kind])


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.__name__)
def test_methods_take_the_same_parameters(kind: type) -> None:
    served = PAIRS[kind]
    missing = {
        f"{kind.__name__}.{name}.{parameter}"
        for name in public(kind) & public(served)
        for parameter in parameters(kind, name) - parameters(served, name)
    }
    known = MISSING_PARAMETERS | RENAMED_PARAMETERS
    expected = {name for name in known if name.startswith(f"{kind.__name__}.")}
    assert missing == expected
    for parameter, other in RENAMED_PARAMETERS.items():
        if parameter in expected:
            assert other in parameters(served, parameter.split(".")[1])


def test_query_parameters_are_the_fields_of_a_query() -> None:
    params = set(SearchParams.model_fields)
    assert {field.name for field in fields(Query)} - params == {"terms", "extractors"}
    assert "extractor" in params  # repeatable, hence in the singular
    # Of a term's fields, `id` is the parameter `image`, `image` is `upload`; a weight is a prefix.
    of_terms = {field.name for field in fields(Term)} - {"id", "weight"}
    assert of_terms <= params and "upload" in params


def test_index_parameters_are_the_fields_of_index_options(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    properties = document["components"]["schemas"]["IndexRequest"]["properties"]
    options = {field.name for field in fields(IndexOptions)}
    assert options > SERVER_SIDE_OPTIONS
    assert options - SERVER_SIDE_OPTIONS == set(properties) - {"paths"}


def test_every_address_is_documented(client: TestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    page = page.replace("/ID", "/{id}").replace("/HASH", "/{hash}")
    paths = client.get("/api/openapi.json").json()["paths"]
    assert [path for path in paths if f"{path}`" not in page and f"{path}?" not in page] == []


def test_images_are_reached_as_in_a_snapshot() -> None:
    assert public(Images) == {"find", "fields", "facts", "neighbours", "thumbnail", "file"}

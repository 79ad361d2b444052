"""The server against its own OpenAPI document: no request gets a 5xx, and every response is as documented."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from tests.library.image_builders import album
from tests.server.conftest import CSRF_HEADERS
from tests.server.live_server import running

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

# Requests per operation: some hundred in all; `make torture` asks for more.
EXAMPLES = 4
MANY_EXAMPLES = int(os.environ.get("REQUESTS", "400"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "examples", [EXAMPLES, pytest.param(MANY_EXAMPLES, marks=pytest.mark.torture)]
)
def test_no_request_breaks_the_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    examples: int,
) -> None:
    if examples == EXAMPLES:
        request.getfixturevalue("jobs_in_threads")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))  # where the trash is
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis (the extra dev)")
    from schemathesis.specs.openapi import checks

    wanted = [
        checks.response_schema_conformance,
        checks.status_code_conformance,
        checks.content_type_conformance,
    ]
    folder = album(tmp_path / "photos", 34)
    tried: dict[str, int] = {}
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        # Many requests would each wait for a job of their own.
        app = create_app(library, Settings(writable=True, job_wait=5 if examples < 10 else 0.5))
        with running(app) as port:
            address = f"http://127.0.0.1:{port}/api/openapi.json"
            schema = schemathesis.openapi.from_url(address, timeout=60)
            for operation in (result.ok() for result in schema.get_all_operations()):

                @settings(
                    max_examples=examples,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy())
                def ask(case: Any) -> None:
                    response = case.call(headers=CSRF_HEADERS, timeout=60)
                    assert response.status_code < 500, (case.as_curl_command(), response.text)
                    case.validate_response(response, checks=wanted)
                    name = f"{case.method} {case.path}"
                    tried[name] = tried.get(name, 0) + 1

                ask()
    assert len(tried) >= 24 and min(tried.values()) >= 1


@pytest.mark.usefixtures("jobs_in_threads")
def test_head_is_answered_wherever_get_is(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    values = {"id": "3", "hash": "0" * 64, "name": "x"}
    parameters = {
        "/api/search": {"image": "3"},
        "/api/vectors": {"extractor": "color"},
        "/api/ann/history": {"extractor": "color"},
        "/api/explain": {"query": "1", "hit": "2"},
    }
    slow = {
        "/api/explain",
        "/api/map",
        "/api/map/groups",
        "/api/duplicates",
        "/api/similar-groups",
        "/api/estimate",
    }
    asked = [path for path, found in paths.items() if "get" in found and path not in slow]
    for path in ("/", "/page/app.js", "/api/openapi.json", *asked):
        url = path.format(**values)
        head = client.head(url, params=parameters.get(path))
        get = client.get(url, params=parameters.get(path))
        assert head.status_code == get.status_code, path
        assert head.headers.get("content-type") == get.headers.get("content-type"), path
    assert (
        client.put("/api/search", headers={"X-Lookalike": "1"}).headers["allow"]
        == "GET, HEAD, POST"
    )
    assert len(asked) >= 14 and all("head" not in found for found in paths.values())


def test_every_operation_has_a_short_name_and_one_kind_of_body(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    operations = [operation for found in paths.values() for operation in found.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 20 and not any("_api_" in name for name in names)
    kinds = [
        operation["requestBody"]["content"]
        for operation in operations
        if "requestBody" in operation
    ]
    assert {len(kind) for kind in kinds} == {1}
    assert {name for kind in kinds for name in kind} == {
        "application/json",
        "application/octet-stream",
        "multipart/form-data",
    }

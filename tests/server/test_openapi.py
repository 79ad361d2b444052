"""The server against its own OpenAPI document: no request gets a 5xx, and every response is as documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.library.image_builders import album
from tests.server.conftest import CSRF_HEADERS
from tests.server.live_server import running

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

# Requests per operation: some hundred in all.
EXAMPLES = 8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_request_breaks_the_server(tmp_path: Path) -> None:
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
        app = create_app(library, Settings(writable=True))
        with running(app) as port:
            schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/api/openapi.json")
            for operation in (result.ok() for result in schema.get_all_operations()):

                @settings(
                    max_examples=EXAMPLES,
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

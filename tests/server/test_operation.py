"""Operating a server: plans of searches, slow ones in the log, traces, the Grafana dashboard."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.server.conftest import ADDRESS

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.json_log import JSONFormatter
from lookalike.server.run import AnnouncingProcesses, server_config
from lookalike.server.settings import Settings

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"


def test_a_search_over_http_explains_its_plan_when_asked(client: TestClient) -> None:
    params: dict[str, Any] = {"image": 1, "where": "width > 10", "k": 3}
    assert client.get("/api/search", params=params).json()["plan"] == []
    plan = client.get("/api/search", params={**params, "explain_plan": True}).json()["plan"]
    stages = {stage["name"]: stage["details"] for stage in plan}
    assert list(stages) == [
        "plan", "plan/filter", "encode", "retrieve", "retrieve/space", "relevance", "rerank", "hits",
    ]  # fmt: skip
    assert stages["plan/filter"] == {"passing": 40}
    assert stages["retrieve/space"]["space"] == "color" and stages["hits"] == {"count": 3}


def test_a_slow_search_is_logged_with_its_plan_and_its_request_but_not_its_text(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JSONFormatter().format(record))

    handler = Lines()
    logging.getLogger("lookalike.search").addHandler(handler)
    try:
        with TestClient(create_app(library, Settings(slow_query=0.0)), base_url=ADDRESS) as client:
            for params in ({"text": "red"}, {"image": "1", "where": "width > 11"}):
                headers = {"X-Request-ID": "request-of-test"}
                assert client.get("/api/search", params=params, headers=headers).status_code == 200
    finally:
        logging.getLogger("lookalike.search").removeHandler(handler)
        library.slow_query_seconds = 1.0
    # Queries that warm the server up belong to no request.
    text, image = (line for line in map(json.loads, lines) if "request" in line)
    assert text["request"] == image["request"] == "request-of-test"
    assert text["level"] == "warning" and text["message"].startswith("slow query: ")
    assert "red" not in re.sub(r"\w+_red\b", "", text["message"]).split()
    assert {"name", "seconds", "passing"} <= set(image["plan"][1]) and "11" not in image["message"]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an application's OpenTelemetry records."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize("params", [{"text": "red"}, {"image": "2"}], ids=["pool", "batcher"])
def test_the_stages_of_a_search_are_spans_below_that_of_its_request(
    library: Library, spans: InMemorySpanExporter, params: dict[str, str]
) -> None:
    with TestClient(create_app(library), base_url=ADDRESS) as client:
        query = {**params, "k": "7", "where": "width > 12"}
        assert client.get("/api/search?token=secret", params=query).status_code == 200
    found = spans.get_finished_spans()
    (request,) = (one for one in found if one.name == "GET /api/search")
    # Queries that warm the server up belong to no request.
    (search,) = (one for one in found if one.name == "lookalike.search" and one.parent)
    assert search.parent and search.parent.span_id == request.context.span_id
    stages = [
        one
        for one in found
        if one.name.startswith("lookalike.search/")
        if one.parent and one.parent.span_id == search.context.span_id
    ]
    assert {"lookalike.search/plan/filter", "lookalike.search/retrieve"} <= {s.name for s in stages}
    assert all(
        search.start_time <= one.start_time <= one.end_time  # type: ignore[operator]
        for one in stages
    )
    told = [str(value) for one in found for value in (one.attributes or {}).values()]
    assert not any("red" in value or "width" in value or "secret" in value for value in told)


def test_every_metric_of_the_dashboard_is_one_of_the_server(client: TestClient) -> None:
    client.get("/api/info")
    exported = re.findall(r"^(lookalike_\w+)", client.get("/metrics").text, re.MULTILINE)
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    used = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"lookalike_\w+", target["expr"])
    }
    assert used and used <= set(exported)
    assert {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in exported} == {
        re.sub(r"_(bucket|sum|count|total)$", "", name) for name in used
    }


def test_several_processes_are_announced_once_when_all_have_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # uvicorn installs handlers
    announced: list[str] = []
    config = server_config("lookalike.server.run:worker_app", factory=True, workers=2)
    processes = AnnouncingProcesses(config, [], lambda: announced.append("ready"))
    started = [False, True]

    def process(number: int) -> Any:
        return SimpleNamespace(is_alive=lambda timeout: True, is_ready=lambda: started[number])

    processes.processes = [process(0), process(1)]
    processes.keep_subprocess_alive()
    assert not announced
    started[0] = True
    processes.keep_subprocess_alive()
    processes.keep_subprocess_alive()
    assert announced == ["ready"]

"""The judging page: its responses, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import ADDRESS

from lookalike.evaluation.collection import open_or_build
from lookalike.evaluation.relevance_judgements import JudgementFile, draw_pools
from lookalike.library import Library
from lookalike.server.judging.app import PAGE, JudgingSession, create_judging_app
from lookalike.server.settings import Settings

TOKEN = "only-for-this-test"


@pytest.fixture
def judging(photos: Path, tmp_path: Path) -> JudgementFile:
    with open_or_build(photos) as here:
        return JudgementFile.create(tmp_path / "j.jsonl", *draw_pools(here, queries=2, top=2))


@pytest.fixture
def browser(library: Library, judging: JudgementFile) -> Iterator[TestClient]:
    """A browser that has opened the address response at the start."""
    app = create_judging_app(JudgingSession.of(library, judging, "anna"), Settings(token=TOKEN))
    with TestClient(app, base_url=ADDRESS) as client:
        entered = client.get(f"/?token={TOKEN}")
        assert entered.url == f"{ADDRESS}/"
        client.headers["Origin"] = ADDRESS
        yield client


def test_a_judge_gets_queries_until_all_are_judged(
    browser: TestClient, judging: JudgementFile
) -> None:
    seen = []
    while (state := browser.get("/api/judging/next").json())["number"] is not None:
        seen.append(state["query"]["name"])
        for image in state["images"]:
            response = browser.get(f"/api/judging/images/{image['id']}")
            assert response.headers["content-type"] == "image/jpeg"
            body = {"query": seen[-1], "image": image["name"], "relevant": True}
            assert browser.post("/api/judging/judgements", json=body).json() == {"stored": True}
    assert seen == [pool.query for pool in judging.pools]
    count = sum(len(pool.images) for pool in judging.pools)
    assert state["judgements"] == {"anna": count}
    assert state["relevant"] == count


def test_a_judgement_can_be_undone(browser: TestClient, judging: JudgementFile) -> None:
    assert browser.post("/api/judging/undo", json={}).status_code == 409
    assert browser.put("/api/judging/undo").status_code == 405
    pool = judging.pools[0]
    body = {"query": pool.query, "image": pool.images[0], "relevant": False}
    browser.post("/api/judging/judgements", json=body)
    state = browser.get("/api/judging/queries/0").json()
    assert [image["relevant"] for image in state["images"]].count(False) == 1
    state = browser.post("/api/judging/undo", json={}).json()
    assert {image["relevant"] for image in state["images"]} == {None}


@pytest.mark.parametrize(
    "body",
    [
        {"query": "x", "image": "y", "relevant": True},
        {"query": "x", "image": "y"},
        {"query": "x", "image": "y", "relevant": "perhaps"},
    ],
)
def test_invalid_judgements_are_refused(
    browser: TestClient, judging: JudgementFile, body: dict[str, object]
) -> None:
    response = browser.post("/api/judging/judgements", json=body)
    assert 400 <= response.status_code < 500
    assert judging.results()[2] == {}


def test_only_the_images_to_judge_are_served(browser: TestClient, library: Library) -> None:
    with library.snapshot() as snapshot:
        everything = snapshot.sample(snapshot.spaces()[0].key, 10**6).tolist()
    statuses = {browser.get(f"/api/judging/images/{id}").status_code for id in everything}
    assert statuses == {200, 404}
    assert browser.get("/api/judging/queries/99").status_code == 404


def test_the_page_needs_the_token(library: Library, judging: JudgementFile) -> None:
    app = create_judging_app(JudgingSession.of(library, judging, "anna"), Settings(token=TOKEN))
    with TestClient(app, base_url=ADDRESS) as stranger:
        assert stranger.get("/api/judging/next").status_code == 401
        stranger.get("/?token=wrong")
        assert stranger.get("/api/judging/next").status_code == 401
    with TestClient(app, base_url="http://evil.example") as rebound:
        assert rebound.get(f"/?token={TOKEN}").status_code == 421


def test_another_site_cannot_judge(browser: TestClient, judging: JudgementFile) -> None:
    pool = judging.pools[0]
    body = {"query": pool.query, "image": pool.images[0], "relevant": True}
    response = browser.post(
        "/api/judging/judgements", json=body, headers={"Origin": "http://evil.example"}
    )
    assert response.status_code == 403
    assert judging.results()[0] == {}


def test_the_page_loads_only_its_own_files(browser: TestClient) -> None:
    page = browser.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    # Nothing inline, and every file that it names exists.
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", page.text)
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert browser.get(path).status_code == 200, path
    assert browser.get("/page/../app.py").status_code == 404
    assert browser.get("/page/nothing.js").status_code == 404
    assert {file.suffix for file in PAGE.iterdir()} == {".html", ".css", ".js"}

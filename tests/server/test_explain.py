"""Explanations of matches, and the map."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import ADDRESS

from lookalike.explain import explainer
from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

pytestmark = pytest.mark.usefixtures("jobs_in_threads")


def test_a_match_is_explained_on_both_images(client: TestClient) -> None:
    response = client.get(
        "/api/explain", params={"query": 1, "hit": 2, "extractor": "color"}
    ).json()
    search = client.get("/api/search", params={"image": 1, "extractor": "color", "k": 40}).json()
    similarity = next(hit["similarity"] for hit in search["hits"] if hit["id"] == 2)
    assert abs(response["similarity"] - similarity) < 0.02
    assert len(response["images"]) == 2
    assert [len(row) for row in response["images"][0]["heatmap"]] == [8] * 8
    assert response["extractor"] == "color" and response["method"]


def test_an_upload_is_explained_too(client: TestClient, image_bytes: bytes) -> None:
    upload = client.post("/api/uploads", content=image_bytes).json()["upload"]
    response = client.get("/api/explain", params={"query": upload, "hit": 2})
    assert response.status_code == 200 and len(response.json()["images"]) == 2


def test_invalid_requests_for_explanations_get_an_error(client: TestClient) -> None:
    wrong = {
        "hit=1": 422,
        "query=1&text=red&hit=2": 422,
        "query=4711&hit=2": 404,
        "query=1&hit=4711": 404,
    }
    wrong |= {"query=" + "0" * 64 + "&hit=1": 404, "text=red&hit=2": 400, "query=x&hit=2": 404}
    for address, status in wrong.items():
        response = client.get(f"/api/explain?{address}")
        assert (response.status_code, list(response.json())) == (status, ["error"]), address


@pytest.mark.parametrize(
    "name",
    ["clip:stranger/huge", "onnx:/etc/passwd", "trained:/tmp", "./x", "timm:resnet50", "shape"],
)
def test_a_request_cannot_choose_a_model_to_load(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def never(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(explainer, "load", never)
    for query in ({"query": "1"}, {"text": "red"}):
        response = client.get("/api/explain", params={**query, "hit": "2", "extractor": name})
        assert response.status_code == 400
        assert response.json()["error"].endswith("to explain; there are: color, phash")


def test_the_map_has_every_image_once(client: TestClient) -> None:
    layout = client.get("/api/map", params={"method": "pca"}).json()
    assert layout["total"] == 40
    assert len(set(layout["ids"])) == len(layout["x"]) == len(layout["y"]) == 40
    assert all(0 <= place <= 1 for place in layout["x"] + layout["y"])
    groups = client.get("/api/map/groups", params={"method": "pca", "color": "folder"}).json()
    named = {
        image["id"]: image["path"]
        for image in client.get("/api/images", params={"k": 100}).json()["images"]
    }
    for id, group in zip(layout["ids"], groups["groups"], strict=True):
        odd = named[id].startswith("odd/")
        assert (groups["names"][group] == "odd") == odd


def test_a_filter_leaves_the_places_of_a_map_as_they_are(client: TestClient) -> None:
    layout = client.get("/api/map", params={"method": "pca"}).json()
    places = dict(zip(layout["ids"], zip(layout["x"], layout["y"], strict=True), strict=True))
    for where, count in (("id <= 3", 3), ("id = 1", 1), ("id < 0", 0)):
        params = {"method": "pca", "where": where}
        few = client.get("/api/map", params=params).json()
        assert few["ids"] == sorted(places)[:count] and few["total"] == 40
        assert list(zip(few["x"], few["y"], strict=True)) == [places[id] for id in few["ids"]]
        assert len(client.get("/api/map/groups", params=params).json()["groups"]) == count


def test_a_map_that_cannot_be_drawn_is_refused(client: TestClient) -> None:
    for params in ({"where": "nonsense ="}, {"extractor": "nonsense"}):
        assert client.get("/api/map", params=params).status_code == 400
    assert client.get("/api/map/groups", params={"color": "nonsense"}).status_code == 400


def test_another_color_needs_no_new_job(library: Library, photos: Path) -> None:
    app = create_app(library, Settings(job_wait=120.0))
    with TestClient(app, base_url=ADDRESS) as client:
        assert client.get("/api/map", params={"method": "pca"}).status_code == 200
        app.state.server.jobs.run = lambda *_: pytest.fail("a job was started")
        for color in ("cluster", "folder", "format"):
            params = {"method": "pca", "color": color}
            assert client.get("/api/map/groups", params=params).status_code == 200
    assert list((photos / ".lookalike" / "maps").glob("*.npz"))

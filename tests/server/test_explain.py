"""Explanations of matches, and the map."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from lookalike.explain import explainer


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
    response = client.get("/api/map", params={"method": "pca", "color": "folder"}).json()
    assert response["total"] == 40
    assert len(set(response["ids"])) == len(response["x"]) == len(response["y"]) == 40
    assert all(0 <= place <= 1 for place in response["x"] + response["y"])
    named = {
        image["id"]: image["path"]
        for image in client.get("/api/images", params={"k": 100}).json()["images"]
    }
    for id, group in zip(response["ids"], response["groups"], strict=True):
        odd = named[id].startswith("odd/")
        assert (response["names"][group] == "odd") == odd


def test_a_map_that_cannot_be_drawn_is_refused(client: TestClient) -> None:
    assert client.get("/api/map", params={"where": "id = 1"}).status_code == 400
    assert client.get("/api/map", params={"extractor": "nonsense"}).status_code == 400

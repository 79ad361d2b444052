"""Why pictures match, and the map."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from lookalike.explain import explainer


def test_a_match_is_explained_on_both_pictures(client: TestClient) -> None:
    answer = client.get("/api/explain", params={"query": 1, "hit": 2, "extractor": "color"}).json()
    search = client.get("/api/search", params={"image": 1, "extractor": "color", "k": 40}).json()
    similarity = next(hit["similarity"] for hit in search["hits"] if hit["id"] == 2)
    assert abs(answer["similarity"] - similarity) < 0.02
    assert len(answer["images"]) == 2
    assert [len(row) for row in answer["images"][0]["heatmap"]] == [8] * 8
    assert answer["extractor"] == "color" and answer["method"]


def test_a_picture_that_was_sent_is_explained_too(client: TestClient, image_bytes: bytes) -> None:
    upload = client.post("/api/uploads", content=image_bytes).json()["upload"]
    answer = client.get("/api/explain", params={"query": upload, "hit": 2})
    assert answer.status_code == 200 and len(answer.json()["images"]) == 2


def test_what_cannot_be_explained_is_told(client: TestClient) -> None:
    wrong = {
        "hit=1": 422,
        "query=1&text=red&hit=2": 422,
        "query=4711&hit=2": 404,
        "query=1&hit=4711": 404,
    }
    wrong |= {"query=" + "0" * 64 + "&hit=1": 404, "text=red&hit=2": 400, "query=x&hit=2": 422}
    for address, status in wrong.items():
        answer = client.get(f"/api/explain?{address}")
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), address


@pytest.mark.parametrize(
    "by",
    ["clip:stranger/huge", "onnx:/etc/passwd", "trained:/tmp", "./x", "timm:resnet50", "shape"],
)
def test_no_visitor_chooses_a_model_that_is_fetched_or_read_from_the_disk(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    def never(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(explainer, "load", never)
    for asked in ({"query": "1"}, {"text": "red"}):
        answer = client.get("/api/explain", params={**asked, "hit": "2", "extractor": by})
        assert answer.status_code == 400
        assert answer.json()["error"].endswith("to explain; there are: color, phash")


def test_the_map_holds_every_picture_once(client: TestClient) -> None:
    answer = client.get("/api/map", params={"method": "pca", "color": "folder"}).json()
    assert answer["total"] == 40
    assert len(set(answer["ids"])) == len(answer["x"]) == len(answer["y"]) == 40
    assert all(0 <= place <= 1 for place in answer["x"] + answer["y"])
    named = {
        image["id"]: image["path"]
        for image in client.get("/api/images", params={"k": 100}).json()["images"]
    }
    for id, group in zip(answer["ids"], answer["groups"], strict=True):
        odd = named[id].startswith("odd/")
        assert (answer["names"][group] == "odd") == odd


def test_a_map_that_cannot_be_drawn_is_refused(client: TestClient) -> None:
    assert client.get("/api/map", params={"where": "id = 1"}).status_code == 400
    assert client.get("/api/map", params={"extractor": "nonsense"}).status_code == 400

"""Searches over HTTP: the hits of `Library.search`, as JSON."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import CSRF_HEADERS
from tests.server.live_server import free_port

from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.app import create_app
from lookalike.server.app_state import AppState
from lookalike.server.run import AnnouncingServer, listen, server_config
from lookalike.server.uploads import Uploads


def test_a_search_finds_what_the_library_finds(client: TestClient, library: Library) -> None:
    response = client.get("/api/search", params={"image": "7", "k": 5}).json()
    hits = library.search(Query((Term(id=7),), k=5))
    assert [hit["id"] for hit in response["hits"]] == [hit.id for hit in hits.hits]
    scores = [round(hit.score or 0.0, 6) for hit in hits.hits]
    assert [hit["score"] for hit in response["hits"]] == scores
    assert [hit["similarity"] for hit in response["hits"]] == scores
    assert response["hits"][0]["id"] == 7
    assert (response["ranked_by"], response["exact"], response["searched_count"]) == (
        "color",
        True,
        40,
    )
    assert response["hits"][0]["width"] == response["hits"][0]["height"] == 48


def test_negative_terms_weights_and_filters_reach_the_query(
    client: TestClient, library: Library
) -> None:
    params = {
        "image": ["2:3", "4"],
        "not_image": "9",
        "where": "folder = 'odd'",
        "extractor": "phash",
    }
    response = client.get("/api/search", params={**params, "k": 6}).json()
    terms = (Term(id=3, weight=2.0), Term(id=4), Term(id=9, weight=-1.0))
    hits = library.search(Query(terms, k=6, extractors=("phash",), where="folder = 'odd'"))
    assert [hit["id"] for hit in response["hits"]] == [hit.id for hit in hits.hits]
    assert all(hit["path"].startswith("odd/") for hit in response["hits"])
    assert response["query"] == {
        "image": ["2:3", "4"], "not_image": ["9"], "where": "folder = 'odd'", "extractor": ["phash"], "k": 6,
    }  # fmt: skip


def test_pages_of_hits_are_complete_and_without_overlap(client: TestClient) -> None:
    found: list[int] = []
    offset: int | None = 0
    while offset is not None:
        response = client.get(
            "/api/search", params={"image": "1", "k": 15, "offset": offset}
        ).json()
        found += [hit["id"] for hit in response["hits"]]
        assert [hit["rank"] for hit in response["hits"]] == list(
            range(offset + 1, offset + 1 + len(response["hits"]))
        )
        offset = response["next_offset"]
    assert len(found) == len(set(found)) == 40


@pytest.mark.parametrize("ending", ["jpg", "image", "json"])
def test_an_upload_that_does_not_fit_on_the_disk_leaves_nothing(
    client: TestClient, image_bytes: bytes, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    write = Uploads._write
    image_bytes += ending.encode()  # an image that was not sent before

    def full(self: Uploads, name: str, data: bytes) -> None:
        write(self, name, data)
        if name.endswith(ending):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Uploads, "_write", full)
        response = client.post("/api/uploads", content=image_bytes)
    assert response.status_code == 507
    assert response.json() == {"error": "the image cannot be stored: no space left on device"}
    name = hashlib.sha256(image_bytes).hexdigest()
    state: AppState = client.app.state.server  # type: ignore[attr-defined]
    assert not list(state.folder.rglob(f"{name}*"))
    assert client.post("/api/uploads", content=image_bytes).status_code == 200


def test_a_search_with_an_upload_can_be_repeated_with_get(
    client: TestClient, image_bytes: bytes
) -> None:
    sent = client.post(
        "/api/search",
        files={"image": ("new.png", image_bytes)},
        data={"query": json.dumps({"k": 3})},
    ).json()
    (upload,) = sent["uploads"]
    assert sent["query"] == {"upload": [upload], "k": 3}
    again = client.get("/api/search", params={"upload": upload, "k": 3}).json()
    assert again["hits"] == sent["hits"]
    shown = client.get(f"/api/uploads/{upload}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.content.startswith(b"\xff\xd8")


def test_an_upload_of_an_image_of_the_library_finds_itself_first(
    client: TestClient, photos: Path
) -> None:
    data = (photos / "004.jpg").read_bytes()
    upload = client.post("/api/uploads", content=data).json()
    assert (upload["width"], upload["height"], upload["format"]) == (48, 48, "jpeg")
    response = client.get("/api/search", params={"upload": upload["upload"], "k": 1}).json()
    assert response["hits"][0]["path"] == "004.jpg"
    assert response["hits"][0]["similarity"] == 1.0


def test_a_region_applies_to_the_first_image_only(client: TestClient, library: Library) -> None:
    params: dict[str, Any] = {"image": ["5", "6"], "region": "0,0,0.5,0.5", "k": 4}
    response = client.get("/api/search", params=params).json()
    terms = (Term(id=5, region=(0, 0, 0.5, 0.5)), Term(id=6))
    hits = library.search(Query(terms, k=4))
    assert [hit["id"] for hit in response["hits"]] == [hit.id for hit in hits.hits]


def test_a_batch_keeps_its_order_and_reports_failures(client: TestClient) -> None:
    queries = [
        {"image": ["2"], "k": 1},
        {"text": ["mug"]},
        {"image": ["999999"]},
        {"image": ["8"], "k": 1},
    ]
    responses = client.post("/api/batch", json={"queries": queries}).json()["results"]
    assert [[hit["id"] for hit in response["hits"]] for response in responses] == [[2], [], [], [8]]
    assert "captions" in responses[1]["failure"]
    assert responses[2]["failure"] == "the library has no image with the id 999999"


def test_invalid_queries_get_the_right_status_and_one_sentence(client: TestClient) -> None:
    wrong = {
        "image=1&where=price%20%3C": 400,
        "image=1&where=prise%20%3C%203": 400,
        "image=999999": 404,
        "image=one": 404,
        "image=1&k=0": 422,
        "image=1&k=100000": 400,
        "image=1&offset=20000": 400,
        "image=1&colour=red": 422,
        "image=1&region=1,2,3": 400,
        "region=0,0,1,1&text=red": 400,
        "image=1&extractor=nonsense": 400,
        "not_image=1": 400,
        "upload=" + "0" * 64: 404,
        "upload=..%2f..%2fetc%2fpasswd": 404,
        "": 400,
    }
    for address, status in wrong.items():
        response = client.get(f"/api/search?{address}")
        assert response.status_code == status, (address, response.text)
        assert list(response.json()) == ["error"]
        assert "\n" not in response.json()["error"]


@pytest.mark.parametrize("text", ["?", "AAA", "AAAAAAA", "", "é", "AAAA" * 100])
def test_invalid_vectors_are_refused(client: TestClient, text: str) -> None:
    response = client.get("/api/search", params={"vector": text, "extractor": "color"})
    assert response.status_code == 400 and "vector" in response.json()["error"]


def test_a_query_may_be_sent_as_json(client: TestClient) -> None:
    expected = client.get("/api/search", params={"image": "3", "k": 4}).json()["hits"]
    path = expected[0]["path"]
    bodies: list[Any] = [
        {"image": ["3"], "k": 4},
        {"image": "3", "k": 4},
        {"image": 3, "k": 4},
        {"image": [3], "k": 4, "where": None},
        {"image": path, "k": 4},
        {"image": "id:3", "k": 4},
        {"image": f"2:{path}", "k": 4, "extractor": "color"},
    ]
    for body in bodies:
        answer = client.post("/api/search", json=body, headers=CSRF_HEADERS)
        assert answer.json().get("hits") == expected, (body, answer.text)
        (batch,) = client.post("/api/batch", json={"queries": [body]}).json()["results"]
        assert batch["hits"] == expected, body
    curl = {**CSRF_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
    sent = client.post("/api/search", content=' {"image": 3, "k": 4}', headers=curl)
    assert sent.json()["hits"] == expected


def test_an_image_is_named_by_its_path(client: TestClient) -> None:
    path = client.get("/api/images/3").json()["path"]
    expected = client.get("/api/search?image=3&k=2").json()["hits"]
    for name in (path, f"./{path}", f"x/../{path}"):
        hits = client.get("/api/search", params={"image": name, "k": 2}).json()["hits"]
        assert hits == expected, name
    for name in ("nowhere.jpg", "../photos", "..", ".", "/etc/passwd", "odd", ""):
        answer = client.get("/api/search", params={"image": name})
        assert answer.status_code == 404 and "no image at" in answer.json()["error"], name


def test_names_that_do_not_exist_are_refused_by_name(
    client: TestClient, image_bytes: bytes
) -> None:
    file = ("new.png", image_bytes, "image/png")
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/api/search?wrong=1", {}),
        ("GET", "/api/images?wrong=1", {}),
        ("GET", "/api/images/1/thumbnail?wrong=1", {}),
        ("GET", "/api/images/1/neighbours?wrong=1", {}),
        ("GET", "/api/failures?wrong=1", {}),
        ("GET", "/api/duplicates?wrong=1", {}),
        ("GET", "/api/explain?query=1&hit=2&wrong=1", {}),
        ("GET", "/api/map?wrong=1", {}),
        ("GET", "/api/vectors?extractor=color&wrong=1", {}),
        ("POST", "/api/search?wrong=1", {"json": {"image": 1}}),
        ("POST", "/api/search", {"json": {"image": 1, "wrong": 1}}),
        ("POST", "/api/search", {"files": {"wrong": file}}),
        ("POST", "/api/search", {"files": {"image": file}, "data": {"wrong": "3"}}),
        ("POST", "/api/search", {"files": {"image": file}, "data": {"query": '{"wrong": 3}'}}),
        ("POST", "/api/batch", {"json": {"queries": [{"image": 1, "wrong": 1}]}}),
        ("POST", "/api/batch", {"json": {"queries": [{"image": 1}], "wrong": 1}}),
        ("POST", "/api/uploads", {"files": {"wrong": file}}),
        ("POST", "/api/uploads", {"files": {"image": file}, "data": {"wrong": "1"}}),
        ("POST", "/api/uploads", {"json": {"url": "https://example.org/a.png", "wrong": 1}}),
    ]
    for method, address, body in requests:
        answer = client.request(method, address, headers=CSRF_HEADERS, **body)
        assert answer.status_code == 422, (address, body, answer.text)
        assert "'wrong'" in answer.json()["error"], (address, answer.text)
    for name in ("query", "body", "path"):  # as FastAPI calls the parts of a request
        for answer in (
            client.get("/api/search", params={name: "1"}),
            client.post("/api/search", json={name: "1"}),
            client.get("/api/images", params={name: "1"}),
        ):
            assert (answer.status_code, repr(name) in answer.text) == (422, True), answer.text
    near = client.get("/api/images?wher=1").json()["error"]
    assert near == "there is no parameter 'wher'; did you mean 'where'?"


def test_a_filter_without_a_query_lists_images_in_pages(
    client: TestClient, library: Library
) -> None:
    expected = [hit.id for hit in library.search(where="folder = 'odd'", k=99)]
    found: list[int] = []
    offset: int | None = 0
    while offset is not None:
        params: dict[str, Any] = {"where": "folder = 'odd'", "k": 7, "offset": offset}
        page = client.get("/api/search", params=params).json()
        assert (page["searched_count"], page["ranked_by"]) == (20, "path")
        found += [hit["id"] for hit in page["hits"]]
        offset = page["next_offset"]
    assert found == expected and len(found) == 20
    last = client.get("/api/search?sort=path&reverse=true&k=1").json()["hits"]
    assert last[0]["similarity"] is None
    assert last[0]["path"] == library.search(sort="path", reverse=True, k=1)[0].path
    by_path = client.get("/api/search?image=3&sort=path&k=5").json()
    assert by_path["next_offset"] is None
    paths = [hit["path"] for hit in by_path["hits"]]
    assert paths == sorted(paths) and len(paths) == 5
    assert client.get("/api/search?image=3&sort=path&k=5&offset=5").status_code == 400


def test_the_server_is_ready_after_the_first_query(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(AppState, "warm_up", lambda _: events.append("warm"))
    with listen("127.0.0.1", free_port()) as sock:
        server = AnnouncingServer(
            server_config(create_app(library)), lambda: events.append("ready")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        server.should_exit = True
        thread.join(20)
    assert events == ["warm", "ready"]

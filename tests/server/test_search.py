"""Questions over HTTP: the same answers as `Library.search` gives, in JSON."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.app_state import AppState
from lookalike.server.uploads import Uploads


def test_a_search_answers_as_the_library_does(client: TestClient, library: Library) -> None:
    answer = client.get("/api/search", params={"image": "7", "k": 5}).json()
    hits = library.search(Query((Term(id=7),), k=5))
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in hits.hits]
    assert [hit["similarity"] for hit in answer["hits"]] == [
        round(hit.similarity, 6) for hit in hits.hits
    ]
    assert answer["hits"][0]["id"] == 7
    assert (answer["ranked_by"], answer["exact"], answer["searched_count"]) == ("color", True, 40)
    assert answer["hits"][0]["width"] == answer["hits"][0]["height"] == 48


def test_negatives_weights_and_filters_reach_the_question(
    client: TestClient, library: Library
) -> None:
    words = {
        "image": ["2:3", "4"],
        "not_image": "9",
        "where": "folder = 'odd'",
        "extractor": "phash",
    }
    answer = client.get("/api/search", params={**words, "k": 6}).json()
    terms = (Term(id=3, weight=2.0), Term(id=4), Term(id=9, weight=-1.0))
    hits = library.search(Query(terms, k=6, extractors=("phash",), where="folder = 'odd'"))
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in hits.hits]
    assert all(hit["path"].startswith("odd/") for hit in answer["hits"])
    assert answer["query"] == {
        "image": ["2:3", "4"], "not_image": ["9"], "where": "folder = 'odd'", "extractor": ["phash"], "k": 6,
    }  # fmt: skip


def test_pages_of_an_answer_follow_each_other_to_its_end(client: TestClient) -> None:
    found: list[int] = []
    offset: int | None = 0
    while offset is not None:
        answer = client.get("/api/search", params={"image": "1", "k": 15, "offset": offset}).json()
        found += [hit["id"] for hit in answer["hits"]]
        assert [hit["rank"] for hit in answer["hits"]] == list(
            range(offset + 1, offset + 1 + len(answer["hits"]))
        )
        offset = answer["next_offset"]
    assert len(found) == len(set(found)) == 40


@pytest.mark.parametrize("ending", ["jpg", "image", "json"])
def test_a_picture_for_which_there_is_no_room_is_refused_and_takes_none(
    client: TestClient, image_bytes: bytes, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    write = Uploads._write
    image_bytes += ending.encode()  # one that was not sent before

    def full(self: Uploads, name: str, data: bytes) -> None:
        write(self, name, data)
        if name.endswith(ending):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Uploads, "_write", full)
        answer = client.post("/api/uploads", content=image_bytes)
    assert answer.status_code == 507
    assert answer.json() == {"error": "the image cannot be stored: no space left on device"}
    name = hashlib.sha256(image_bytes).hexdigest()
    state: AppState = client.app.state.server  # type: ignore[attr-defined]
    assert not list(state.folder.rglob(f"{name}*"))
    assert client.post("/api/uploads", content=image_bytes).status_code == 200


def test_a_picture_that_is_sent_becomes_an_address(client: TestClient, image_bytes: bytes) -> None:
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


def test_a_picture_of_the_library_that_is_sent_finds_itself_first(
    client: TestClient, photos: Path
) -> None:
    data = (photos / "004.jpg").read_bytes()
    upload = client.post("/api/uploads", content=data).json()
    assert (upload["width"], upload["height"], upload["format"]) == (48, 48, "jpeg")
    answer = client.get("/api/search", params={"upload": upload["upload"], "k": 1}).json()
    assert answer["hits"][0]["path"] == "004.jpg"
    assert answer["hits"][0]["similarity"] == 1.0


def test_a_region_is_of_the_first_picture_only(client: TestClient, library: Library) -> None:
    words: dict[str, Any] = {"image": ["5", "6"], "region": "0,0,0.5,0.5", "k": 4}
    answer = client.get("/api/search", params=words).json()
    terms = (Term(id=5, region=(0, 0, 0.5, 0.5)), Term(id=6))
    hits = library.search(Query(terms, k=4))
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in hits.hits]


def test_a_batch_answers_in_order_and_says_what_it_cannot(client: TestClient) -> None:
    queries = [
        {"image": ["2"], "k": 1},
        {"text": ["red"]},
        {"image": ["999999"]},
        {"image": ["8"], "k": 1},
    ]
    answers = client.post("/api/batch", json={"queries": queries}).json()["results"]
    assert [[hit["id"] for hit in answer["hits"]] for answer in answers] == [[2], [], [], [8]]
    assert "captions" in answers[1]["failure"]
    assert answers[2]["failure"] == "the library has no image with the id 999999"


def test_every_wrong_question_gets_one_sentence_and_the_right_status(client: TestClient) -> None:
    wrong = {
        "image=1&where=price%20%3C": 400,
        "image=1&where=prise%20%3C%203": 400,
        "image=999999": 404,
        "image=one": 422,
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
        answer = client.get(f"/api/search?{address}")
        assert answer.status_code == status, (address, answer.text)
        assert list(answer.json()) == ["error"]
        assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("text", ["?", "AAA", "AAAAAAA", "", "é", "AAAA" * 100])
def test_what_is_no_vector_is_said(client: TestClient, text: str) -> None:
    answer = client.get("/api/search", params={"vector": text, "extractor": "color"})
    assert answer.status_code == 400 and "vector" in answer.json()["error"]

"""Changing a library over HTTP: adding and removing images, giving feedback, and following jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.library.drawing import album, draw
from tests.server.conftest import ADDRESS, CSRF_HEADERS

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

SETTINGS = Settings(writable=True, job_wait=120.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 6)


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """A client of a writable server."""
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with TestClient(
            create_app(library, SETTINGS), base_url=ADDRESS, headers=CSRF_HEADERS
        ) as client:
            yield client


def ended(client: TestClient, begun: Any) -> dict[str, Any]:
    """Return the state of a job once it has ended."""
    assert begun.status_code == 202, begun.text
    for _ in range(400):
        state: dict[str, Any] = client.get(f"/api/jobs/{begun.json()['id']}").json()
        if not state["running"]:
            return state
        time.sleep(0.05)
    raise AssertionError(f"the job does not end: {state}")


def test_new_files_are_found_while_the_server_runs(client: TestClient, folder: Path) -> None:
    draw(folder / "new.jpg", 77)
    begun = client.post("/api/images", json={})
    assert (begun.status_code, begun.json()["running"]) == (202, True)
    state = ended(client, begun)
    assert state["message"] == "1 new, 6 unchanged"
    found = client.get("/api/images", params={"where": "path = 'new.jpg'"}).json()["images"]
    assert [image["path"] for image in found] == ["new.jpg"]
    answer = client.get("/api/search", params={"image": found[0]["id"], "k": 1}).json()
    assert answer["hits"][0]["path"] == "new.jpg" and answer["searched_count"] == 7


def test_pictures_that_are_sent_are_kept_and_indexed(
    client: TestClient, folder: Path, tmp_path: Path
) -> None:
    one, other = (draw(tmp_path / f"{n}.png", 300 + n).read_bytes() for n in range(2))
    files = [
        ("image", ("../../evil/cat photo!.jpg", one)),
        ("image", ("cat photo!.png", other)),
    ]
    for _ in range(2):  # the second time nothing is new
        ended(client, client.post("/api/images", files=files))
    assert sorted(path.name for path in (folder / "Uploads").iterdir()) == [
        "cat photo 2.png",
        "cat photo.png",
    ]
    assert (folder / "Uploads" / "cat photo.png").read_bytes() == one
    listed = client.get("/api/images", params={"where": "folder = 'Uploads'"}).json()
    assert listed["total"] == 2
    assert not (tmp_path / "evil").exists()


def test_what_is_no_picture_is_not_kept(client: TestClient, folder: Path) -> None:
    files = {"image": ("cat.jpg", b"<svg onload=alert(1)>" + b" " * 200)}
    assert client.post("/api/images", files=files).status_code == 415
    assert not (folder / "Uploads").exists()


@pytest.mark.parametrize("path", ["/etc", "../", "..", "odd/../../..", "nowhere", "\0"])
def test_only_folders_of_the_library_are_indexed(client: TestClient, path: str) -> None:
    answer = client.post("/api/images", json={"paths": ["odd", path]})
    assert answer.status_code == 403
    assert "lookalike index" in answer.json()["error"]


def test_indexing_tells_how_it_goes_as_events(client: TestClient) -> None:
    begun = client.post("/api/images", json={"paths": ["odd"]})
    address = f"/api/jobs/{begun.json()['id']}"
    with client.stream("GET", address, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1]["running"] is False
    assert ended(client, begun)["message"] == events[-1]["message"] == "3 unchanged"


def test_files_that_failed_are_tried_again_only_where_that_is_asked(
    client: TestClient, folder: Path
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    for words, said in (
        ({}, "6 unchanged, 1 failed"),
        ({"paths": ["broken.jpg"]}, "no images"),
        ({"paths": ["broken.jpg"], "retry_failed": True}, "1 failed"),
        ({"exclude": ["odd"], "include": ["00*"]}, "3 unchanged"),
    ):
        assert ended(client, client.post("/api/images", json=words))["message"] == said
    state = ended(client, client.post("/api/images", json={"include": ["[z-a]"]}))
    assert (state["error"], state["result"]) == ("UsageError", None)
    assert "not a valid file pattern" in state["message"]


def test_what_indexing_costs_is_promised_and_nothing_is_written(
    client: TestClient, folder: Path
) -> None:
    for number in range(3):
        draw(folder / f"new{number}.jpg", 500 + number)
    promised = client.get("/api/estimate", params={"sample": 2}).json()
    assert (promised["files"], promised["to_index"], promised["sampled"]) == (9, 3, 2)
    assert promised["images_per_second"] > 0 and promised["disk_bytes"] > 0
    assert client.get("/api/info").json()["images"] == 6
    some = client.get("/api/estimate", params={"path": ["odd"], "exclude": ["*.png"]}).json()
    assert (some["to_index"], some["seconds"]) == (0, 0)
    assert client.get("/api/estimate", params={"path": "../"}).status_code == 403
    assert client.get("/api/estimate", params={"include": "[z-a]"}).status_code == 400


def test_patterns_that_take_for_ever_are_refused(client: TestClient) -> None:
    evil = "*a" * 30
    for answer in (
        client.post("/api/images", json={"include": [evil]}),
        client.get("/api/estimate", params={"exclude": evil}),
    ):
        assert answer.status_code == 422 and "at most 4 stars" in answer.json()["error"]
    fine = client.post("/api/images", json={"include": ["**/odd/**/*a*"]})
    assert ended(client, fine)["error"] == ""


def test_an_estimate_is_reused_until_it_expires(folder: Path) -> None:
    def images_to_index(client: TestClient) -> int:
        found: int = client.get("/api/estimate").json()["to_index"]
        return found

    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        for ttl, expected in ((3600.0, 0), (0.0, 1)):
            settings = replace(SETTINGS, estimate_ttl=ttl)
            with TestClient(create_app(library, settings), base_url=ADDRESS) as client:
                assert images_to_index(client) == 0
                new = draw(folder / "new.jpg", 500)
                assert images_to_index(client) == expected
            new.unlink()


def test_another_writer_is_named_and_nothing_is_lost(client: TestClient, folder: Path) -> None:
    with Library.open(folder) as other, other._store.writer():
        answer = client.delete("/api/images/1")
        assert answer.status_code == 409
        assert "another process" in answer.json()["error"]
        assert client.get("/api/search?image=1").status_code == 200
    assert client.delete("/api/images/1").json() == {"removed": 1}
    assert client.get("/api/images/1").status_code == 404


@pytest.mark.parametrize("place", [".private", ".private/a.jpg", "odd/.kept", ".lookalike", "link"])
def test_hidden_folders_are_not_indexed_because_a_visitor_names_them(
    client: TestClient, folder: Path, place: str
) -> None:
    for number, hidden in enumerate((".private", "odd/.kept")):
        (folder / hidden).mkdir()
        draw(folder / hidden / "a.jpg", 50 + number)
    (folder / "link").symlink_to(".private")
    for answer in (
        client.post("/api/images", json={"paths": [place]}),
        client.get("/api/estimate", params={"path": place}),
    ):
        assert answer.status_code == 403
        assert "is not in the folders of this library" in answer.json()["error"]


def test_decisions_are_made_listed_and_taken_back(client: TestClient) -> None:
    decided = {"kind": "not-duplicate", "image": 1, "others": [2, 3], "who": "me"}
    made = client.post("/api/feedback", json=decided).json()["decisions"]
    pairs = [sorted(one["images"] + one["others"]) for one in made]
    assert pairs == [[1, 2], [1, 3]]
    listed = client.get("/api/feedback").json()["decisions"]
    assert sorted(sorted(one["images"] + one["others"]) for one in listed) == pairs
    assert {one["who"] for one in listed} == {"me"}
    taken = client.request("DELETE", "/api/feedback", json={**decided, "others": [2]})
    assert taken.json() == {"removed": 1}
    assert len(client.get("/api/feedback").json()["decisions"]) == 1
    unknown = client.post("/api/feedback", json={"kind": "keep", "image": 4711})
    assert unknown.status_code == 404


def test_duplicates_heed_what_was_decided(client: TestClient, folder: Path) -> None:
    (folder / "copy.jpg").write_bytes((folder / "000.jpg").read_bytes())
    ended(client, client.post("/api/images", json={}))
    (group,) = client.get("/api/duplicates", params={"kind": "exact"}).json()["groups"]
    assert sorted(member["path"] for member in group["members"]) == ["000.jpg", "copy.jpg"]
    assert not any(member["keep"] for member in group["members"])
    kept = group["members"][0]["id"]
    client.post("/api/feedback", json={"kind": "keep", "image": kept})
    (group,) = client.get("/api/duplicates", params={"kind": "exact"}).json()["groups"]
    assert all(member["keep"] for member in group["members"])


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"kind": "keep"}',
        b'{"kind": ["keep"], "first": "00"}',
        b'{"kind": "keep", "first": "%s", "who": "\\ud800"}' % (b"00" * 32),
        b'{"kind": "keep", "first": "%s", "who": "%s"}' % (b"00" * 32, b"x" * 2000),
        b'{"kind": "%s", "first": "00"}' % (b"x" * 100_000),
        b"1" * 10_000,
    ],
    ids=["deep", "no text", "short", "list", "surrogate", "long name", "long kind", "long number"],
)
def test_lines_that_are_no_decisions_are_named_and_nothing_is_taken(
    client: TestClient, line: bytes
) -> None:
    good = b'{"kind": "keep", "first": "%s"}' % (b"11" * 32)
    answer = client.post("/api/feedback/lines", content=good + b"\n" + line + b"\n")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("line 2 is not a judgement") and len(answer.text) < 400
    assert client.get("/api/feedback/lines").text == ""
    assert client.post("/api/feedback/lines", content=good).json() == {"added": 1}

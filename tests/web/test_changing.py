"""Adding, removing and deciding over HTTP, and how indexing goes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.library.drawing import album, draw
from tests.web.conftest import ADDRESS, MARKED

from lookalike.library import Library
from lookalike.web.app import create_app
from lookalike.web.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", 6)


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """A server that may write."""
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with TestClient(
            create_app(library, Settings(writable=True)), base_url=ADDRESS, headers=MARKED
        ) as client:
            yield client


def ended(client: TestClient) -> dict[str, Any]:
    """The state of indexing once it has ended."""
    for _ in range(400):
        state: dict[str, Any] = client.get("/api/indexing").json()
        if not state["running"] and state["number"]:
            return state
        time.sleep(0.05)
    raise AssertionError(f"indexing does not end: {state}")


def test_new_files_are_found_while_the_server_runs(client: TestClient, folder: Path) -> None:
    draw(folder / "new.jpg", 77)
    begun = client.post("/api/images", json={})
    assert (begun.status_code, begun.json()["running"]) == (202, True)
    state = ended(client)
    assert state["message"] == "1 new, 6 unchanged"
    found = client.get("/api/images", params={"where": "path = 'new.jpg'"}).json()["images"]
    assert [image["path"] for image in found] == ["new.jpg"]
    answer = client.get("/api/search", params={"image": found[0]["id"], "k": 1}).json()
    assert answer["hits"][0]["path"] == "new.jpg" and answer["searched"] == 7


def test_pictures_that_are_sent_are_kept_and_indexed(
    client: TestClient, folder: Path, tmp_path: Path
) -> None:
    one, other = (draw(tmp_path / f"{n}.png", 300 + n).read_bytes() for n in range(2))
    files = [
        ("picture", ("../../evil/cat photo!.jpg", one)),
        ("picture", ("cat photo!.png", other)),
    ]
    for _ in range(2):  # the second time nothing is new
        assert client.post("/api/images", files=files).status_code == 202
        ended(client)
    assert sorted(path.name for path in (folder / "Uploads").iterdir()) == [
        "cat photo 2.png",
        "cat photo.png",
    ]
    assert (folder / "Uploads" / "cat photo.png").read_bytes() == one
    listed = client.get("/api/images", params={"where": "folder = 'Uploads'"}).json()
    assert listed["total"] == 2
    assert not (tmp_path / "evil").exists()


def test_what_is_no_picture_is_not_kept(client: TestClient, folder: Path) -> None:
    files = {"picture": ("cat.jpg", b"<svg onload=alert(1)>" + b" " * 200)}
    assert client.post("/api/images", files=files).status_code == 415
    assert not (folder / "Uploads").exists()


@pytest.mark.parametrize("path", ["/etc", "../", "..", "odd/../../..", "nowhere", "\0"])
def test_only_folders_of_the_library_are_indexed(client: TestClient, path: str) -> None:
    answer = client.post("/api/images", json={"paths": ["odd", path]})
    assert answer.status_code == 403
    assert "lookalike index" in answer.json()["error"]


def test_indexing_tells_how_it_goes_as_events(client: TestClient) -> None:
    client.post("/api/images", json={"paths": ["odd"]})
    with client.stream("GET", "/api/indexing", headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1]["running"] is False
    assert ended(client)["message"] == "3 unchanged"


def test_another_writer_is_named_and_nothing_is_lost(client: TestClient, folder: Path) -> None:
    with Library.open(folder) as other, other._store.writer():
        answer = client.delete("/api/images/1")
        assert answer.status_code == 409
        assert "another process" in answer.json()["error"]
        assert client.get("/api/search?image=1").status_code == 200
    assert client.delete("/api/images/1").json() == {"forgotten": 1}
    assert client.get("/api/images/1").status_code == 404


def test_decisions_are_made_listed_and_taken_back(client: TestClient) -> None:
    decided = {"kind": "not-duplicate", "image": 1, "others": [2, 3], "who": "me"}
    made = client.post("/api/decisions", json=decided).json()["decisions"]
    pairs = [sorted(one["images"] + one["others"]) for one in made]
    assert pairs == [[1, 2], [1, 3]]
    listed = client.get("/api/decisions").json()["decisions"]
    assert sorted(sorted(one["images"] + one["others"]) for one in listed) == pairs
    assert {one["who"] for one in listed} == {"me"}
    taken = client.request("DELETE", "/api/decisions", json={**decided, "others": [2]})
    assert taken.json() == {"forgotten": 1}
    assert len(client.get("/api/decisions").json()["decisions"]) == 1
    unknown = client.post("/api/decisions", json={"kind": "keep", "image": 4711})
    assert unknown.status_code == 404


def test_duplicates_heed_what_was_decided(client: TestClient, folder: Path) -> None:
    (folder / "copy.jpg").write_bytes((folder / "000.jpg").read_bytes())
    client.post("/api/images", json={})
    ended(client)
    (group,) = client.get("/api/duplicates", params={"kind": "exact"}).json()["groups"]
    assert sorted(member["path"] for member in group["members"]) == ["000.jpg", "copy.jpg"]
    assert not any(member["keep"] for member in group["members"])
    kept = group["members"][0]["id"]
    client.post("/api/decisions", json={"kind": "keep", "image": kept})
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
    answer = client.post("/api/decisions/lines", content=good + b"\n" + line + b"\n")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("line 2 is no decision") and len(answer.text) < 400
    assert client.get("/api/decisions/lines").text == ""
    assert client.post("/api/decisions/lines", content=good).json() == {"new": 1}

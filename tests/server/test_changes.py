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
from tests.library.image_builders import album, draw
from tests.server.conftest import ADDRESS, CSRF_HEADERS

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

SETTINGS = Settings(writable=True, job_wait=120.0)

pytestmark = pytest.mark.usefixtures("jobs_in_threads")


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
    response = client.get("/api/search", params={"image": found[0]["id"], "k": 1}).json()
    assert response["hits"][0]["path"] == "new.jpg" and response["searched_count"] == 7


def test_uploaded_images_are_stored_and_indexed(
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


def test_a_file_that_is_not_an_image_is_not_stored(client: TestClient, folder: Path) -> None:
    files = {"image": ("cat.jpg", b"<!doctype html><script>alert(1)</script>" + b" " * 200)}
    assert client.post("/api/images", files=files).status_code == 415
    assert not (folder / "Uploads").exists()


@pytest.mark.parametrize("path", ["/etc", "../", "..", "odd/../../..", "nowhere", "\0"])
def test_only_folders_of_the_library_are_indexed(client: TestClient, path: str) -> None:
    response = client.post("/api/images", json={"paths": ["odd", path]})
    assert response.status_code == 403
    assert "lookalike index" in response.json()["error"]


def test_a_job_is_followed_as_server_sent_events(client: TestClient) -> None:
    begun = client.post("/api/images", json={"paths": ["odd"]})
    address = f"/api/jobs/{begun.json()['id']}"
    with client.stream("GET", address, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1]["running"] is False
    assert ended(client, begun)["message"] == events[-1]["message"] == "3 unchanged"


def test_failed_files_are_retried_only_on_request(client: TestClient, folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    for body, expected in (
        ({}, "6 unchanged, 1 failed"),
        ({"paths": ["broken.jpg"]}, "1 failed earlier"),
        ({"paths": ["broken.jpg"], "retry_failed": True}, "1 failed"),
        ({"exclude": ["odd"], "include": ["00*"]}, "3 unchanged"),
    ):
        assert ended(client, client.post("/api/images", json=body))["message"] == expected
    state = ended(client, client.post("/api/images", json={"include": ["[z-a]"]}))
    assert (state["error"], state["result"]) == ("UsageError", None)
    assert "not a valid file pattern" in state["message"]


def test_an_estimate_of_indexing_writes_nothing(client: TestClient, folder: Path) -> None:
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


def test_globs_with_exponential_cost_are_refused(client: TestClient) -> None:
    evil = "*a" * 30
    for response in (
        client.post("/api/images", json={"include": [evil]}),
        client.get("/api/estimate", params={"exclude": evil}),
    ):
        assert response.status_code == 422 and "at most 4 stars" in response.json()["error"]
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


def test_a_second_writer_gets_a_409_that_names_the_cause(client: TestClient, folder: Path) -> None:
    with Library.open(folder) as other, other._store.writer():
        response = client.delete("/api/images/1")
        assert response.status_code == 409
        assert "another process" in response.json()["error"]
        assert client.get("/api/search?image=1").status_code == 200
    assert client.delete("/api/images/1").json() == {"removed": 1}
    assert client.get("/api/images/1").status_code == 404


@pytest.mark.parametrize("place", [".private", ".private/a.jpg", "odd/.kept", ".lookalike", "link"])
def test_hidden_folders_cannot_be_indexed(client: TestClient, folder: Path, place: str) -> None:
    for number, hidden in enumerate((".private", "odd/.kept")):
        (folder / hidden).mkdir()
        draw(folder / hidden / "a.jpg", 50 + number)
    (folder / "link").symlink_to(".private")
    for response in (
        client.post("/api/images", json={"paths": [place]}),
        client.get("/api/estimate", params={"path": place}),
    ):
        assert response.status_code == 403
        assert "is not in the folders of this library" in response.json()["error"]


def test_feedback_is_added_listed_and_removed(client: TestClient) -> None:
    feedback = {"kind": "not-duplicate", "image": 1, "others": [2, 3], "who": "me"}
    made = client.post("/api/feedback", json=feedback).json()["decisions"]
    pairs = [sorted(one["images"] + one["others"]) for one in made]
    assert pairs == [[1, 2], [1, 3]]
    listed = client.get("/api/feedback").json()["decisions"]
    assert sorted(sorted(one["images"] + one["others"]) for one in listed) == pairs
    assert {one["who"] for one in listed} == {"me"}
    removed = client.request("DELETE", "/api/feedback", json={**feedback, "others": [2]})
    assert removed.json() == {"removed": 1}
    assert len(client.get("/api/feedback").json()["decisions"]) == 1
    unknown = client.post("/api/feedback", json={"kind": "keep", "image": 4711})
    assert unknown.status_code == 404


def test_duplicates_use_feedback(client: TestClient, folder: Path) -> None:
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
def test_invalid_lines_of_feedback_are_named_and_nothing_is_imported(
    client: TestClient, line: bytes
) -> None:
    good = b'{"kind": "keep", "first": "%s"}' % (b"11" * 32)
    response = client.post("/api/feedback/lines", content=good + b"\n" + line + b"\n")
    assert response.status_code == 400
    assert (
        response.json()["error"].startswith("line 2 is not a judgement")
        and len(response.text) < 400
    )
    assert client.get("/api/feedback/lines").text == ""
    assert client.post("/api/feedback/lines", content=good).json() == {"added": 1}

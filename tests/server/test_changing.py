"""Adding, removing and deciding over HTTP, and how indexing goes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from filelock import FileLock
from tests.library.drawing import album, draw
from tests.server.conftest import ADDRESS, MARKED
from tests.server.running import in_a_loop

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.errors import Refusal
from lookalike.server.jobs import changes
from lookalike.server.jobs.changes import Changes, State
from lookalike.server.routes import library as library_routes
from lookalike.server.settings import Settings


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


def ended(client: TestClient, begun: Any) -> dict[str, Any]:
    """The state of a change once it has ended."""
    assert begun.status_code == 202, begun.text
    words = {"ticket": begun.json()["ticket"]}
    for _ in range(400):
        state: dict[str, Any] = client.get("/api/indexing", params=words).json()
        if not state["running"]:
            return state
        time.sleep(0.05)
    raise AssertionError(f"it does not end: {state}")


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
        ("picture", ("../../evil/cat photo!.jpg", one)),
        ("picture", ("cat photo!.png", other)),
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
    files = {"picture": ("cat.jpg", b"<svg onload=alert(1)>" + b" " * 200)}
    assert client.post("/api/images", files=files).status_code == 415
    assert not (folder / "Uploads").exists()


@pytest.mark.parametrize("path", ["/etc", "../", "..", "odd/../../..", "nowhere", "\0"])
def test_only_folders_of_the_library_are_indexed(client: TestClient, path: str) -> None:
    answer = client.post("/api/images", json={"paths": ["odd", path]})
    assert answer.status_code == 403
    assert "lookalike index" in answer.json()["error"]


def test_indexing_tells_how_it_goes_as_events(client: TestClient) -> None:
    begun = client.post("/api/images", json={"paths": ["odd"]})
    address = f"/api/indexing?ticket={begun.json()['ticket']}"
    with client.stream("GET", address, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1]["running"] is False
    assert ended(client, begun)["message"] == events[-1]["message"] == "3 unchanged"


def test_where_many_listen_the_next_are_told_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = client.app.state.server  # type: ignore[attr-defined]
    monkeypatch.setattr(library_routes, "MOST_LISTENING", 2)
    monkeypatch.setattr(server.changes, "state", lambda _: State(running=True))

    async def listen() -> None:
        several = [library_routes.events(server, "") for _ in range(3)]
        for one in several:
            assert b'"running":true' in await anext(one)
        assert server.listening.count == 3
        with pytest.raises(StopAsyncIteration):
            await anext(several[2])
        assert server.listening.count == 2
        for one in several:
            await one.aclose()  # type: ignore[attr-defined]
        assert server.listening.count == 0

    in_a_loop(listen())


def test_files_that_failed_are_tried_again_only_where_that_is_asked(
    client: TestClient, folder: Path
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    for words, said in (
        ({}, "6 unchanged, 1 failed"),
        ({"paths": ["broken.jpg"]}, "no pictures"),
        ({"paths": ["broken.jpg"], "retry_failed": True}, "1 failed"),
        ({"exclude": ["odd"], "include": ["00*"]}, "3 unchanged"),
    ):
        assert ended(client, client.post("/api/images", json=words))["message"] == said
    state = ended(client, client.post("/api/images", json={"include": ["[z-a]"]}))
    assert (state["error"], state["result"]) == ("UsageError", None)
    assert "no pattern" in state["message"]


def test_what_indexing_costs_is_promised_and_nothing_is_written(
    client: TestClient, folder: Path
) -> None:
    for number in range(3):
        draw(folder / f"new{number}.jpg", 500 + number)
    promised = client.get("/api/promise", params={"sample": 2}).json()
    assert (promised["files"], promised["to_index"], promised["sampled"]) == (9, 3, 2)
    assert promised["images_per_second"] > 0 and promised["disk_bytes"] > 0
    assert client.get("/api/info").json()["images"] == 6
    some = client.get("/api/promise", params={"path": ["odd"], "exclude": ["*.png"]}).json()
    assert (some["to_index"], some["seconds"], some["running"]) == (0, 0, False)
    assert client.get("/api/promise", params={"path": "../"}).status_code == 403
    assert client.get("/api/promise", params={"include": "[z-a]"}).status_code == 400


def test_patterns_that_take_for_ever_are_refused(client: TestClient) -> None:
    evil = "*a" * 30
    for answer in (
        client.post("/api/images", json={"include": [evil]}),
        client.get("/api/promise", params={"exclude": evil}),
    ):
        assert answer.status_code == 422 and "at most 4 stars" in answer.json()["error"]
    fine = client.post("/api/images", json={"include": ["**/odd/**/*a*"]})
    assert ended(client, fine)["error"] == ""


def test_a_promise_is_made_anew_when_it_has_grown_old(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/api/promise").json()["to_index"] == 0
    draw(folder / "new.jpg", 500)
    assert client.get("/api/promise").json()["to_index"] == 0
    monkeypatch.setattr(library_routes, "FRESH_SECONDS", 0.0)
    assert client.get("/api/promise").json()["to_index"] == 1


def test_tickets_tell_the_runs_of_several_processes_apart(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        mine, theirs = (Changes(library.folder, tmp_path / "shared") for _ in range(2))

        def words(path: Path) -> dict[str, Any]:
            return {"paths": [str(path)], "options": {}}

        with FileLock(tmp_path / "shared" / "lock"):
            first = mine.ask("indexing", words(folder / "odd"))
            others = [theirs.ask("indexing", words(folder / name)) for name in ("000.jpg", "odd")]
            assert mine.state() == State()  # nobody's turn has come
            assert theirs.state(first.ticket).message == "waiting"
        states = [settled(mine, one.ticket) for one in (first, *others)]
        assert [state.message for state in states] == ["3 unchanged", "4 unchanged", "4 unchanged"]
        assert states[1].number == states[2].number != states[0].number
        last = mine.state()
        assert last.number == 2 and last.ticket == ""
        for ticket in ("0" * 16, "../../etc/passwd", "run-1"):
            with pytest.raises(Refusal, match="ticket"):
                mine.state(ticket)
        mine.close()
        theirs.close()


def test_whoever_waits_when_the_server_ends_is_told(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "nothing", tmp_path / "shared")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with FileLock(tmp_path / "shared" / "lock"):
        asked = changes.ask("indexing", {"paths": ["x"], "options": {}}, scratch=scratch)
        changes.close()
        state = changes.state(asked.ticket)
    assert (state.running, state.error) == (False, "LibraryError")
    assert "went down" in state.message and not scratch.exists()


def test_old_runs_and_their_tickets_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KEPT", 1)
    several = Changes(tmp_path / "nothing", tmp_path / "shared")
    tickets = []
    for _ in range(2):
        tickets.append(several.ask("indexing", {"paths": [], "options": {}}).ticket)
        state = settled(several, tickets[-1])
        assert (state.error, state.result) == ("NoLibrary", None)
    several.close()
    left = sorted(file.suffix for file in (tmp_path / "shared").glob("*.*"))
    assert left == [".json", ".ticket"]
    with pytest.raises(Refusal, match="not known"):
        several.state(tickets[0])


def settled(changes: Changes, ticket: str) -> State:
    for _ in range(1200):
        state = changes.state(ticket)
        if not state.running:
            return state
        time.sleep(0.05)
    raise AssertionError(f"it does not end: {state}")


def test_another_writer_is_named_and_nothing_is_lost(client: TestClient, folder: Path) -> None:
    with Library.open(folder) as other, other._store.writer():
        answer = client.delete("/api/images/1")
        assert answer.status_code == 409
        assert "another process" in answer.json()["error"]
        assert client.get("/api/search?image=1").status_code == 200
    assert client.delete("/api/images/1").json() == {"forgotten": 1}
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
        client.get("/api/promise", params={"path": place}),
    ):
        assert answer.status_code == 403
        assert "is nothing in the folders of this library" in answer.json()["error"]


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
    ended(client, client.post("/api/images", json={}))
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
    assert answer.json()["error"].startswith("line 2 is not a judgement") and len(answer.text) < 400
    assert client.get("/api/decisions/lines").text == ""
    assert client.post("/api/decisions/lines", content=good).json() == {"new": 1}

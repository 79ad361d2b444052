"""Questions that come at the same time: answered together, each with its own answer."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import ADDRESS

from lookalike.errors import LibraryError, NoLibrary, UsageError
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.app import create_app
from lookalike.server.errors import Refusal
from lookalike.server.executors import Lane
from lookalike.server.jobs.computations import Apart
from lookalike.server.micro_batcher import AT_ONCE, PATIENT_AT_ONCE, Gathering, is_light
from lookalike.server.routes import review
from lookalike.server.settings import Settings


class Held:
    """A library whose answers wait until they are let go; writes down what was asked together."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[int | None]] = []

    def search_batch(self, questions: Sequence[Query]) -> Any:
        self.batches.append([question.terms[0].id for question in questions])
        self.begun.set()
        assert self.go.wait(20)
        return self._library.search_batch(questions)


def about(id: int) -> Query:
    return Query((Term(id=id),), k=2)


def gathered(held: Held, *, waiting: int = 100, times: Sequence[float] = ()) -> Gathering:
    """`times`: what the clock says, one time a question and one time a product; then 0 for ever."""
    clock = chain(times, repeat(0.0))
    return Gathering(held, waiting=waiting, patience=5.0, clock=lambda: next(clock))  # type: ignore[arg-type]


def test_those_who_wait_are_answered_together_and_urgent_ones_first(library: Library) -> None:
    held = Held(library)
    gathering = gathered(held)
    first = gathering.submit(about(1))
    assert held.begun.wait(20)
    patient = [gathering.submit(about(id), patient=True) for id in range(10, 16)]
    urgent = [gathering.submit(about(id)) for id in (2, 3, 4)]
    held.go.set()
    for id, answer in [(1, first), *zip((2, 3, 4), urgent, strict=True)]:
        assert answer.result(20).hits[0].id == id
    assert [answer.result(20).hits[0].id for answer in patient] == list(range(10, 16))
    # Another visitor may follow those three: what can wait is taken one by one meanwhile.
    assert held.batches == [[1], [2, 3, 4], [10], [11], [12], [13], [14], [15]]
    assert (PATIENT_AT_ONCE, AT_ONCE) == (8, 32)
    gathering.close()


def test_those_who_can_wait_are_taken_by_eight_where_nobody_else_comes(library: Library) -> None:
    held = Held(library)
    hour = 3600.0
    # The visitor asks, is answered; an hour later ten come who can wait, the first of them alone.
    gathering = gathered(held, times=[0, 0, *[hour] * 30])
    gathering.submit(about(1))
    assert held.begun.wait(20)
    patient = [gathering.submit(about(id), patient=True) for id in range(10, 20)]
    held.go.set()
    assert [answer.result(20).hits[0].id for answer in patient] == list(range(10, 20))
    assert held.batches == [[1], [10], [*range(11, 19)], [19]]
    gathering.close()


def test_one_that_cannot_be_answered_spoils_no_other(library: Library) -> None:
    held = Held(library)
    gathering = gathered(held)
    first = gathering.submit(about(1))
    assert held.begun.wait(20)
    wrong, right = gathering.submit(about(4711)), gathering.submit(about(2))
    held.go.set()
    assert first.result(20).hits[0].id == 1 and right.result(20).hits[0].id == 2
    with pytest.raises(UsageError, match="no image with the id 4711"):
        wrong.result(20)
    gathering.close()


def test_the_queue_is_bounded_in_length_and_in_time(library: Library) -> None:
    held = Held(library)
    gathering = gathered(held, waiting=2, times=[0, 1, 2, 3, 4, 8.5])
    gathering.submit(about(1))  # asked at 0, begun at 1
    assert held.begun.wait(20)
    late = [gathering.submit(about(id)) for id in (2, 3)]
    with pytest.raises(Refusal) as refused:
        gathering.submit(about(4))
    assert refused.value.status == 429
    held.go.set()  # those asked at 2 and 3 are taken up at 8.5; 4 was that of the one refused
    for answer in late:
        with pytest.raises(Refusal) as too_late:
            answer.result(20)
        assert too_late.value.status == 503
    gathering.close()
    with pytest.raises(Refusal, match="going down"):
        gathering.submit(about(1))


def test_only_questions_on_stored_vectors_are_light() -> None:
    image = Term(id=1)
    assert is_light(Query((image, Term(id=2, weight=-1)), where="size > 1", diversity=0.3))
    heavy = [
        Query((image, Term(text="red"))),
        Query((Term(image=Path("a.jpg")),)),
        Query((Term(id=1, region=(0, 0, 0.5, 0.5)),)),
        Query((image,), any_orientation=True),
        Query((image,), verify="orb"),
    ]
    assert not any(map(is_light, heavy))


def test_a_full_lane_refuses_and_a_free_one_goes_on() -> None:
    gate = threading.Event()
    lane = Lane("slow", threads=1, waiting=1, patience=20)
    running = [lane.submit(lambda: gate.wait(20)) for _ in range(2)]
    with pytest.raises(Refusal) as refused:
        lane.submit(lambda: True)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    gate.set()
    assert all(future.result(20) for future in running)
    assert lane.submit(lambda: 7).result(20) == 7
    lane.close()


def test_work_that_hangs_does_not_hold_up_the_rest(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    app = create_app(library, Settings(searching=1, waiting=1))
    for lane in (app.state.server.lanes.slow, app.state.server.lanes.long):
        for _ in range(2):
            lane.submit(lambda: gate.wait(20))
    with TestClient(app, base_url=ADDRESS) as client:
        for address in (
            "/api/search?image=1",
            "/api/images/1",
            "/api/images/1/thumbnail",
            "/health",
        ):
            assert client.get(address).status_code == 200
    gate.set()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_search_is_answered_while_another_process_looks_for_duplicates(
    library: Library, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    held = (
        f"open({str(gate)!r}).read(); from lookalike.server.jobs.computations import main; main()"
    )
    app = create_app(library, Settings())
    app.state.server = replace(
        app.state.server, apart=Apart(library.folder, program=(sys.executable, "-c", held))
    )
    with (
        TestClient(app, base_url=ADDRESS) as client,
        ThreadPoolExecutor(1) as visitor,
    ):
        slow = visitor.submit(client.get, "/api/duplicates?kind=near")
        with gate.open("w"):  # opens when the process is there and waits
            assert client.get("/api/search?image=1&k=1").json()["hits"][0]["id"] == 1
            assert client.get("/api/images/1/thumbnail").status_code == 200
            assert not slow.done()
        found = slow.result(60).json()
    ours = library.duplicates(kind="near")
    assert (found["running"], found["total"], found["searched"]) == (False, len(ours), 40)
    assert [[m["id"] for m in group["members"]] for group in found["groups"]] == [
        [member.image.id for member in group.members] for group in ours.groups
    ]


def test_a_process_that_dies_or_refuses_is_told_in_a_sentence(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        Apart(library.folder).run("similar groups", {"by": "nonsense"})
    dying = Apart(library.folder, program=(sys.executable, "-c", "import os; os._exit(9)"))
    with pytest.raises(LibraryError, match="status 9"):
        dying.run("map", {})
    with pytest.raises(NoLibrary):
        Apart(tmp_path).run("duplicates", {})


def test_no_process_outlives_the_server(library: Library, tmp_path: Path) -> None:
    waiting = "import sys; print('there', file=sys.stderr); sys.stdin.readline(); sys.stdin.read()"
    apart = Apart(library.folder, program=(sys.executable, "-c", waiting))
    with ThreadPoolExecutor(1) as pool:
        hangs = pool.submit(apart.run, "map", {})
        while not apart.running:
            assert not hangs.done()
            time.sleep(0.01)
        apart.close()
        with pytest.raises(LibraryError, match="ended early"):
            hangs.result(60)
    with pytest.raises(LibraryError, match="going down"):
        apart.run("map", {})


def test_what_takes_long_is_worked_out_once_and_asked_for_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), []
    run = Apart.run

    def slowly(self: Apart, what: str, words: Any) -> Any:
        begun.append(what)
        assert gate.wait(20)
        return run(self, what, words)

    monkeypatch.setattr(Apart, "run", slowly)
    monkeypatch.setattr(review, "PATIENCE", 0.05)
    with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
        for _ in range(2):
            early = client.get("/api/duplicates?kind=exact")
            assert (early.status_code, early.json()["running"]) == (202, True)
            assert early.headers["retry-after"] == "2"
        gate.set()
        monkeypatch.setattr(review, "PATIENCE", 20.0)
        found = client.get("/api/duplicates?kind=exact")
        assert (found.status_code, found.json()["running"], found.json()["searched"]) == (
            200,
            False,
            40,
        )
    assert len(begun) == 1


def test_fifty_visitors_at_once_get_their_own_answers(client: TestClient) -> None:
    ids = [image["id"] for image in client.get("/api/images").json()["images"]]

    def visit(number: int) -> bool:
        id = ids[number % 40]
        answer = client.get("/api/search", params={"image": id, "k": 1 + number % 7}).json()
        return bool(answer["hits"][0]["id"] == id and len(answer["hits"]) == 1 + number % 7)

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(visit, range(200)))

"""Questions that come at the same time: answered together, each with its own answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.web.conftest import ADDRESS

from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.web import reviewing
from lookalike.web.app import create_app
from lookalike.web.gathering import AT_ONCE, PATIENT_AT_ONCE, Gathering, is_light
from lookalike.web.lanes import Lane
from lookalike.web.refusals import Refusal
from lookalike.web.settings import Settings


class Held:
    """A library whose answers wait until they are let go; writes down what was asked together."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[int | None]] = []

    def search_batch(self, questions: Sequence[Query]) -> Any:
        self.batches.append([question.terms[0].image for question in questions])
        self.begun.set()
        assert self.go.wait(20)
        return self._library.search_batch(questions)


def about(id: int) -> Query:
    return Query((Term(image=id),), k=2)


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
    assert held.batches == [[1], [2, 3, 4], [10, 11, 12, 13], [14, 15]]
    assert (PATIENT_AT_ONCE, AT_ONCE) == (4, 32)
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
    image = Term(image=1)
    assert is_light(Query((image, Term(image=2, weight=-1)), where="size > 1", diverse=0.3))
    heavy = [
        Query((image, Term(words="red"))),
        Query((Term(picture=Path("a.jpg")),)),
        Query((Term(image=1, region=(0, 0, 0.5, 0.5)),)),
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


def test_what_takes_long_is_worked_out_once_and_asked_for_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), []
    find = Library.duplicates

    def slowly(self: Library, **options: Any) -> Any:
        begun.append(options)
        assert gate.wait(20)
        return find(self, **options)

    monkeypatch.setattr(Library, "duplicates", slowly)
    monkeypatch.setattr(reviewing, "PATIENCE", 0.05)
    with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
        for _ in range(2):
            early = client.get("/api/duplicates?kind=exact")
            assert (early.status_code, early.json()["running"]) == (202, True)
            assert early.headers["retry-after"] == "2"
        gate.set()
        monkeypatch.setattr(reviewing, "PATIENCE", 20.0)
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

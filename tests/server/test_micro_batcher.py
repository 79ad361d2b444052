"""Queries that arrive at the same time are answered together, each with its own hits; bounded executors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import ADDRESS

from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server.app import create_app
from lookalike.server.executors import BoundedExecutor
from lookalike.server.micro_batcher import MicroBatcher, only_compares
from lookalike.server.responses import HTTPError
from lookalike.server.settings import Settings


class PausedLibrary:
    """A library whose searches wait for `resume`; records which queries were searched together."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.resume, self.begun = threading.Event(), threading.Event()
        self.batches: list[list[int | None]] = []

    def search_batch(self, queries: Sequence[Query]) -> Any:
        self.batches.append([query.terms[0].id for query in queries])
        self.begun.set()
        assert self.resume.wait(20)
        return self._library.search_batch(queries)


def query_for(id: int) -> Query:
    return Query((Term(id=id),), k=2)


def make_batcher(
    paused: PausedLibrary, *, queue_size: int = 100, times: Sequence[float] = ()
) -> MicroBatcher:
    """`times`: what the clock shows, one time per query and one per batch; then 0 for ever."""
    clock = chain(times, repeat(0.0))
    return MicroBatcher(
        paused,  # type: ignore[arg-type]
        queue_size=queue_size,
        timeout=5.0,
        clock=lambda: next(clock),
    )


def test_waiting_queries_are_answered_together_and_normal_ones_first(library: Library) -> None:
    paused = PausedLibrary(library)
    batcher = make_batcher(paused)
    first = batcher.submit(query_for(1))
    assert paused.begun.wait(20)
    low = [batcher.submit(query_for(id), low_priority=True) for id in range(10, 16)]
    normal = [batcher.submit(query_for(id)) for id in (2, 3, 4)]
    paused.resume.set()
    for id, hits in [(1, first), *zip((2, 3, 4), normal, strict=True)]:
        assert hits.result(20).hits[0].id == id
    assert [hits.result(20).hits[0].id for hits in low] == list(range(10, 16))
    # Another visitor may follow those three: low-priority queries are taken one by one meanwhile.
    assert paused.batches == [[1], [2, 3, 4], [10], [11], [12], [13], [14], [15]]
    batcher.close()


def test_low_priority_queries_are_taken_by_eight_if_nobody_else_searches(library: Library) -> None:
    paused = PausedLibrary(library)
    hour = 3600.0
    # A normal query is answered; an hour later ten with low priority arrive, the first of them alone.
    batcher = make_batcher(paused, times=[0, 0, *[hour] * 30])
    batcher.submit(query_for(1))
    assert paused.begun.wait(20)
    low = [batcher.submit(query_for(id), low_priority=True) for id in range(10, 20)]
    paused.resume.set()
    assert [hits.result(20).hits[0].id for hits in low] == list(range(10, 20))
    assert paused.batches == [[1], [10], [*range(11, 19)], [19]]
    batcher.close()


def test_a_query_that_fails_does_not_affect_the_others(library: Library) -> None:
    paused = PausedLibrary(library)
    batcher = make_batcher(paused)
    first = batcher.submit(query_for(1))
    assert paused.begun.wait(20)
    wrong, right = batcher.submit(query_for(4711)), batcher.submit(query_for(2))
    paused.resume.set()
    assert first.result(20).hits[0].id == 1 and right.result(20).hits[0].id == 2
    with pytest.raises(UsageError, match="no image with the id 4711"):
        wrong.result(20)
    batcher.close()


def test_the_queue_is_bounded_in_length_and_in_time(library: Library) -> None:
    paused = PausedLibrary(library)
    batcher = make_batcher(paused, queue_size=2, times=[0, 1, 2, 3, 4, 8.5])
    batcher.submit(query_for(1))  # submitted at 0, begun at 1
    assert paused.begun.wait(20)
    late = [batcher.submit(query_for(id)) for id in (2, 3)]
    with pytest.raises(HTTPError) as refused:
        batcher.submit(query_for(4))
    assert refused.value.status == 429
    paused.resume.set()  # those submitted at 2 and 3 are taken at 8.5; 4 was the refused one
    for hits in late:
        with pytest.raises(HTTPError) as too_late:
            hits.result(20)
        assert too_late.value.status == 503
    batcher.close()
    with pytest.raises(HTTPError, match="shutting down"):
        batcher.submit(query_for(1))


def test_only_queries_on_stored_vectors_are_batched() -> None:
    image = Term(id=1)
    assert only_compares(Query((image, Term(id=2, weight=-1)), where="size > 1", diversity=0.3))
    others = [
        Query((image, Term(text="red"))),
        Query((Term(image=Path("a.jpg")),)),
        Query((Term(id=1, region=(0, 0, 0.5, 0.5)),)),
        Query((image,), any_orientation=True),
        Query((image,), verify="orb"),
    ]
    assert not any(map(only_compares, others))


def test_a_full_executor_refuses_work_until_it_has_room() -> None:
    gate = threading.Event()
    executor = BoundedExecutor("slow", threads=1, queue_size=1, timeout=20)
    running = [executor.submit(lambda: gate.wait(20)) for _ in range(2)]
    with pytest.raises(HTTPError) as refused:
        executor.submit(lambda: True)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
    gate.set()
    assert all(future.result(20) for future in running)
    assert executor.submit(lambda: 7).result(20) == 7
    executor.close()


def test_slow_work_does_not_block_quick_requests(library: Library) -> None:
    gate = threading.Event()
    app = create_app(library, Settings(search_threads=1, queue_size=1))
    executors = app.state.server.executors
    for executor in (executors.slow, executors.jobs):
        for _ in range(2):
            executor.submit(lambda: gate.wait(20))
    with TestClient(app, base_url=ADDRESS) as client:
        for address in (
            "/api/search?image=1",
            "/api/images/1",
            "/api/images/1/thumbnail",
            "/health",
        ):
            assert client.get(address).status_code == 200
    gate.set()


def test_fifty_concurrent_clients_get_their_own_hits(client: TestClient) -> None:
    ids = [image["id"] for image in client.get("/api/images").json()["images"]]

    def visit(number: int) -> bool:
        id = ids[number % 40]
        found = client.get("/api/search", params={"image": id, "k": 1 + number % 7}).json()
        return bool(found["hits"][0]["id"] == id and len(found["hits"]) == 1 + number % 7)

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(visit, range(200)))

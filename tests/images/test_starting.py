"""Workers that are started before it is known what they will do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.images.pool_tasks import lost, work

from lookalike.images import starting
from lookalike.images.pool import Pool


@pytest.fixture(autouse=True)
def nothing_ahead() -> Iterator[None]:
    starting.end_ahead()
    yield
    starting.end_ahead()


def ahead() -> list[int]:
    """The processes that wait for a pool."""
    return [process.pid for process in starting._ahead]


def test_a_pool_takes_the_worker_that_was_started_ahead() -> None:
    starting.start_ahead(1, ["json"])
    (early,) = ahead()
    with Pool(work, on_lost=lost, workers=1) as pool:
        assert pool.run(21) == 42
        assert pool.process_ids == [early]
    assert ahead() == []


def test_asking_again_starts_only_what_is_missing() -> None:
    starting.start_ahead(1, [])
    first = ahead()
    starting.start_ahead(2, [])
    assert len(ahead()) == 2
    assert ahead()[:1] == first


def test_workers_that_nobody_takes_are_ended() -> None:
    starting.start_ahead(2, [])
    processes = list(starting._ahead)
    starting.end_ahead()
    assert ahead() == []
    assert all(process.returncode is not None for process in processes)


def test_a_worker_that_died_while_it_waited_is_replaced() -> None:
    starting.start_ahead(1, [])
    (early,) = starting._ahead
    early.kill()
    early.wait()
    with Pool(work, on_lost=lost, workers=1) as pool:
        assert pool.run(4) == 8
        assert pool.process_ids != [early.pid]


def test_a_module_that_cannot_be_imported_ahead_is_left_to_the_work() -> None:
    starting.start_ahead(1, ["there.is.no.such.module", "json"])
    with Pool(work, on_lost=lost, workers=1) as pool:
        assert pool.run(5) == 10

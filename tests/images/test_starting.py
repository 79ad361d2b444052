"""Workers that are started before it is known what they will do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.images.pool_tasks import lost, work

from lookalike.workers import worker_process
from lookalike.workers.pool import Pool


@pytest.fixture(autouse=True)
def nothing_ahead() -> Iterator[None]:
    worker_process.end_ahead()
    yield
    worker_process.end_ahead()


def ahead() -> list[int]:
    """The processes that wait for a pool."""
    return [process.pid for process in worker_process._ahead]


def test_a_pool_takes_the_worker_that_was_started_ahead() -> None:
    worker_process.start_ahead(1, ["json"])
    (early,) = ahead()
    with Pool(work, on_lost=lost, workers=1) as pool:
        assert pool.run(21) == 42
        assert pool.process_ids == [early]
    assert ahead() == []


def test_asking_again_starts_only_what_is_missing() -> None:
    worker_process.start_ahead(1, [])
    first = ahead()
    worker_process.start_ahead(2, [])
    assert len(ahead()) == 2
    assert ahead()[:1] == first


def test_workers_that_nobody_takes_are_ended() -> None:
    worker_process.start_ahead(2, [])
    processes = list(worker_process._ahead)
    worker_process.end_ahead()
    assert ahead() == []
    assert all(process.returncode is not None for process in processes)


def test_a_worker_that_died_while_it_waited_is_replaced() -> None:
    worker_process.start_ahead(1, [])
    (early,) = worker_process._ahead
    early.kill()
    early.wait()
    with Pool(work, on_lost=lost, workers=1) as pool:
        assert pool.run(4) == 8
        assert pool.process_ids != [early.pid]


def test_a_module_that_cannot_be_imported_ahead_is_left_to_the_work() -> None:
    worker_process.start_ahead(1, ["there.is.no.such.module", "json"])
    with Pool(work, on_lost=lost, workers=1) as pool:
        assert pool.run(5) == 10

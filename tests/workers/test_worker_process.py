"""Workers that are prestarted before it is known what they will do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.workers.pool_tasks import Add, work

from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool
from lookalike.workers.worker_process import end_prestarted, keep, prestart, prestarted


@pytest.fixture(autouse=True)
def none_prestarted() -> Iterator[None]:
    end_prestarted()
    yield
    keep(0)
    end_prestarted()


def test_a_pool_takes_a_prestarted_worker() -> None:
    prestart(1, ["json"])
    (early,) = prestarted()
    with Pool(work, workers=1) as pool:
        assert pool.run(21) == 42
        assert pool.process_ids == [early.pid]
    assert prestarted() == []


def test_a_second_prestart_starts_only_what_is_missing() -> None:
    prestart(1, [])
    (first,) = prestarted()
    prestart(2, [])
    assert len(prestarted()) == 2
    assert prestarted()[0] is first


def test_workers_that_no_pool_takes_are_ended() -> None:
    prestart(2, [])
    processes = prestarted()
    end_prestarted()
    assert prestarted() == []
    assert all(process.returncode is not None for process in processes)


def test_a_prestarted_worker_that_died_is_replaced() -> None:
    prestart(1, [])
    (early,) = prestarted()
    early.kill()
    early.wait()
    with Pool(work, workers=1) as pool:
        assert pool.run(4) == 8
        assert pool.process_ids != [early.pid]


def test_a_module_that_cannot_be_imported_in_advance_is_left_to_the_work() -> None:
    prestart(1, ["there.is.no.such.module", "json"])
    with Pool(work, workers=1) as pool:
        assert pool.run(5) == 10


def test_a_kept_worker_serves_the_next_pool_with_its_own_work_and_limits() -> None:
    keep(1, ignored=["PYTEST_CURRENT_TEST"])
    with Pool(work, workers=2) as pool:
        first = {pool.run("process"), *pool.map(["process"] * 20)}
    assert len(prestarted()) == 1
    with Pool(Add(10), workers=1, limits=Limits(timeout=5, max_memory=64 << 20)) as pool:
        assert pool.run(1) == 11
        assert set(pool.process_ids) <= first
        assert prestarted() == []


def test_a_busy_worker_is_not_kept() -> None:
    keep(2, ignored=["PYTEST_CURRENT_TEST"])
    with Pool(work, workers=1) as pool:
        results = pool.map([1, "hang"])
        assert next(results) == 2
    assert prestarted() == []


def test_a_kept_worker_goes_to_the_working_folder_of_its_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(1, ignored=["PYTEST_CURRENT_TEST"])
    with Pool(work, workers=1) as pool:
        first = pool.run("process")
    monkeypatch.chdir(tmp_path)
    with Pool(work, workers=1) as pool:
        assert pool.run("folder") == str(tmp_path.resolve())
        assert pool.process_ids == [first]


@pytest.mark.skipif(os.name != "posix", reason="no working folder can be removed elsewhere")
@pytest.mark.parametrize("early", [True, False])
def test_a_kept_worker_leaves_its_former_folder_if_that_of_its_pool_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    keep(1, ignored=["PYTEST_CURRENT_TEST"])
    with Pool(work, workers=1) as pool:
        first = pool.run("process")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    if early:
        gone.rmdir()
    with Pool(work, workers=1) as pool:
        if not early:
            gone.rmdir()
        with pytest.raises(FileNotFoundError):
            pool.run("folder")
        assert pool.process_ids == [first]


def test_the_end_of_prestarted_workers_leaves_those_that_are_kept() -> None:
    keep(1, ignored=["PYTEST_CURRENT_TEST"])
    prestart(2, [])
    first, second = prestarted()
    end_prestarted()
    assert prestarted() == [first]
    assert second.returncode is not None


def test_a_kept_worker_with_another_environment_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep(1, ignored=["PYTEST_CURRENT_TEST"])
    with Pool(work, workers=1) as pool:
        first = pool.run("process")
    monkeypatch.setenv("LOOKALIKE_TEST", "1")
    with Pool(work, workers=1) as pool:
        assert pool.run("process") != first

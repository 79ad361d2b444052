"""The pool keeps the order of its tasks, and a task that loses its worker fails alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.workers.pool_tasks import BrokenWork, DyingWork, work

from lookalike.errors import LookalikeError, Outcome, UsageError
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.pool import Pool, default_memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

AnyPool = Pool[Any, Any]


def pool(work: Any = work, **options: Any) -> AnyPool:
    options.setdefault("workers", 2)
    options.setdefault("limits", Limits(timeout=20))
    return Pool(work, **options)


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[AnyPool]:
    """One pool for the tests that leave it usable."""
    with pool(limits=Limits(timeout=60.0, max_memory=256 << 20)) as made:
        yield made


def alive(process_id: int) -> bool:
    """Return whether this process exists, other than as a zombie."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(process_ids: list[int], within: float = 10.0) -> bool:
    """Return whether these processes end by themselves soon."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(alive(number) for number in process_ids):
            return True
        time.sleep(0.02)
    return False


def test_results_come_in_the_order_of_the_tasks(shared_pool: AnyPool) -> None:
    assert list(shared_pool.map(range(5000))) == [2 * number for number in range(5000)]


def test_a_slow_task_delays_the_order_but_not_the_others(shared_pool: AnyPool) -> None:
    tasks = [0.3, *range(100)]
    assert list(shared_pool.map(tasks)) == [0.3, *(2 * number for number in range(100))]


def test_tasks_are_drawn_only_as_far_as_the_window(shared_pool: AnyPool) -> None:
    drawn = 0

    def tasks() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    results = shared_pool.map(tasks(), window=10)
    for number in range(1, 101):
        assert next(results) == 2 * number
        assert drawn <= number + 10
    results.close()  # type: ignore[attr-defined]
    assert shared_pool.run(1) == 2


def test_an_empty_stream_gives_nothing(shared_pool: AnyPool) -> None:
    assert list(shared_pool.map([])) == []


def test_large_tasks_and_results_pass(shared_pool: AnyPool) -> None:
    big = [bytes([number]) * 3_000_000 for number in range(12)]
    assert list(shared_pool.map(big)) == big
    for pixels in shared_pool.map(["pixels"] * 5):
        assert np.array_equal(pixels, np.arange(3_000_000, dtype=np.uint8))


FATAL_TASKS = [
    pytest.param("die", Outcome.OUT_OF_MEMORY, "killed", id="killed"),
    pytest.param("crash", Outcome.UNREADABLE, "the decoder crashed", id="crash"),
    pytest.param("exit", Outcome.UNREADABLE, "the decoder crashed", id="exit"),
    pytest.param("eat", Outcome.OUT_OF_MEMORY, "--max-memory", id="memory at once", marks=linux),
    pytest.param("eat slowly", Outcome.OUT_OF_MEMORY, "--max-memory", id="memory", marks=linux),
]


@pytest.mark.parametrize(("fatal", "outcome", "text"), FATAL_TASKS)
def test_a_task_that_loses_its_worker_fails_alone(
    shared_pool: AnyPool, fatal: str, outcome: Outcome, text: str
) -> None:
    tasks: list[Any] = list(range(300))
    tasks[137] = fatal
    results = list(shared_pool.map(tasks))
    failure = results.pop(137)
    assert isinstance(failure, Failure)
    assert failure.outcome is outcome
    assert text in failure.reason
    del tasks[137]
    assert results == [2 * number for number in tasks]


def test_a_task_that_hangs_fails_alone() -> None:
    with pool(limits=Limits(timeout=1.0)) as some:
        tasks: list[Any] = [*range(100), "hang", *range(100, 200)]
        results = list(some.map(tasks))
    assert results.pop(100) == Failure(
        Outcome.TIMED_OUT, "took longer than 1 s; index it with a higher --timeout if it may"
    )
    assert results == [2 * number for number in range(200)]


def test_fatal_tasks_in_a_row_all_fail(shared_pool: AnyPool) -> None:
    tasks = ["die", "exit", 1, "crash", "die", 2, 3, "exit"]
    results = list(shared_pool.map(tasks))
    assert [isinstance(result, Failure) for result in results] == [
        isinstance(task, str) for task in tasks
    ]
    assert [result for result in results if not isinstance(result, Failure)] == [2, 4, 6]


def test_a_failure_can_be_turned_into_a_result() -> None:
    with Pool(work, on_failure=lambda failure: failure.outcome, workers=1) as some:
        assert list(some.map([1, "exit", 2])) == [2, Outcome.UNREADABLE, 4]


def test_a_worker_killed_from_outside_fails_no_task() -> None:
    """The tasks in flight are done again by a new worker."""
    with pool(workers=2) as some:
        results = some.map([0.01] * 60)
        seen = [next(results)]
        for number in some.process_ids:
            os.kill(number, signal.SIGKILL)
        seen.extend(results)
    assert seen == [0.01] * 60


def test_a_worker_killed_while_idle_fails_no_task() -> None:
    with pool(workers=1) as some:
        assert some.run(1) == 2
        os.kill(some.process_ids[0], signal.SIGKILL)
        time.sleep(0.1)
        assert some.run(2) == 4


def test_output_printed_by_a_library_is_discarded(shared_pool: AnyPool) -> None:
    assert list(shared_pool.map(["print", 1, "print", 2])) == ["print", 2, "print", 4]


def test_an_error_in_the_program_is_raised_at_its_place(shared_pool: AnyPool) -> None:
    results = shared_pool.map([1, "error", 2])
    assert next(results) == 2
    with pytest.raises(KeyError, match="an error") as caught:
        next(results)
    assert "pool_tasks.py" in "".join(caught.value.__notes__)
    assert shared_pool.run(3) == 6


def test_a_result_that_cannot_be_pickled_is_an_error_not_a_hang(shared_pool: AnyPool) -> None:
    with pytest.raises((TypeError, RuntimeError), match="pickle"):
        shared_pool.run("unpicklable")
    assert shared_pool.run(3) == 6


def test_a_task_that_cannot_be_pickled_is_an_error_not_a_hang(shared_pool: AnyPool) -> None:
    with pytest.raises(TypeError, match="pickle"):
        shared_pool.run(threading.Lock())
    assert shared_pool.run(3) == 6


def test_the_pool_is_thread_safe(shared_pool: AnyPool) -> None:
    results: dict[int, int] = {}

    def run(number: int) -> None:
        results[number] = shared_pool.run(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 2 * number for number in range(20)}


def test_a_single_task_starts_a_single_worker() -> None:
    with pool(workers=4) as some:
        assert some.process_ids == []
        some.run(1)
        assert len(some.process_ids) == 1


@pytest.mark.parametrize(("tasks", "workers"), [(1, 1), (4, 1), (5, 2), (40, 4)])
def test_no_more_workers_start_than_tasks_are_worth(tasks: int, workers: int) -> None:
    with pool(workers=4) as some:
        results = some.map(range(tasks))
        assert next(results) == 0
        assert len(some._supervisors) == workers
        assert list(results) == [2 * task for task in range(1, tasks)]


def test_workers_use_one_thread_and_ignore_ctrl_c(shared_pool: AnyPool) -> None:
    assert shared_pool.run("threads") == (1, "1")
    assert shared_pool.run("interrupt") is True


def test_a_worker_that_cannot_load_its_work_is_a_clear_error() -> None:
    with (
        pool(BrokenWork()) as some,
        pytest.raises(LookalikeError, match=r"cannot start.*a_module_that_does_not_exist"),
    ):
        list(some.map([1, 2, 3]))


def test_a_worker_that_ends_while_starting_is_a_clear_error() -> None:
    with (
        pool(DyingWork()) as some,
        pytest.raises(LookalikeError, match="ended with status 5 before it was ready"),
    ):
        some.run(1)


def test_work_that_cannot_be_sent_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="top level of a module"):
        pool(lambda task: task)
    with pytest.raises(UsageError, match="workers must be at least 1"):
        pool(workers=0)


def test_a_closed_pool_says_so() -> None:
    some = pool()
    some.run(1)
    some.close()
    some.close()
    with pytest.raises(LookalikeError, match="closed"):
        some.run(1)


@linux
def test_closing_leaves_no_process_behind() -> None:
    with pool(limits=Limits(timeout=60)) as some:
        results = some.map([1, 2, "hang", "hang", 3])
        assert next(results) == 2
        workers = some.process_ids
        assert workers
        assert all(alive(number) for number in workers)
    assert gone(workers)


@linux
def test_a_pool_that_is_garbage_collected_ends_its_workers() -> None:
    some = pool()
    workers = [some.run("process")]
    del some
    assert gone(workers)


# A program that a shell started in the background ignores Ctrl-C, and so would these.
PARENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool
from tests.workers.pool_tasks import work

pool = Pool(work, workers=2, limits=Limits(timeout=60))
for number in pool.map(["process", "process"]):
    print(number, flush=True)
{then}
"""


def parent(then: str) -> subprocess.Popen[str]:
    """Start another process with a pool, which prints its workers and then runs `then`."""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT).format(then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"},
    )


@linux
@pytest.mark.parametrize("then", ["time.sleep(60)", "list(pool.map(['hang'] * 4))"])
def test_workers_end_when_their_parent_is_killed(then: str) -> None:
    with parent(then) as process:
        assert process.stdout is not None
        workers = [int(process.stdout.readline()) for _ in range(2)]
        time.sleep(0.2)
        process.kill()
    assert gone(workers)


@linux
def test_a_program_that_forgets_to_close_ends_quietly() -> None:
    with parent("raise SystemExit(7)") as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 7
    assert err == ""
    assert gone([int(line) for line in out.split()])


@linux
def test_ctrl_c_reaches_the_parent_only_and_ends_all() -> None:
    with parent("list(pool.map(['hang'] * 4))") as process:
        assert process.stdout is not None
        workers = [int(process.stdout.readline()) for _ in range(2)]
        time.sleep(0.3)
        for number in (*workers, process.pid):
            os.kill(number, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert gone(workers)


@linux
def test_a_worker_does_not_import_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError('run from the photo folder')")
    (tmp_path / "pickle.py").write_text("raise RuntimeError('run from the photo folder')")
    monkeypatch.chdir(tmp_path)
    with pool(workers=1) as some:
        assert some.run(4) == 8


def test_workers_share_half_of_the_memory() -> None:
    one, many = default_memory(1), default_memory(1000)
    if one is None or many is None:
        pytest.skip("this system does not tell its memory")
    assert many == 1 << 30
    assert one >= many

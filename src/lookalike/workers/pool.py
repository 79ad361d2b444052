"""Pool of isolated worker processes: a task that hangs, crashes or exhausts memory fails alone.

Not `multiprocessing`: its "spawn" runs the user's main script again in every worker, its "fork"
copies a process that has native threads, and neither survives the death of a worker.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from lookalike.cpu import logical_cores
from lookalike.errors import UsageError
from lookalike.workers.ipc import Raised, Setup
from lookalike.workers.limits import Failure, Limits
from lookalike.workers.supervisor import Supervisor
from lookalike.workers.task_queue import Job, TaskQueue
from lookalike.workers.worker_process import working_folder

T = TypeVar("T")
R = TypeVar("R")

WINDOW_PER_WORKER = 128
"""Tasks in flight per worker: enough to keep all workers busy behind one slow file."""

TASKS_PER_START = 4
"""Tasks of `map` that each started worker must have: starting one takes as long as a few images."""


class Pool(Generic[T, R]):
    """Worker processes that run `work(task)` for many tasks, with limits on each.

    `work` is pickled once for every worker; its class or function must live in an importable
    module. A task whose worker is lost gives a `Failure`, so R must include it; or
    `on_failure(failure)` turns it into a result of another type (called in a thread of this
    process).

    Workers start in the background when there is work for them, and stay until `close`.
    Thread-safe.
    """

    def __init__(
        self,
        work: Callable[[T], R],
        *,
        on_failure: Callable[[Failure], R] | None = None,
        workers: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        if workers is not None and workers < 1:
            raise UsageError(f"workers must be at least 1, not {workers}")
        self._workers = workers or logical_cores()
        memory = self._limits.max_memory or default_memory(self._workers)
        self._setup = Setup(
            path=list(sys.path),
            folder=working_folder(),
            work=_pickled(work),
            max_memory=memory,
            timeout=self._limits.timeout,
        )
        self._on_failure = on_failure
        self._queue = TaskQueue(self._workers)
        self._lock = threading.Lock()
        self._supervisors: list[Supervisor] = []
        self._ended = threading.Event()
        # A pool that nobody closed ends its workers when it is garbage-collected, or at exit.
        self._end = weakref.finalize(self, _end, self._ended, self._queue, self._supervisors)

    def __enter__(self) -> Pool[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """The largest number of worker processes."""
        return self._workers

    @property
    def process_ids(self) -> list[int]:
        """The ids of the worker processes that are running now."""
        return [pid for one in list(self._supervisors) if (pid := one.process_id) is not None]

    def map(self, tasks: Iterable[T], *, window: int | None = None) -> Iterator[R]:
        """Yield `work(task)` for every task, in the order of the tasks.

        Lazy: tasks are drawn in this thread, at most `window` (128 per worker) ahead of the results
        taken. Raises what `work` raised, at its place in the order, and LookalikeError if no worker
        can start.
        """
        window = window or WINDOW_PER_WORKER * self._workers
        source = iter(tasks)
        waiting: deque[Job] = deque()
        refill = max(1, window // 8)
        exhausted = False
        try:
            while True:
                if not exhausted and window - len(waiting) >= refill:
                    drawn = list(itertools.islice(source, window - len(waiting)))
                    exhausted = not drawn
                    waiting.extend(self._add(drawn, first=False))
                if not waiting:
                    return
                if not waiting[0].done:
                    self._queue.wait(waiting[0])
                yield _result(waiting.popleft())
        finally:
            self._queue.abandon(waiting)

    def run(self, task: T) -> R:
        """Return `work(task)` for a single task, which goes ahead of those of `map`."""
        (job,) = self._add([task], first=True)
        try:
            self._queue.wait(job)
        except BaseException:
            self._queue.abandon([job])
            raise
        result: R = _result(job)
        return result

    def close(self) -> None:
        """End all workers now and give up what is in flight. May be called more than once."""
        with self._lock:
            self._end()

    def _add(self, tasks: list[T], *, first: bool) -> list[Job]:
        if not tasks:
            return []
        jobs, wanted = self._queue.add(tasks, first=first)
        if not first:
            wanted = min(wanted, -(-wanted // TASKS_PER_START) - len(self._supervisors))
        if wanted > 0 and len(self._supervisors) < self._workers:
            with self._lock:
                for _ in range(min(wanted, self._workers - len(self._supervisors))):
                    if not self._supervisors:
                        args = (self._ended, self._supervisors, self._limits.timeout)
                        threading.Thread(target=_watch, args=args, daemon=True).start()
                    self._supervisors.append(Supervisor(self._queue, self._setup, self._on_failure))
        return jobs


def default_memory(workers: int) -> int | None:
    """Return the bytes that each worker may add: an equal share of half the memory, at least 1 GiB.

    None where the system does not tell its memory.
    """
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    with contextlib.suppress(OSError, ValueError):  # a container's own limit, or "max"
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(1 << 30, total // 2 // workers)


def _watch(ended: threading.Event, supervisors: list[Supervisor], timeout: float) -> None:
    """Kill workers that hang. One thread for all, since reading from a pipe has no portable timeout."""
    step = min(0.25, timeout / 8)
    before = time.monotonic()
    while not ended.wait(step):
        now = time.monotonic()
        elapsed, before = min(now - before, 2 * step), now
        for supervisor in list(supervisors):
            supervisor.tick(elapsed)


def _end(ended: threading.Event, queue: TaskQueue, supervisors: list[Supervisor]) -> None:
    ended.set()
    queue.close()
    for supervisor in supervisors:
        supervisor.close()
    supervisors.clear()


def _pickled(work: object) -> bytes:
    try:
        pickled = pickle.dumps(work, 5)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the work cannot be sent to worker processes ({error}); "
            "define it at the top level of a module"
        ) from None
    if b"__main__" in pickled:
        raise UsageError(
            "the work uses a class or function of the main script, which worker processes cannot "
            "import; put it into a module of its own"
        )
    return pickled


def _result(job: Job) -> Any:
    if isinstance(job.result, Raised):
        raise job.result.error
    return job.result

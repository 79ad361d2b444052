"""A pool of guarded worker processes: what hangs, crashes or eats memory costs its own task only.

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
from lookalike.errors import Outcome, UsageError
from lookalike.workers.ipc import Raised, Setup
from lookalike.workers.limits import Limits
from lookalike.workers.supervisor import Keeper
from lookalike.workers.task_queue import Job, Jobs

T = TypeVar("T")
R = TypeVar("R")

WINDOW_PER_WORKER = 128
"""Tasks under way at a time: enough to keep all workers busy past a slow file at the front."""


class Pool(Generic[T, R]):
    """Worker processes that do `work(task)` for many tasks, with limits on each.

    `work` is pickled once for every worker; its class or function must live in an importable
    module. `on_lost(task, outcome, reason)` makes the result of a task whose worker was lost
    (`timed_out`, `out_of_memory`, `unreadable`); it is called in a thread of this process.

    Workers start when there is work for them, in the background; each stays until `close`.
    Several threads may use one pool.
    """

    def __init__(
        self,
        work: Callable[[T], R],
        *,
        on_lost: Callable[[T, Outcome, str], R],
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
            work=_pickled(work),
            max_memory=memory,
            timeout=self._limits.timeout,
        )
        self._on_lost = on_lost
        self._jobs = Jobs(self._workers)
        self._lock = threading.Lock()
        self._keepers: list[Keeper] = []
        self._ended = threading.Event()
        # A pool that nobody closed ends its workers when it is forgotten, or at exit.
        self._end = weakref.finalize(self, _end, self._ended, self._jobs, self._keepers)

    def __enter__(self) -> Pool[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """How many processes there may be."""
        return self._workers

    @property
    def process_ids(self) -> list[int]:
        """The processes that run at this moment."""
        return [pid for keeper in list(self._keepers) if (pid := keeper.process_id) is not None]

    def map(self, tasks: Iterable[T], *, window: int | None = None) -> Iterator[R]:
        """`work(task)` for every task, in the order of the tasks.

        Lazy: tasks are drawn in this thread, no more than `window` (128 a worker) ahead of the
        results taken.
        Raises what `work` raised, at its place in the order, and LookalikeError if no worker can
        start.
        """
        window = window or WINDOW_PER_WORKER * self._workers
        source = iter(tasks)
        waiting: deque[Job] = deque()
        room = max(1, window // 8)
        exhausted = False
        try:
            while True:
                if not exhausted and window - len(waiting) >= room:
                    fresh = list(itertools.islice(source, window - len(waiting)))
                    exhausted = not fresh
                    waiting.extend(self._add(fresh, first=False))
                if not waiting:
                    return
                if not waiting[0].done:
                    self._jobs.wait(waiting[0])
                yield _result(waiting.popleft())
        finally:
            self._jobs.abandon(waiting)

    def run(self, task: T) -> R:
        """`work(task)` for a single task, ahead of those of `map`."""
        (job,) = self._add([task], first=True)
        try:
            self._jobs.wait(job)
        except BaseException:
            self._jobs.abandon([job])
            raise
        result: R = _result(job)
        return result

    def close(self) -> None:
        """Ends all workers now. What is under way is given up; calling it twice does no harm."""
        with self._lock:
            self._end()

    def _add(self, tasks: list[T], *, first: bool) -> list[Job]:
        if not tasks:
            return []
        jobs, wanted = self._jobs.add(tasks, first=first)
        if wanted > 0 and len(self._keepers) < self._workers:
            with self._lock:
                for _ in range(min(wanted, self._workers - len(self._keepers))):
                    if not self._keepers:
                        watch = (self._ended, self._keepers, self._limits.timeout)
                        threading.Thread(target=_watch, args=watch, daemon=True).start()
                    self._keepers.append(Keeper(self._jobs, self._setup, self._on_lost))
        return jobs


def _watch(ended: threading.Event, keepers: list[Keeper], timeout: float) -> None:
    """Ends workers that hang. One thread for all, because reading from a pipe has no timeout that
    works on every system."""
    step = min(0.25, timeout / 8)
    before = time.monotonic()
    while not ended.wait(step):
        now = time.monotonic()
        elapsed, before = min(now - before, 2 * step), now
        for keeper in list(keepers):
            keeper.tick(elapsed)


def _end(ended: threading.Event, jobs: Jobs, keepers: list[Keeper]) -> None:
    ended.set()
    jobs.close()
    for keeper in keepers:
        keeper.close()
    keepers.clear()


def default_memory(workers: int) -> int | None:
    """Bytes that each worker may add: half of the memory shared out, at least 1 GiB."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    with contextlib.suppress(OSError, ValueError):  # a container's own limit, or "max"
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(1 << 30, total // 2 // workers)


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

"""The pool's list of what is to be done and what is done, shared between threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from lookalike.errors import LookalikeError

_BATCH_SECONDS = 0.03
"""Work worth one message: long enough that messages cost nothing, short enough that no worker sits
on a heap of tasks while another is idle."""

_MOST_IN_BATCH = 64


class Job:
    """One task and, once `done`, its result."""

    __slots__ = ("done", "result", "task")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.result: Any = None
        self.done = False


class Jobs:
    """Jobs waiting for a worker, taken in batches whose size follows the speed of the work."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._changed = threading.Condition()
        self._pending: deque[Job] = deque()
        self._open = 0  # neither done nor abandoned
        self._idle = 0
        self._closed = False
        self._error: LookalikeError | None = None
        self._seconds_per_task: float | None = None

    def add(self, tasks: Iterable[Any], *, first: bool = False) -> tuple[list[Job], int]:
        """Queues tasks; also says how many more workers could be busy than are."""
        jobs = [Job(task) for task in tasks]
        with self._changed:
            self._check()
            self._open += len(jobs)
            if first:
                self._pending.extendleft(reversed(jobs))
            else:
                self._pending.extend(jobs)
            if self._idle:
                self._changed.notify_all()
            return jobs, len(self._pending) - self._idle

    def take(self, flying: int) -> list[Job] | None:
        """A batch for a worker that has `flying` jobs already: perhaps none; None at the end.

        Waits only if the worker has nothing at all to do.
        """
        with self._changed:
            while not self._pending and not self._closed and not flying:
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            if self._closed:
                return None
            size = 1
            if self._seconds_per_task is not None:
                size = int(_BATCH_SECONDS / max(self._seconds_per_task, 1e-6))
            # Two batches a worker under way take half of the window; the rest covers a slow front.
            size = max(1, min(size, _MOST_IN_BATCH, self._open // (4 * self._workers)))
            if flying > size:
                return []
            size = min(size, len(self._pending))
            return [self._pending.popleft() for _ in range(size)]

    def settle(self, jobs: Sequence[Job], results: Sequence[Any], seconds: float | None) -> None:
        """Notes results. `seconds`: what they took together, if that says something of the pace."""
        with self._changed:
            self._open -= len(jobs)
            for job, result in zip(jobs, results, strict=True):
                job.result = result
                job.done = True
            if seconds is not None and jobs:
                pace = seconds / len(jobs)
                old = self._seconds_per_task
                self._seconds_per_task = pace if old is None else 0.8 * old + 0.2 * pace
            self._changed.notify_all()

    def wait(self, job: Job) -> None:
        """Returns when the job is done. Raises what `fail` was given."""
        with self._changed:
            while not job.done:
                self._check()
                # With a timeout, Ctrl-C gets through on Windows too.
                self._changed.wait(1.0)

    def abandon(self, jobs: Iterable[Job]) -> None:
        """Nobody waits for these any more: those not yet begun are dropped."""
        unwanted = set(jobs)
        if unwanted:
            with self._changed:
                kept = deque(job for job in self._pending if job not in unwanted)
                self._open -= len(self._pending) - len(kept)
                self._pending = kept

    def fail(self, error: LookalikeError) -> None:
        """Nothing can be done any more: everybody who waits gets this error."""
        with self._changed:
            self._error = self._error or error
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting."""
        self.fail(LookalikeError("the pool of workers is closed"))

    @property
    def closed(self) -> bool:
        """Is all over, by `close` or `fail`?"""
        return self._closed

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
